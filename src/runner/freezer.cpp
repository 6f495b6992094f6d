// SPDX-License-Identifier: Apache-2.0
// Control group v1, freezer: a child writes itself into its group before it executes anything. To end the group,
// everything is frozen first, so that no fork outruns the killing, then killed, then thawed so that it can die.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runner/cgroup_directory.h"
#include "runner/containment.h"
#include "runner/descriptors.h"

namespace geres::runner {
namespace {

Fd open_in(const std::string& directory, const char* name, int flags) {
  return Fd(open((directory + "/" + name).c_str(), flags | O_CLOEXEC));
}

void put(int fd, std::string_view word) {
  [[maybe_unused]] const ssize_t ignored = write(fd, word.data(), word.size());
}

void kill_frozen(const std::string& cgroup, int state_fd) {
  put(state_fd, "FROZEN");
  // Freezing takes long when a process sleeps in the kernel. If one slipped through, the caller repeats the kill.
  for (int tries = 0; tries < 20 && !read_again(state_fd).starts_with("FROZEN"); ++tries) usleep(200);
  for (const pid_t pid : read_processes(cgroup))
    if (pid > 0) ::kill(pid, SIGKILL);
  put(state_fd, "THAWED");
}

void kill_cgroup(const std::string& directory) {
  for (std::uint32_t slot = 0;; ++slot) {
    const std::string path = directory + "/slot-" + std::to_string(slot);
    const Fd state = open_in(path, "freezer.state", O_RDWR);
    if (!state) return;
    if (!read_processes(path).empty()) kill_frozen(path, state.get());
  }
}

class Freezer final : public ContainmentKind {
 public:
  struct Slot {
    std::string path;
    Fd procs, state;
  };

  Freezer(CgroupDirectory directory, std::vector<Slot> slots)
      : directory_(std::move(directory)), slots_(std::move(slots)) {}

  wire::Containment kind() const override { return wire::Containment::freezer; }
  std::string directory() const override { return directory_.path(); }
  int join_fd(std::uint32_t slot) const override { return slots_[slot].procs.get(); }

  void terminate(std::uint32_t slot) override {
    put(slots_[slot].state.get(), "FROZEN");
    for (const pid_t pid : read_processes(slots_[slot].path))
      if (pid > 0) ::kill(pid, SIGTERM);
    put(slots_[slot].state.get(), "THAWED");
  }
  void kill(std::uint32_t slot) override { kill_frozen(slots_[slot].path, slots_[slot].state.get()); }
  bool empty(std::uint32_t slot) override { return read_processes(slots_[slot].path).empty(); }
  std::vector<pid_t> processes(std::uint32_t slot) override { return read_processes(slots_[slot].path); }

 private:
  CgroupDirectory directory_;
  std::vector<Slot> slots_;
};

}  // namespace

ContainmentResult make_freezer(std::uint32_t slots) {
  const std::string parent = own_cgroup("freezer");
  if (parent.empty()) return fail(Code::unavailable, "no freezer cgroup is mounted");
  auto directory = CgroupDirectory::make(parent, slots, kill_cgroup);
  if (!directory) return directory.error();
  std::vector<Freezer::Slot> opened(slots);
  for (std::uint32_t i = 0; i < slots; ++i) {
    opened[i].path = directory->slot_path(i);
    opened[i].procs = open_in(directory->slot_path(i), "cgroup.procs", O_WRONLY);
    opened[i].state = open_in(directory->slot_path(i), "freezer.state", O_RDWR);
    if (opened[i].procs && opened[i].state) continue;
    if (lacks_descriptors(errno)) return no_descriptors(slots);
    return fail(Code::unavailable, "no freezer.state in " + directory->path() + ": " + std::strerror(errno));
  }
  return ContainmentResult(std::make_unique<Freezer>(std::move(*directory), std::move(opened)));
}

}  // namespace geres::runner
