// SPDX-License-Identifier: Apache-2.0
// How many lines of one kind may go to the log: bursts of a hundred, ten a second in the long run. The rest is counted.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include "base/clock.h"

namespace geres::hub::api {

class LineQuota {
 public:
  // Empty: do not write it. Else the number of lines left out since the last one. `now` is monotonic; any thread.
  std::optional<std::uint64_t> take(Millis now) {
    const std::lock_guard lock(mutex_);
    left_ = std::min(kBurst, left_ + (now - std::exchange(at_, now)) * kPerSecond / 1000.0);
    if (left_ < 1) {
      ++left_out_;
      return std::nullopt;
    }
    --left_;
    return std::exchange(left_out_, 0);
  }

 private:
  static constexpr double kBurst = 100;
  static constexpr double kPerSecond = 10;
  std::mutex mutex_;
  double left_ = kBurst;
  Millis at_ = 0;
  std::uint64_t left_out_ = 0;
};

}  // namespace geres::hub::api
