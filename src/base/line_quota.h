// SPDX-License-Identifier: Apache-2.0
// Limits how many lines of one kind go to the log: a burst, and a number per second in the long run. The rest is
// counted.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include "base/clock.h"

namespace geres {

class LineQuota {
 public:
  LineQuota() : LineQuota(100, 10) {}
  LineQuota(double burst, double per_second) : burst_(burst), per_second_(per_second), left_(burst) {}

  // Empty: do not write the line. Else write it, with the number of lines left out since the last one. `now` is
  // monotonic. Any thread.
  std::optional<std::uint64_t> take(Millis now) {
    const std::lock_guard lock(mutex_);
    left_ = std::min(burst_, left_ + double(now - std::exchange(at_, now)) * per_second_ / 1000.0);
    if (left_ < 1) {
      ++left_out_;
      return std::nullopt;
    }
    --left_;
    return std::exchange(left_out_, 0);
  }

 private:
  const double burst_, per_second_;
  std::mutex mutex_;
  double left_;
  Millis at_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace geres
