// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace geres::model {

// How long jobs of one kind hold their slots: a mean that has forgotten what is more than some 200 ends ago.
struct MeanDuration {
  double ms = 0;
  std::int64_t ends = 0;

  void add(Millis duration) {
    constexpr std::int64_t kWindow = 200;
    ms += (double(duration) - ms) / double(std::min(++ends, kWindow));
  }
  bool operator==(const MeanDuration&) const = default;
};

}  // namespace geres::model
