// SPDX-License-Identifier: Apache-2.0
// This runner's directory in a cgroup hierarchy, `geres-<random>`, with one directory per slot. The runner keeps a
// flock on it: a directory whose lock is free belongs to a dead runner, and the next one to start clears it away.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace geres::runner {

// The directory of our own process in a hierarchy ("" for v2, else the controller's name). Empty: not mounted.
std::string own_cgroup(const std::string& controller);

class CgroupDirectory {
 public:
  // `kill_rest` empties a cgroup that a dead runner left behind.
  static Result<CgroupDirectory> make(const std::string& parent, std::uint32_t slots,
                                      const std::function<void(const std::string& directory)>& kill_rest);
  CgroupDirectory(CgroupDirectory&&) = default;
  CgroupDirectory& operator=(CgroupDirectory&&) = delete;
  ~CgroupDirectory();  // removes it

  const std::string& path() const { return path_; }
  std::string slot_path(std::uint32_t slot) const { return path_ + "/slot-" + std::to_string(slot); }

 private:
  CgroupDirectory() = default;
  std::optional<Error> fill(std::uint32_t slots);

  std::string path_;
  Fd lock_;
};

// The processes in a cgroup and those below it (a root job can make some), with pids as this process sees them (0: not
// visible from here). The files are opened anew each time, because under v1 an open cgroup.procs keeps the list that it
// first had.
std::vector<pid_t> read_processes(const std::string& cgroup);

// Reads a small kernel file from its start.
std::string read_again(int fd);

// Removes a cgroup and those below it, unless they still have processes.
void remove_cgroups(const std::string& directory);

}  // namespace geres::runner
