// SPDX-License-Identifier: Apache-2.0
// When a host takes no jobs for a while. An attempt that could not start through its host's fault costs its job
// nothing: it is given back, and runs elsewhere or later. But a host that cannot start jobs has free slots all the time
// and would attract one job after the other. So each such failure makes it rest, longer each time until a job starts
// again. A job that is too large for this host's disk says nothing about other jobs: it is given back, and the host
// goes on. Only if the hub sends it again at once (0.1.0 knows no pause) does the host rest for it too.
//
// One thread. Times are milliseconds on the monotonic clock.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/clock.h"

namespace geres::host {

class Resting {
 public:
  static constexpr Millis kMin = 1'000, kMax = 60'000;
  // A job that has come back unstarted for this long counts as lost. A hub ends it after a day, but 0.1.0 does not.
  static constexpr Millis kHopeless = 48 * 3'600'000;

  // An attempt of `job` could not be started. Returns how long the host rests now.
  Millis could_not_start(const std::string& job, Millis now) {
    std::erase_if(unstarted_since_, [&](const auto& entry) { return now - entry.second > 2 * kHopeless; });
    unstarted_since_.try_emplace(job, now);
    if (now < until_) return until_ - now;  // the same trouble met several attempts at once
    pause_ = std::clamp(2 * pause_, kMin, kMax);
    until_ = now + pause_;
    return pause_;
  }
  // Only this `job` had no room. False: its hub does not make it pause.
  bool was_too_large(const std::string& job, Millis now) {
    std::erase_if(too_large_, [&](const auto& entry) { return now - entry.second > 2 * kMax; });
    const auto [entry, first] = too_large_.try_emplace(job, now);
    return first || now - std::exchange(entry->second, now) >= kMin - kMin / 10;
  }
  void started(const std::string& job) {
    pause_ = 0;
    unstarted_since_.erase(job);
    too_large_.erase(job);
  }
  bool rests(Millis now) const { return now < until_; }
  bool is_hopeless(const std::string& job, Millis now) const {
    const auto found = unstarted_since_.find(job);
    return found != unstarted_since_.end() && now - found->second > kHopeless;
  }

 private:
  Millis until_ = 0, pause_ = 0;
  std::map<std::string, Millis> unstarted_since_;
  std::map<std::string, Millis> too_large_;  // when each job last was too large
};

}  // namespace geres::host
