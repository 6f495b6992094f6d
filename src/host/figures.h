// SPDX-License-Identifier: Apache-2.0
// What a host has done since it started, for monitoring; docs/metrics.md lists it. Counted on the loop's thread, read
// by any.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "base/histogram.h"
#include "model/attempt.h"
#include "wire/runner/runner_channel.h"

namespace geres::host {

struct CacheFigures {
  std::atomic<std::int64_t> asked{0};      // requests for an entry
  std::atomic<std::int64_t> downloads{0};  // because it was not there, repeats included
  std::atomic<std::int64_t> bytes{0};      // that the cache holds now
};

struct Figures {
  std::atomic<std::int64_t> started{0};
  std::array<std::atomic<std::int64_t>, std::size_t(model::Outcome::expired) + 1> ended{};
  Histogram start_seconds{kShortSeconds};  // from the lease to the process
  Histogram kill_seconds{kShortSeconds};   // from the order to stop to the end of the last process
  CacheFigures packages, inputs;
  std::atomic<std::int64_t> slots_busy{0};
  std::atomic<bool> connected{false};
  std::atomic<bool> takes_jobs{false};
};

// The exposition format of Prometheus.
std::string metrics_text(const Figures& figures, int slots, const wire::RunnerHello& runner);

}  // namespace geres::host
