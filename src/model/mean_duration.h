// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace geres::model {

// How long jobs of one kind hold their slots: a mean that has forgotten what is more than some 200 ends ago, and what
// nine in ten of them do not pass, found by moving up a little for each that passes it and down less for each other.
struct MeanDuration {
  double ms = 0;
  std::int64_t ends = 0;
  double p90_ms = 0;

  void add(Millis duration) {
    constexpr std::int64_t kWindow = 200;
    constexpr double kHaste = 4;
    if (p90_ms <= 0) p90_ms = ends > 0 ? ms : double(duration);
    const auto weight = 1 / double(std::min(++ends, kWindow));
    ms += (double(duration) - ms) * weight;
    if (ends > 1) p90_ms *= 1 + kHaste * weight * (double(duration) > p90_ms ? 0.9 : -0.1);
  }
  bool operator==(const MeanDuration&) const = default;
};

}  // namespace geres::model
