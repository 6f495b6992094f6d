// SPDX-License-Identifier: Apache-2.0
// What the kernel itself holds an attempt to: memory, and processes with their threads. Each slot has its groups for as
// long as the runner lives, and only what differs from the slot's last attempt is written. Under v2 they are the groups
// that contain the processes anyway; under v1 each controller has a directory of its own, and a child writes itself
// into both. The runner and the agent stay outside, since what they use is not the jobs'.
//
// Where a controller is not available, the runner enforces limits of that kind by looking (Attempt::look) or by
// RLIMIT_NPROC, and missing() says so.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "runner/cgroup_directory.h"
#include "runner/containment.h"
#include "runner/memory_group.h"
#include "wire/runner/runner_channel.h"

namespace geres::runner {

class SlotLimits {
 public:
  // `containment` must outlive it. Fails only for want of descriptors, because that is no reason to enforce less
  // without saying so.
  static Result<std::unique_ptr<SlotLimits>> make(std::uint32_t slots, ContainmentKind& containment);

  bool has_memory() const { return !memory_.empty(); }
  bool has_tasks() const { return !tasks_.empty(); }
  wire::LimitHeld memory_held() const { return held(has_memory(), memory_directory_); }
  wire::LimitHeld tasks_held() const { return held(has_tasks(), tasks_directory_); }
  // One sentence for people; empty: nothing is missing.
  const std::string& missing() const { return missing_; }
  std::vector<std::string> directories() const;  // its own, to be removed after the runner's death

  // Called before each start, after the containment's prepare(). False with errno: the slot cannot be used now.
  bool prepare(std::uint32_t slot, const wire::RunLimits& limits);
  // cgroup.procs files that a child writes itself into; -1: none.
  std::array<int, 2> join_fds(std::uint32_t slot) const;
  // Readable when the slot's attempt may have run out of memory; -1: none.
  int event_fd(std::uint32_t slot) const;
  // The kernel has killed some of its processes for lack of memory since prepare(). One sentence for people.
  std::optional<std::string> out_of_memory(std::uint32_t slot) const;
  // Of an attempt that ran out of memory: of its own, not the machine's.
  bool is_own_limit(std::uint32_t slot) const { return !has_memory() || memory_[slot].group.has_reached_limit(); }
  // A fork or a thread was refused because of its limit since prepare(). One sentence for people.
  std::optional<std::string> out_of_tasks(std::uint32_t slot) const;

 private:
  struct Memory {
    MemoryGroup group;
    std::int64_t kills_before = 0;
    std::int64_t limit = 0;
    std::uint32_t renewals = 0;
  };
  struct Tasks {
    std::string directory;
    Fd join, events;
    std::int64_t limit = -1;                // as written; -1: not known
    std::optional<std::int64_t> processes;  // the number that the user set, from which the limit is computed
    std::int64_t refused_before = 0;
  };

  SlotLimits(std::uint32_t slots, ContainmentKind& containment) : slots_(slots), containment_(containment) {}
  static wire::LimitHeld held(bool by_kernel, const std::optional<CgroupDirectory>& v1) {
    return !by_kernel ? wire::LimitHeld::watched : v1 ? wire::LimitHeld::cgroup1 : wire::LimitHeld::cgroup2;
  }
  std::optional<Error> find_memory();
  std::optional<Error> find_tasks();
  std::optional<Error> note_missing(const char* what, const Error& why);
  Error trouble(const std::string& where) const;
  bool follow_containment(std::uint32_t slot);
  bool renew_memory(std::uint32_t slot);
  bool prepare_memory(std::uint32_t slot, const wire::RunLimits& limits);
  bool prepare_tasks(std::uint32_t slot, const wire::RunLimits& limits);
  bool open_tasks(Tasks& tasks, const std::string& directory) const;

  std::uint32_t slots_;
  ContainmentKind& containment_;
  std::optional<CgroupDirectory> memory_directory_, tasks_directory_;  // v1
  std::vector<Memory> memory_;
  std::vector<Tasks> tasks_;
  std::string missing_;
};

}  // namespace geres::runner
