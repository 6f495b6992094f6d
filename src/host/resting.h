// SPDX-License-Identifier: Apache-2.0
// When a host takes no jobs for a while. An attempt that never started through its host's fault costs its job nothing:
// it is given back, and runs elsewhere or later. But a host that cannot start jobs has free slots all the time and
// would draw one job after the other; so each such trouble makes it rest, longer each time until one starts again.
//
// One thread. Times are milliseconds on the monotonic clock.
#pragma once

#include <algorithm>
#include <map>
#include <string>

#include "base/clock.h"

namespace geres::host {

class Resting {
 public:
  static constexpr Millis kMin = 1'000, kMax = 60'000;
  static constexpr Millis kHopeless = 24 * 3'600'000;  // a job that came back unstarted for so long is a loss

  // An attempt of `job` could not be started. How long the host rests now.
  Millis could_not_start(const std::string& job, Millis now) {
    std::erase_if(unstarted_since_, [&](const auto& entry) { return now - entry.second > 2 * kHopeless; });
    unstarted_since_.try_emplace(job, now);
    if (now < until_) return until_ - now;  // one trouble that several attempts had at once
    pause_ = std::clamp(2 * pause_, kMin, kMax);
    until_ = now + pause_;
    return pause_;
  }
  void started(const std::string& job) {
    pause_ = 0;
    unstarted_since_.erase(job);
  }
  bool rests(Millis now) const { return now < until_; }
  bool is_hopeless(const std::string& job, Millis now) const {
    const auto found = unstarted_since_.find(job);
    return found != unstarted_since_.end() && now - found->second > kHopeless;
  }

 private:
  Millis until_ = 0, pause_ = 0;
  std::map<std::string, Millis> unstarted_since_;
};

}  // namespace geres::host
