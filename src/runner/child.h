// SPDX-License-Identifier: Apache-2.0
// What happens in a new process between clone and exec. The runner prepares everything in a ChildPlan, and the child
// only makes system calls: that keeps the steps short and cheap, because each page that the child writes is copied. The
// order of the steps is in child.cpp.
#pragma once

#include <sys/resource.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "wire/runner/runner_channel.h"

namespace geres::runner {

enum class Step : std::int32_t {
  none,
  clone,
  containment,
  limits,
  session,
  standardFiles,
  user,
  directory,
  fences,
  execute,
  exited
};

// What a child says about itself through its pipe, which closes on exec. `exited` is the last report of a tiny init.
struct ChildReport {
  Step failed = Step::none;  // none: the program runs
  std::int32_t error = 0;    // errno
  std::int32_t status = 0;   // exited: as from wait()
};

struct ChildPlan {
  std::vector<std::string> candidates;  // paths to try to execute, in order
  std::vector<const char*> argv;        // null-terminated; they point into the RunSpec, which must outlive the plan
  std::vector<const char*> env;
  const char* directory = nullptr;
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
  std::array<int, 3> join_fds{-1, -1, -1};  // cgroup.procs files that the child writes itself into
  int fences_fd = -1;                       // Fences::make; -1: none
  int report_fd = -1;                       // where the ChildReport goes
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  int nice = 0;
  std::vector<std::pair<int, rlimit>> limits;
  bool as_init = false;  // the process becomes the tiny init of its PID namespace and starts the program as its child

  // `files`: how many files a job without a limit of its own may open.
  ChildPlan(const wire::RunSpec& spec, const rlimit& files);
};

// Everything that the child does; never returns. `plan` points to a ChildPlan.
void run_child_steps(void* plan);

// One sentence for people that says why `plan` could not be started.
std::string start_failure_reason(const ChildPlan& plan, const ChildReport& report);
// What may be the cause when a program that did start ends with this code; empty if nothing is likely.
std::string exit_hint(const ChildPlan& plan, int exit_code);

// True if the machine, not the job, is to blame (no memory, no descriptors, too many processes).
bool is_host_trouble(const ChildReport& report);

}  // namespace geres::runner
