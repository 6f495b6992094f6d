// SPDX-License-Identifier: Apache-2.0
// Runs one attempt as any job would run, before the first job: with this runner, these limits and containment, as such
// a user, in this data directory. A host on which it fails would fail with every job.
#pragma once

#include "base/error.h"
#include "host/job_host.h"

namespace geres::host {

// Attaches to the runner, which cannot be used afterwards. The error says in a sentence what failed.
Result<void> try_attempt(const Options& options, RunnerClient& runner, std::optional<JobUsers>& users);

// The trial's program (geres-job --trial) does what jobs do with what jobs are given. Returns an exit code.
inline constexpr const char* kTrialFlag = "--trial";

}  // namespace geres::host
