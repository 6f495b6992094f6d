// SPDX-License-Identifier: Apache-2.0
// When a call to a store that failed in passing is made again, and when it is given up.
#pragma once

#include <chrono>
#include <thread>

#include "base/backoff.h"
#include "base/clock.h"
#include "objects/object_store.h"
#include "transport/failure.h"

namespace geres::objects {

class Trying {
 public:
  explicit Trying(const Patience& patience) : patience_(patience) {}

  // It has gone well for a while: what fails now is trouble of its own.
  void well() { begun_ = SystemClock().monotonic(), tries_ = 0; }

  // True, after a pause, if it is to be made again. What broke after long work (not by its time limit) is made again
  // once whatever the time, because a server that is going down ends its connections like that.
  bool again(const transport::Failure& failure) {
    if (!in_passing(failure)) return false;
    const auto pause = std::max(backoff(++tries_, 100, 2'000), failure.retry_after);
    const auto spent = SystemClock().monotonic() - begun_;
    const bool long_work = tries_ == 1 && !failure.late && failure.retry_after == 0 && patience_.try_for > 0;
    if (spent + pause > patience_.try_for && !long_work) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(pause));
    return true;
  }

  // Stores answer 500 in passing too.
  static bool in_passing(const transport::Failure& failure) {
    return transport::passing(failure) ||
           (failure.status > 0 && transport::verdict(failure.status) == transport::Verdict::broken);
  }

 private:
  const Patience patience_;
  Millis begun_ = SystemClock().monotonic();
  int tries_ = 0;
};

}  // namespace geres::objects
