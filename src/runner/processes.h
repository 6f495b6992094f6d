// SPDX-License-Identifier: Apache-2.0
// What /proc says about processes: which descends from which, and how much memory they hold.
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

// Adds to `inside` everything that descends from what is in it.
void add_descendants(const std::vector<Process>& processes, std::set<pid_t>& inside);

// The memory that these processes hold together. Shared memory is counted once per process until the sum exceeds
// `enough`; only then each is counted by its share, which takes the kernel longer to compute.
std::int64_t memory_of(const std::vector<pid_t>& processes, std::int64_t enough);

}  // namespace geres::runner
