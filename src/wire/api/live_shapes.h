// SPDX-License-Identifier: Apache-2.0
// What a browser sends on /v1/live.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace geres::wire {

struct WatchedLogShape {
  static constexpr std::string_view kRequired[] = {"job", "attempt", "stream"};
  std::string job;
  std::int64_t attempt = 0;
  std::string stream;
};
BOOST_DESCRIBE_STRUCT(WatchedLogShape, (), (job, attempt, stream))

struct WatchShape {
  std::optional<bool> status;
  std::optional<std::vector<std::string>> jobs;
  std::optional<WatchedLogShape> log;
  std::optional<bool> newJobs;
};
BOOST_DESCRIBE_STRUCT(WatchShape, (), (status, jobs, log, newJobs))

struct LiveShape {
  static constexpr std::string_view kRequired[] = {"watch"};
  WatchShape watch;
};
BOOST_DESCRIBE_STRUCT(LiveShape, (), (watch))

}  // namespace geres::wire
