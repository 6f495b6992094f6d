// SPDX-License-Identifier: Apache-2.0
// This process as the system sees it: what every Prometheus exporter tells as process_*.
#pragma once

#include <cstdint>

namespace geres::metrics {

struct ProcessFigures {
  double cpu_seconds = 0;
  double start_seconds = 0;  // since the epoch
  std::int64_t resident_bytes = 0;
  std::int64_t virtual_bytes = 0;
  std::int64_t open_fds = 0;
  std::int64_t max_fds = 0;  // may be open
};

ProcessFigures process_figures();  // zeros where /proc does not say

}  // namespace geres::metrics
