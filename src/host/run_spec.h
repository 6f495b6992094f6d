// SPDX-License-Identifier: Apache-2.0
// What the runner is told of an attempt. The hub's jobs and the host's trial (trial.h) use the same code, so that what
// was tried is what runs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "host/job_environment.h"
#include "host/job_host.h"
#include "host/workspace.h"
#include "wire/runner/runner_channel.h"

namespace geres::host {

struct RunFacts {
  std::string key;
  std::uint32_t slot = 0;
  std::vector<std::string> argv;
  const JobFacts& job;
  const Workspace& workspace;
  std::filesystem::path package;
  JobUser user;
  std::string user_name;
  Millis timeout_ms = 0;
};

// Everything except the lease's deadline.
wire::RunSpec run_spec(const Options& options, const wire::RunnerHello& runner, const RunFacts& facts);

// `memory`: what the job asked for; 0: nothing.
wire::RunLimits run_limits(const Options& options, const wire::RunnerHello& runner, const JobUser& user,
                           std::int64_t memory);

// The name of the job's user in this slot; this process's own user where jobs have none of their own.
std::string user_name(const JobUser& user, std::uint32_t slot);

}  // namespace geres::host
