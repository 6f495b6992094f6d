// SPDX-License-Identifier: Apache-2.0
#include "host/run_spec.h"

#include <pwd.h>
#include <unistd.h>

#include "host/agent.h"

namespace geres::host {
namespace {

// So that too many processes are noticed first, and the job is told why it ends.
constexpr std::int64_t kThreadsMore = 1'024;

wire::RunFences run_fences(const Options& options, const RunFacts& facts) {
  wire::RunFences fences;
  fences.writable = options.writable;
  fences.writable.insert(fences.writable.end(), {facts.workspace.job(), facts.workspace.progress()});
  fences.readable = {facts.package, facts.workspace.job_file()};
  return fences;
}

}  // namespace

std::string user_name(const JobUser& user, std::uint32_t slot) {
  if (user.uid != 0) return job_user_name(slot);
  static const std::string own = [] {
    const passwd* const known = ::getpwuid(::geteuid());
    return known != nullptr ? std::string(known->pw_name) : std::to_string(::geteuid());
  }();
  return own;
}

wire::RunSpec run_spec(const Options& options, const wire::RunnerHello& runner, const RunFacts& facts) {
  const Workspace& workspace = facts.workspace;
  wire::RunSpec spec;
  spec.key = facts.key;
  spec.slot = facts.slot;
  spec.argv = facts.argv;
  spec.env = job_environment(facts.job, workspace, facts.package, facts.user_name, environ);
  spec.workDirectory = workspace.work();
  spec.stdoutPath = workspace.standard_output();
  spec.stderrPath = workspace.standard_error();
  spec.progressPath = workspace.progress();
  spec.logBytesMax = options.log_bytes_max;
  spec.uid = facts.user.uid;
  spec.gid = facts.user.gid;
  spec.limits = run_limits(options, runner, facts.user, facts.job.memory);
  if (fences_jobs(options, runner)) spec.fences = run_fences(options, facts);
  spec.timeoutMs = facts.timeout_ms;
  spec.graceMs = options.grace_ms;
  return spec;
}

wire::RunLimits run_limits(const Options& options, const wire::RunnerHello& runner, const JobUser& user,
                           std::int64_t asked) {
  wire::RunLimits limits = options.run_limits;
  if (!limits.fileBytes && options.scratch.bytes > 0) limits.fileBytes = options.scratch.bytes;
  if (const auto memory = asked > 0 ? asked : default_memory(options); memory > 0) limits.treeMemoryBytes = memory;
  limits.outOfMemoryEnds = options.out_of_memory_ends;
  if (options.processes_max <= 0) return limits;
  limits.treeProcesses = options.processes_max;
  limits.treeTasks = options.processes_max * 2 + kThreadsMore;
  if (runner.tasksHeld != wire::LimitHeld::watched) return limits;
  // Else RLIMIT_NPROC, if the job's user has no other processes than this attempt's, or at least none but jobs'. The
  // limit also counts threads, and a job with too many processes should be told so rather than fail to fork.
  const bool shared_with_jobs = ::geteuid() != 0 && runner.pidNamespace;
  if (!limits.processes && user.uid != 0)
    limits.processes = options.processes_max * 4;
  else if (!limits.processes && shared_with_jobs)
    limits.processes = options.processes_max * options.slots * 2;
  return limits;
}

}  // namespace geres::host
