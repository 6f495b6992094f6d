// SPDX-License-Identifier: Apache-2.0
// For whoever asks again for what the hub holds back until there is news. A proxy between may cut waits short; answers
// without news that come at once, one after the other, are not followed by the next call in a tight loop.
#pragma once

#include <algorithm>

#include "base/clock.h"

namespace geres::client {

class Pace {
 public:
  // The pause before the next call; `took`: how long the answer, which had no news, was in coming.
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
