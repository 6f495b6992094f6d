// SPDX-License-Identifier: Apache-2.0
// What became of jobs and attempts since the hub's start, for metrics: how long jobs waited and ran, by type, and how
// they ended. Counted after the commit that made it true. Bounded, however many types there are: the first twenty have
// figures of their own, the rest share theirs.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.h"
#include "model/job_state.h"

namespace geres::hub::engine {

// One thing that a round has seen.
struct Observed {
  enum class What { started, attempt_ended, job_ended } what = What::started;
  std::string type;    // of the job
  double seconds = 0;  // started: since it was ready; attempt_ended: since it started, below zero if it never did
  model::Outcome outcome = model::Outcome::finished;  // attempt_ended
  model::JobState state = model::JobState::finished;  // job_ended
  model::Reason reason = model::Reason::none;         // likewise
};

// Any thread.
class Outcomes {
 public:
  static constexpr std::size_t kTypes = 20;
  static constexpr const char* kOther = "other";  // of all other types, and of one that has this name

  struct OfType {
    Histogram wait{kLongSeconds}, run{kLongSeconds};
  };

  void add(const std::vector<Observed>& seen);

  void each_type(const std::function<void(const std::string& type, const OfType&)>& tell) const;
  std::map<std::pair<model::JobState, model::Reason>, std::int64_t> jobs() const;
  std::int64_t attempts(model::Outcome outcome) const;

 private:
  OfType& of_type(const std::string& type);

  mutable std::mutex mutex_;
  std::map<std::string, OfType> types_;
  std::map<std::pair<model::JobState, model::Reason>, std::int64_t> jobs_;
  std::array<std::int64_t, std::size_t(model::Outcome::expired) + 1> attempts_{};
};

}  // namespace geres::hub::engine
