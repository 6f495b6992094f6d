// SPDX-License-Identifier: Apache-2.0
// Makes the runner's process: PID 1 of its own PID namespace with its own /proc, leader of its own session, with
// nothing of the agent's except its end of the channel, the lock, and standard error.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace geres::host {

struct RunnerProcess {
  pid_t pid = -1;
  Fd pidfd;
  bool own_pid_namespace = false;
  std::string detail;  // what the machine refused on the way, for people

  void kill();
  // True: it waits for a processor or a disk. False: it sleeps, is stopped or dead.
  bool is_busy() const;
  // Waits until it is dead and reaped (with all of its PID namespace). False: not within `ms`.
  bool wait_dead(int ms);
};

// `arguments` come after the program's name and "--channel 3 --lock 4". Meant to be called before other threads run,
// but may be called later, since the child only makes system calls.
Result<RunnerProcess> start_runner_process(const std::filesystem::path& program, std::vector<std::string> arguments,
                                           int channel_fd, int lock_fd, bool own_pid_namespace);

}  // namespace geres::host
