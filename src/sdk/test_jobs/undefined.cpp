// SPDX-License-Identifier: Apache-2.0
// A library that misses a function.
#include "geres/job.h"

void nobody_has_this();

namespace {
struct Undefined {
  geres::Result run(geres::JobContext&) {
    nobody_has_this();
    return geres::Result::success();
  }
};
GERES_JOB("Undefined", Undefined)
}  // namespace
