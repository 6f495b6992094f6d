// SPDX-License-Identifier: Apache-2.0
#include <geres/job.h>

class Outside {
 public:
  geres::Result run(geres::JobContext& context) {
    return geres::Result::success("hello, " + context.parameter_or("name", "world"));
  }
};
GERES_JOB("Outside", Outside)
