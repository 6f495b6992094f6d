// SPDX-License-Identifier: Apache-2.0
// A PID namespace per attempt with a tiny init (child.cpp): when the init dies the kernel kills everything left in it,
// and wait() for the init returns only after that. The init passes SIGTERM on to everything below it.
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "runner/clone.h"
#include "runner/containment.h"
#include "runner/processes.h"

namespace geres::runner {
namespace {

class PidNamespace final : public ContainmentKind {
 public:
  explicit PidNamespace(std::uint32_t slots) : inits_(slots, 0) {}

  wire::Containment kind() const override { return wire::Containment::pidns; }
  bool own_init() const override { return true; }
  void started(std::uint32_t slot, pid_t pid, const std::vector<std::string>&) override { inits_[slot] = pid; }
  void reaped(std::uint32_t slot) override { inits_[slot] = 0; }
  void terminate(std::uint32_t slot) override { signal(slot, SIGTERM); }
  void kill(std::uint32_t slot) override { signal(slot, SIGKILL); }
  bool empty(std::uint32_t slot) override { return inits_[slot] == 0; }
  // Orphans become children of the init, so every process of the attempt descends from it.
  std::vector<pid_t> processes(std::uint32_t slot) override {
    if (inits_[slot] <= 0) return {};
    std::set<pid_t> inside{inits_[slot]};
    add_descendants(all_processes(), inside);
    return {inside.begin(), inside.end()};
  }

 private:
  void signal(std::uint32_t slot, int which) {
    if (inits_[slot] > 0) ::kill(inits_[slot], which);
  }

  std::vector<pid_t> inits_;
};

}  // namespace

ContainmentResult make_pid_namespace(std::uint32_t slots) {
  CloneRequest request;
  request.namespaces = CLONE_NEWPID | CLONE_NEWNS;
  const pid_t probe = clone_child(
      request, [](void*) { _exit(0); }, nullptr);
  if (probe < 0) return fail(Code::unavailable, std::string("no PID namespace: ") + std::strerror(-probe));
  while (waitpid(probe, nullptr, 0) < 0 && errno == EINTR) {
  }
  return ContainmentResult(std::make_unique<PidNamespace>(slots));
}

}  // namespace geres::runner
