// SPDX-License-Identifier: Apache-2.0
// One attempt as any job's would be, before the first of them: by this runner, with these limits, this containment, as
// such a user, from and in this data directory. A host on which it fails would fail with every job.
#pragma once

#include "base/error.h"
#include "host/job_host.h"

namespace geres::host {

// Attaches to the runner, which is used up afterwards. Error: what failed, in a sentence.
Result<void> try_attempt(const Options& options, RunnerClient& runner, std::optional<JobUsers>& users);

// The trial's program (geres-job --trial): does what jobs do, with what jobs are given. An exit code.
inline constexpr const char* kTrialFlag = "--trial";

}  // namespace geres::host
