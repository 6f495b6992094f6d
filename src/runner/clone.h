// SPDX-License-Identifier: Apache-2.0
// Makes a child process by a fork (a copy of the runner's memory, which is kept small for this), not a vfork. A vfork
// would stop the runner until the child has executed its program: that halves the rate on a busy machine, and a stopped
// child would stop the runner. Besides, a child about to become another user must not share the runner's memory.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace geres::runner {

struct CloneRequest {
  std::uint64_t namespaces = 0;  // CLONE_NEW…
  int cgroup_fd = -1;            // the child is born in this cgroup v2 directory
};

// Runs `child(argument)` in a new process, with all signals blocked as in the runner. If it returns, the process exits
// with 127. Returns the pid, or -errno.
pid_t clone_child(const CloneRequest& request, void (*child)(void*), void* argument);

}  // namespace geres::runner
