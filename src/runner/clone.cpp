// SPDX-License-Identifier: Apache-2.0
#include "runner/clone.h"

#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace geres::runner {

pid_t clone_child(const CloneRequest& request, void (*child)(void*), void* argument) {
  clone_args args{};
  args.flags = request.namespaces;
  args.exit_signal = SIGCHLD;
  if (request.cgroup_fd >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = std::uint64_t(request.cgroup_fd);
  }
  long pid = syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0 && errno == ENOSYS && args.flags == 0) pid = fork();  // some containers forbid clone3
  if (pid < 0) return -errno;
  if (pid > 0) return pid_t(pid);
  child(argument);
  _exit(127);
}

}  // namespace geres::runner
