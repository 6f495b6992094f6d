// SPDX-License-Identifier: Apache-2.0
// What /proc says about processes: who descends from whom, and how much memory they hold.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace geres::runner {

struct Process {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t session = 0;
  bool dead = false;
  std::string born;  // in clock ticks: pid and birth name a process
};

std::vector<Process> all_processes();

// Adds to `inside` all that descend from those in it.
void add_descendants(const std::vector<Process>& processes, std::set<pid_t>& inside);

// Memory that these processes hold together. What they share is counted once for each until the sum is above `enough`;
// then each is counted for its share, which takes the kernel longer to tell.
std::int64_t memory_of(const std::vector<pid_t>& processes, std::int64_t enough);

}  // namespace geres::runner
