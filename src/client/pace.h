// SPDX-License-Identifier: Apache-2.0
// For callers that repeat a long poll. A proxy in between may cut the waits short, and answers without news that come
// at once, one after the other, must not make a tight loop.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace geres::client {

class Pace {
 public:
  // The pause before the next call. `took`: how long the last answer, which had no news, took.
  Millis after(Millis took) {
    if (took >= kHeld) quick_ = 0;
    return ++quick_ < 3 ? 0 : std::min(kLongest, kFirst << std::min(quick_ - 3, 10));
  }
  void news() { quick_ = 0; }

 private:
  static constexpr Millis kHeld = 1'000, kFirst = 100, kLongest = 2'000;
  int quick_ = 0;
};

}  // namespace geres::client
