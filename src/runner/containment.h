// SPDX-License-Identifier: Apache-2.0
// Holds all processes of one attempt together, whatever they do. There is one per slot, used again for the slot's next
// attempt, and one source file per kernel facility: cgroup2.cpp, freezer.cpp, pid_namespace.cpp, process_tree.cpp.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "wire/runner/runner_channel.h"

namespace geres::runner {

class ContainmentKind {
 public:
  virtual ~ContainmentKind() = default;
  virtual wire::Containment kind() const = 0;
  virtual std::string directory() const { return {}; }  // of cgroups
  // v2: the cgroup of the slot's attempt. prepare() and renew() may change it.
  virtual std::string group(std::uint32_t /*slot*/) const { return {}; }
  virtual bool renew(std::uint32_t /*slot*/) { return true; }  // replaces the cgroup by a fresh one; false with errno

  // Called before each start. False (with errno): the slot cannot be used now.
  virtual bool prepare(std::uint32_t /*slot*/) { return true; }
  // How a child gets in. At most one of the three applies.
  virtual int cgroup_fd(std::uint32_t /*slot*/) const { return -1; }  // the child is born in this cgroup
  virtual int join_fd(std::uint32_t /*slot*/) const { return -1; }    // the child writes its pid into this file
  virtual bool own_init() const { return false; }                     // the child is the init of a new PID namespace

  // From now on the slot's attempt is process `pid` (its leader, or its init) and what descends from it; `env` is its
  // environment.
  virtual void started(std::uint32_t /*slot*/, pid_t /*pid*/, const std::vector<std::string>& /*env*/) {}
  // The runner has reaped that process.
  virtual void reaped(std::uint32_t /*slot*/) {}

  virtual void terminate(std::uint32_t slot) = 0;  // SIGTERM to every process of the attempt
  // SIGKILL to every process of the attempt. Once may not be enough: repeat until empty().
  virtual void kill(std::uint32_t slot) = 0;
  virtual bool empty(std::uint32_t slot) = 0;
  virtual std::vector<pid_t> processes(std::uint32_t slot) = 0;  // as the runner sees them
  // Processor time of everything that ever ran in the slot, if the kernel counts it.
  virtual std::optional<std::int64_t> cpu_micros(std::uint32_t /*slot*/) { return std::nullopt; }
};

using ContainmentResult = Result<std::unique_ptr<ContainmentKind>>;

ContainmentResult make_cgroup2(std::uint32_t slots);
ContainmentResult make_freezer(std::uint32_t slots);
ContainmentResult make_pid_namespace(std::uint32_t slots);
ContainmentResult make_process_tree(std::uint32_t slots);  // bestEffort; never fails

// The best containment that works here, or the one insisted on. tooMany if the best one fails only for want of
// descriptors. `detail` collects, for people, what was refused and why.
ContainmentResult make_containment(std::uint32_t slots, std::optional<wire::Containment> insist, std::string& detail);

}  // namespace geres::runner
