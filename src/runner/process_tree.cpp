// SPDX-License-Identifier: Apache-2.0
// Best effort, for machines that allow nothing better. An attempt's processes are found in /proc: its session, its
// descendants, those known before, and orphans (which become children of the runner, as PID 1 or as subreaper) that
// still have all of this attempt's environment and of no other's. A process that sheds all of these escapes.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/file.h"
#include "runner/containment.h"
#include "runner/processes.h"

namespace geres::runner {
namespace {

std::string environment_of(pid_t pid) {
  try {
    return read_file_if("/proc/" + std::to_string(pid) + "/environ").value_or("");
  } catch (const std::exception&) {
    return {};
  }
}

class ProcessTree final : public ContainmentKind {
 public:
  explicit ProcessTree(std::uint32_t slots) : slots_(slots) {}

  wire::Containment kind() const override { return wire::Containment::bestEffort; }
  void started(std::uint32_t slot, pid_t pid, const std::vector<std::string>& env) override {
    auto& s = slots_[slot];
    s = {};
    s.leader = pid;
    s.leader_lives = true;
    s.environment = env;
  }
  void reaped(std::uint32_t slot) override { slots_[slot].leader_lives = false; }
  void terminate(std::uint32_t slot) override { signal(slot, SIGTERM); }
  void kill(std::uint32_t slot) override {
    // Stop them first, so that those found cannot go on forking.
    signal(slot, SIGSTOP);
    signal(slot, SIGKILL);
  }
  // A process that has just died may have had a child too late to be seen. The runner reaps it before it asks again, so
  // this ends once nothing new appears.
  bool empty(std::uint32_t slot) override { return members(slot).empty() && !slots_[slot].just_died; }
  std::vector<pid_t> processes(std::uint32_t slot) override { return members(slot); }

 private:
  struct Slot {
    pid_t leader = 0;           // also the number of its session, which outlives it
    bool leader_lives = false;  // once it was reaped its pid may become another process's
    std::vector<std::string> environment;
    std::set<std::pair<pid_t, std::string>> known;
    bool just_died = false;  // one of its processes, not reaped yet
  };

  bool belongs(const Slot& slot, const Process& process) const {
    if (process.session == slot.leader || (slot.leader_lives && process.pid == slot.leader)) return true;
    if (slot.known.contains({process.pid, process.born})) return true;
    if (process.parent != getpid() || is_leader(process.pid)) return false;
    const std::string environment = '\0' + environment_of(process.pid);
    const auto fits = [&](const Slot& s) {
      return std::all_of(s.environment.begin(), s.environment.end(), [&](const std::string& variable) {
        return environment.find('\0' + variable + '\0') != std::string::npos;
      });
    };
    return fits(slot) && std::none_of(slots_.begin(), slots_.end(), [&](const Slot& other) {
             return &other != &slot && other.leader_lives && fits(other);
           });
  }
  bool is_leader(pid_t pid) const {
    for (const auto& slot : slots_)
      if (slot.leader_lives && slot.leader == pid) return true;
    return false;
  }

  std::vector<pid_t> members(std::uint32_t slot) {
    auto& s = slots_[slot];
    if (s.leader == 0) return {};
    const auto processes = all_processes();
    std::set<pid_t> inside;
    for (const auto& process : processes)
      if (process.pid != getpid() && belongs(s, process)) inside.insert(process.pid);
    add_descendants(processes, inside);
    std::vector<pid_t> alive;
    s.known.clear();
    s.just_died = false;
    for (const auto& process : processes) {
      if (!inside.contains(process.pid)) continue;
      if (process.dead) {
        s.just_died = true;
        continue;
      }
      s.known.insert({process.pid, process.born});
      alive.push_back(process.pid);
    }
    return alive;
  }

  void signal(std::uint32_t slot, int which) {
    for (const pid_t pid : members(slot)) ::kill(pid, which);
  }

  std::vector<Slot> slots_;
};

}  // namespace

ContainmentResult make_process_tree(std::uint32_t slots) {
  if (getpid() != 1) prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  return ContainmentResult(std::make_unique<ProcessTree>(slots));
}

}  // namespace geres::runner
