// SPDX-License-Identifier: Apache-2.0
// An engine's figures, for metrics.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/clock.h"
#include "base/histogram.h"
#include "hub/engine/outcomes.h"
#include "hub/engine/scaler_figures.h"

namespace geres::hub::engine {

// Figures since start, for metrics. Any thread.
struct Stats {
  std::atomic<std::int64_t> ticks{0}, commits{0}, commands{0}, granted{0}, expired{0}, retried{0}, refused_ticks{0},
      undone{0}, snapshots{0}, passes_wrong{0};
  std::atomic<std::int64_t> jobs_submitted{0}, jobs_finished{0}, jobs_failed{0}, jobs_cancelled{0};
  std::atomic<std::int64_t> commit_micros{0}, queue_length{0}, leases{0}, lanes{0};
  std::atomic<Millis> full_at{0};        // monotonic: new jobs were refused for want of space, and none was taken since
  std::atomic<Millis> store_away_at{0};  // monotonic: since when the store does not answer; 0: it does
  Histogram commit_seconds{kShortSeconds}, round_seconds{kShortSeconds};  // of rounds that wrote something
  Outcomes outcomes;
  ScalerFigures scaler;
};

}  // namespace geres::hub::engine
