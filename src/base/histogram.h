// SPDX-License-Identifier: Apache-2.0
// Counts how often a value was at most each of some bounds, for figures whose mean would hide too much.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

namespace geres {

// In seconds, each about three to five times the one before. The short ones suit a disk or an answer, the long ones a
// job.
inline constexpr std::array kShortSeconds{0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0};
inline constexpr std::array kLongSeconds{0.005, 0.025, 0.1,   0.5,     2.0,      10.0,
                                         60.0,  300.0, 900.0, 3'600.0, 21'600.0, 86'400.0};

// Any thread. A reader may miss values that are being counted just then.
class Histogram {
 public:
  explicit Histogram(std::span<const double> bounds) : bounds_(bounds), counts_(bounds.size() + 1) {}

  void observe(double value) {
    const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
    counts_[std::size_t(at)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
  }

  std::span<const double> bounds() const { return bounds_; }
  double sum() const { return sum_; }
  // How many were at most bounds()[0], bounds()[1], …; the last entry counts all.
  std::vector<std::int64_t> cumulative() const {
    std::vector<std::int64_t> sums;
    std::int64_t sum = 0;
    for (const auto& count : counts_) sums.push_back(sum += count.load(std::memory_order_relaxed));
    return sums;
  }

 private:
  std::span<const double> bounds_;  // static
  std::vector<std::atomic<std::int64_t>> counts_;
  std::atomic<double> sum_{0};
};

}  // namespace geres
