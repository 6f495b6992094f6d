// SPDX-License-Identifier: Apache-2.0
#include "runner/yielding.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/file.h"

namespace geres::runner {
namespace {

// False: try it again. A session's group takes its niceness through any of its processes.
bool make_session_nicer(pid_t member) {
  const Fd file(open(("/proc/" + std::to_string(member) + "/autogroup").c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return errno == ENOENT && access("/proc/self/autogroup", F_OK) != 0;  // the kernel has no autogroup
  const auto value = std::to_string(Yielding::kNice);
  // EAGAIN: users may change one group in 100 ms.
  return write(file.get(), value.data(), value.size()) > 0 || errno != EAGAIN;
}

void make_group_nicer(pid_t group) {
  errno = 0;
  const int nice = getpriority(PRIO_PROCESS, group);  // the niceness of its leader; a job may make itself nicer
  if (errno == 0 && nice >= Yielding::kNice) return;
  setpriority(PRIO_PGRP, id_t(group), Yielding::kNice);
}

}  // namespace

void Yielding::look(const std::vector<pid_t>& processes) {
  std::set<pid_t> sessions, groups;
  for (const pid_t pid : processes) {
    const pid_t session = getsid(pid), group = getpgid(pid);
    if (session > 0 && !sessions.contains(session) && (sessions_.contains(session) || make_session_nicer(pid)))
      sessions.insert(session);
    if (group > 0 && groups.insert(group).second && !groups_.contains(group)) make_group_nicer(group);
  }
  sessions_ = std::move(sessions);  // session numbers that are gone are used again
  groups_ = std::move(groups);
}

}  // namespace geres::runner
