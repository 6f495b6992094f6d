// SPDX-License-Identifier: Apache-2.0
// Control group v2: a child is born in its group (CLONE_INTO_CGROUP), cannot leave it without rights over the group
// above, and cgroup.kill ends the whole group in one step that no fork outruns. It needs no controller, so it also
// works on machines where v1 holds them all.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <set>
#include <utility>

#include "runner/cgroup_directory.h"
#include "runner/clone.h"
#include "runner/containment.h"
#include "runner/descriptors.h"

namespace geres::runner {
namespace {

Fd open_in(const std::string& directory, const char* name, int flags) {
  return Fd(open((directory + "/" + name).c_str(), flags | O_CLOEXEC));
}

// The kernel's cgroup.kill signals first threads only, so a process whose first thread has ended does not get it.
void kill_processes(const std::string& directory) {
  for (const pid_t pid : read_processes(directory))
    if (pid > 0) ::kill(pid, SIGKILL);
}

void kill_cgroup(const std::string& directory) {
  const Fd fd = open_in(directory, "cgroup.kill", O_WRONLY);
  [[maybe_unused]] const ssize_t ignored = fd ? write(fd.get(), "1", 1) : 0;
  kill_processes(directory);
}

struct Slot {
  std::string path;
  Fd directory, join, kill, events, cpu;
  bool killed = false;  // cgroup.kill was used
  std::uint32_t renewals = 0;

  bool open(const std::string& at) {
    path = at;
    directory = Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    join = open_in(path, "cgroup.procs", O_WRONLY);
    kill = open_in(path, "cgroup.kill", O_WRONLY);
    events = open_in(path, "cgroup.events", O_RDONLY);
    if (!directory || !join || !kill || !events) return false;
    cpu = open_in(path, "cpu.stat", O_RDONLY);
    killed = false;
    return cpu || errno == ENOENT;
  }
};

// Some kernels (6.14 and later, seen on 6.18) kill a child that is born into a cgroup whose cgroup.kill was used more
// often than its parent's. So no cgroup is used again after a kill, and this checks that a fresh one accepts children
// at all.
bool takes_newborn(int directory_fd) {
  CloneRequest request;
  request.cgroup_fd = directory_fd;
  const pid_t pid = clone_child(
      request, [](void*) { _exit(0); }, nullptr);
  int status = -1;
  if (pid > 0)
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
  return pid > 0 && WIFEXITED(status);
}

class Cgroup2 final : public ContainmentKind {
 public:
  Cgroup2(CgroupDirectory directory, std::vector<Slot> slots)
      : directory_(std::move(directory)),
        slots_(std::move(slots)),
        takes_newborn_(takes_newborn(slots_[0].directory.get())) {}

  wire::Containment kind() const override { return wire::Containment::cgroup2; }
  std::string directory() const override { return directory_.path(); }
  int cgroup_fd(std::uint32_t slot) const override { return takes_newborn_ ? slots_[slot].directory.get() : -1; }
  int join_fd(std::uint32_t slot) const override { return takes_newborn_ ? -1 : slots_[slot].join.get(); }

  bool prepare(std::uint32_t slot) override { return !slots_[slot].killed || !takes_newborn_ || renew(slot); }
  std::string group(std::uint32_t slot) const override { return slots_[slot].path; }
  bool renew(std::uint32_t slot) override {
    auto& s = slots_[slot];
    remove_cgroups(s.path);
    const std::string fresh = directory_.slot_path(slot) + "-" + std::to_string(++s.renewals);
    return mkdir(fresh.c_str(), 0755) == 0 && s.open(fresh);
  }

  void terminate(std::uint32_t slot) override {
    // Repeat until no new process is seen, to reach those born in the meantime.
    std::set<pid_t> told;
    for (int round = 0; round < 5; ++round) {
      bool news = false;
      for (const pid_t pid : read_processes(slots_[slot].path))
        if (pid > 0 && told.insert(pid).second) ::kill(pid, SIGTERM), news = true;
      if (!news) return;
    }
  }
  void kill(std::uint32_t slot) override {
    auto& s = slots_[slot];
    [[maybe_unused]] const ssize_t ignored = write(s.kill.get(), "1", 1);
    if (std::exchange(s.killed, true)) kill_processes(s.path);  // cgroup.kill alone was not enough
  }
  bool empty(std::uint32_t slot) override {
    char text[128];
    const ssize_t got = pread(slots_[slot].events.get(), text, sizeof text, 0);
    return got > 0 && std::string_view(text, std::size_t(got)).find("populated 0") != std::string_view::npos;
  }
  std::vector<pid_t> processes(std::uint32_t slot) override { return read_processes(slots_[slot].path); }
  std::optional<std::int64_t> cpu_micros(std::uint32_t slot) override {
    char text[512];
    const ssize_t got = slots_[slot].cpu ? pread(slots_[slot].cpu.get(), text, sizeof text, 0) : -1;
    constexpr std::string_view kName = "usage_usec ";
    if (got <= 0 || !std::string_view(text, std::size_t(got)).starts_with(kName)) return std::nullopt;
    std::int64_t micros = 0;
    std::from_chars(text + kName.size(), text + got, micros);
    return micros;
  }

 private:
  CgroupDirectory directory_;
  std::vector<Slot> slots_;
  bool takes_newborn_;
};

}  // namespace

ContainmentResult make_cgroup2(std::uint32_t slots) {
  std::string parent = own_cgroup("");
  if (parent.ends_with("/" + std::string(wire::kHostGroup))) parent.resize(parent.rfind('/'));
  if (parent.empty()) return fail(Code::unavailable, "no cgroup v2 is mounted");
  auto directory = CgroupDirectory::make(parent, slots, kill_cgroup);
  if (!directory) return directory.error();
  std::vector<Slot> opened(slots);
  for (std::uint32_t i = 0; i < slots; ++i)
    if (!opened[i].open(directory->slot_path(i))) {
      if (lacks_descriptors(errno)) return no_descriptors(slots);
      return fail(Code::unavailable, "no cgroup.kill in " + directory->slot_path(i) + ": " + std::strerror(errno));
    }
  return ContainmentResult(std::make_unique<Cgroup2>(std::move(*directory), std::move(opened)));
}

}  // namespace geres::runner
