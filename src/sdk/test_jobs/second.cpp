// SPDX-License-Identifier: Apache-2.0
// A second source file of jobs, and in a second library: lists must not mix.
#include "geres/job.h"

namespace {
struct Second {
  geres::Result run(geres::JobContext&) { return geres::Result::success("second"); }
};
GERES_JOB("Second", Second)
}  // namespace
