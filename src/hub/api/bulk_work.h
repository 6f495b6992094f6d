// SPDX-License-Identifier: Apache-2.0
// How far bulk work is that callers have left to the hub. The work itself is the engine's, and stored; what is kept
// here is for those who ask, until an hour after its end or the end of this hub.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/uuid.h"

namespace geres::hub::api {

// Any thread.
class BulkWork {
 public:
  static constexpr Millis kKept = 3'600'000;
  static constexpr std::size_t kKeptMax = 10'000;

  struct Work {
    Uuid id;
    std::string verb;
    Uuid owner;                        // the token that began it
    std::vector<std::string> tenants;  // of that token; empty: all
    Millis started_at = 0;
    std::int64_t done = 0;
    std::optional<std::int64_t> of = std::nullopt;  // where that is known
    std::optional<Millis> ended_at = std::nullopt;
    std::optional<Error> error = std::nullopt;
  };

  void begin(Work work);
  void progressed(Uuid id, std::int64_t done);
  void ended(Uuid id, Result<std::int64_t> count, Millis now);
  std::optional<Work> find(Uuid id) const;

 private:
  void forget_the_old(Millis now);
  mutable std::mutex mutex_;
  std::map<Uuid, Work> by_id_;
};

}  // namespace geres::hub::api
