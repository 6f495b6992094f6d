// SPDX-License-Identifier: Apache-2.0
// How long a client may still keep us waiting. Each wait uses up patience and each byte gives some back, so a client
// that moves one byte now and then is cut off about as soon as one that does nothing.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace geres::http {

class Pace {
 public:
  Pace(Millis patience, unsigned bytes_per_second)
      : per_ms_(std::max(bytes_per_second, 1U) / 1000.0), most_(double(patience) * per_ms_), left_(most_) {}
  void moved(std::uint64_t bytes) { left_ = std::min(most_, left_ + double(bytes)); }
  void waited(Millis time) { left_ -= double(time) * per_ms_; }
  Millis left() const { return Millis(std::max(left_ / per_ms_, 0.0)); }

 private:
  double per_ms_;  // in bytes, as the two below
  double most_;
  double left_;
};

}  // namespace geres::http
