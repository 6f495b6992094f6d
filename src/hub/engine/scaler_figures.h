// SPDX-License-Identifier: Apache-2.0
// What the scaler did since the hub's start, for metrics, by pool. Counted after the commit that made it true. Bounded,
// however many pools there are: the first twenty have figures of their own, the rest share theirs.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/histogram.h"

namespace geres::hub::engine {

// One thing that a round has seen.
struct ScalerSeen {
  enum class What { decided, provider_failed, booted } what = What::decided;
  std::string pool;
  std::string word;                     // decided: the outcome; provider_failed: why
  std::int64_t wanted = 0, actual = 0;  // decided
  double seconds = 0;                   // booted: from the order until its host joined
};

// Any thread.
class ScalerFigures {
 public:
  static constexpr std::size_t kPools = 20;
  static constexpr const char* kOther = "other";

  struct OfPool {
    std::int64_t wanted = 0, actual = 0;  // of the newest decision
    std::map<std::string, std::int64_t> decisions, failures;
    Histogram boot{kLongSeconds};
  };

  void add(const std::vector<ScalerSeen>& seen);
  void each_pool(const std::function<void(const std::string& pool, const OfPool&)>& tell) const;

 private:
  OfPool& of_pool(const std::string& pool);

  mutable std::mutex mutex_;
  std::map<std::string, OfPool> pools_;
};

}  // namespace geres::hub::engine
