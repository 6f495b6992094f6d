// SPDX-License-Identifier: Apache-2.0
// How many jobs come in a second, counted in pieces of ten seconds over the last ten minutes. Since the hub's start,
// where that is less.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/clock.h"

namespace geres::hub::engine {

class Arrivals {
 public:
  static constexpr Millis kPiece = 10'000;
  static constexpr std::int64_t kPieces = 60;

  void add(std::int64_t jobs, Millis now) {
    if (first_ < 0) start(now);
    move_to(now / kPiece);
    counts_[std::size_t(piece_ % kPieces)] += jobs;
  }
  void start(Millis now) { first_ = now, piece_ = now / kPiece; }

  // Over so many pieces that are over, and the one that is not.
  double per_second(std::int64_t pieces, Millis now) const {
    if (first_ < 0) return 0;
    std::int64_t jobs = 0;
    const auto newest = now / kPiece;
    for (auto piece = std::max(newest - pieces, piece_ - kPieces + 1); piece <= std::min(piece_, newest); ++piece)
      if (piece >= 0) jobs += counts_[std::size_t(piece % kPieces)];
    const Millis since = std::max(first_, (newest - pieces) * kPiece);
    return double(jobs) * 1'000 / double(std::max<Millis>(1'000, now - since));
  }

 private:
  void move_to(std::int64_t piece) {
    for (auto next = std::max(piece_ + 1, piece - kPieces + 1); next <= piece; ++next)
      counts_[std::size_t(next % kPieces)] = 0;
    piece_ = std::max(piece_, piece);
  }

  std::array<std::int64_t, kPieces> counts_{};
  std::int64_t piece_ = 0;  // the newest that was counted in
  Millis first_ = -1;       // monotonic; below 0: nothing yet
};

}  // namespace geres::hub::engine
