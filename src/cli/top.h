// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"
#include "wire/api/job_view.h"

namespace geres::cli {

// What `geres top` has heard last.
struct TopScene {
  std::string hub;  // its address
  json::value info, status;
  std::vector<wire::JobView> running, failed;  // oldest first; newest first
  std::string why;                             // the job waits that has waited longest
  std::string note;                            // the hub is away
  Millis now = 0;
};

// Pure, for tests: at most `height` lines of `width` columns.
std::vector<std::string> top_lines(const TopScene& scene, int width, int height, const Output& output);

}  // namespace geres::cli
