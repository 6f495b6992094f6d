// SPDX-License-Identifier: Apache-2.0
#include "runner/slot_limits.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/duration.h"
#include "runner/descriptors.h"

namespace geres::runner {
namespace {

bool put(const std::string& file, std::string_view text) {
  const Fd fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));
  return fd && write(fd.get(), text.data(), text.size()) == ssize_t(text.size());
}

// How often the limit of "max N" refused something.
std::int64_t refused(int events) {
  const auto text = read_again(events);
  return text.starts_with("max ") ? std::atoll(text.c_str() + 4) : 0;
}

void kill_rest(const std::string& directory) {
  for (const pid_t pid : read_processes(directory))
    if (pid > 0) ::kill(pid, SIGKILL);
}

// v2: passes the controller on to the groups below `directory`, which must have no processes of its own. Returns the
// reason on failure, else empty.
std::string hand_down(const std::string& directory, const std::string& controller) {
  const auto parent = std::filesystem::path(directory).parent_path();
  for (const auto& group : {parent.string(), directory})
    if (!put(group + "/cgroup.subtree_control", "+" + controller))
      return errno == EBUSY ? group + " holds other processes, too"
                            : group + " does not hand it down: " + std::strerror(errno);
  return {};
}

}  // namespace

Result<std::unique_ptr<SlotLimits>> SlotLimits::make(std::uint32_t slots, ContainmentKind& containment) {
  std::unique_ptr<SlotLimits> limits(new SlotLimits(slots, containment));
  if (auto failed = limits->find_memory()) return *failed;
  if (auto failed = limits->find_tasks()) return *failed;
  return limits;
}

std::optional<Error> SlotLimits::note_missing(const char* what, const Error& why) {
  if (why.code == Code::tooMany) return why;
  missing_ += (missing_.empty() ? "" : "; ") + std::string(what) + ": " + why.message;
  return std::nullopt;
}

// The error for errno.
Error SlotLimits::trouble(const std::string& where) const {
  if (lacks_descriptors(errno)) return no_descriptors(slots_);
  return fail(Code::unavailable, where + ": " + std::strerror(errno));
}

// ---- at the start ---------------------------------------------------------------------------------------------------

std::optional<Error> SlotLimits::find_memory() {
  constexpr const char* kWhat = "the kernel does not limit memory here";
  std::vector<Memory> found(slots_);
  const auto open_all = [&](auto directory_of, CgroupVersion version) {
    for (std::uint32_t slot = 0; slot < slots_; ++slot)
      if (!found[slot].group.open(directory_of(slot), version) || !found[slot].group.prepare(0, false)) return false;
    return true;
  };
  if (const auto parent = own_cgroup("memory"); !parent.empty()) {
    auto made = CgroupDirectory::make(parent, slots_, kill_rest);
    if (!made) return note_missing(kWhat, made.error());
    if (!open_all([&](std::uint32_t slot) { return made->slot_path(slot); }, CgroupVersion::v1))
      return note_missing(kWhat, trouble(made->path()));
    memory_directory_.emplace(std::move(*made));
  } else {
    if (containment_.group(0).empty()) return note_missing(kWhat, fail(Code::unavailable, "there is no cgroup for it"));
    if (auto why = hand_down(containment_.directory(), "memory"); !why.empty())
      return note_missing(kWhat, fail(Code::unavailable, why));
    if (!open_all([&](std::uint32_t slot) { return containment_.group(slot); }, CgroupVersion::v2))
      return note_missing(kWhat, trouble(containment_.directory()));
  }
  memory_ = std::move(found);
  return std::nullopt;
}

std::optional<Error> SlotLimits::find_tasks() {
  constexpr const char* kWhat = "the kernel does not limit a job's processes here";
  std::vector<Tasks> found(slots_);
  if (const auto parent = own_cgroup("pids"); !parent.empty()) {
    auto made = CgroupDirectory::make(parent, slots_, kill_rest);
    if (!made) return note_missing(kWhat, made.error());
    for (std::uint32_t slot = 0; slot < slots_; ++slot) {
      found[slot].join = Fd(open((made->slot_path(slot) + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
      if (!found[slot].join || !open_tasks(found[slot], made->slot_path(slot)))
        return note_missing(kWhat, trouble(made->path()));
    }
    tasks_directory_.emplace(std::move(*made));
  } else {
    if (containment_.group(0).empty()) return note_missing(kWhat, fail(Code::unavailable, "there is no cgroup for it"));
    if (auto why = hand_down(containment_.directory(), "pids"); !why.empty())
      return note_missing(kWhat, fail(Code::unavailable, why));
    for (std::uint32_t slot = 0; slot < slots_; ++slot)
      if (!open_tasks(found[slot], containment_.group(slot)))
        return note_missing(kWhat, trouble(containment_.group(slot)));
  }
  tasks_ = std::move(found);
  return std::nullopt;
}

std::vector<std::string> SlotLimits::directories() const {
  std::vector<std::string> list;
  for (const auto* directory : {&memory_directory_, &tasks_directory_})
    if (*directory) list.push_back((*directory)->path());
  return list;
}

// ---- for each attempt -----------------------------------------------------------------------------------------------

bool SlotLimits::prepare(std::uint32_t slot, const wire::RunLimits& limits) {
  return (!has_memory() || prepare_memory(slot, limits)) && (!has_tasks() || prepare_tasks(slot, limits));
}

// v2: a slot whose group was used up has a new one, about which nothing is known yet.
bool SlotLimits::follow_containment(std::uint32_t slot) {
  if (memory_directory_) return true;
  auto& memory = memory_[slot];
  const auto group = containment_.group(slot);
  return memory.group.directory() == group || memory.group.open(group, CgroupVersion::v2);
}

// The memory still charged to the old group moves to its parent, which has no limit.
bool SlotLimits::renew_memory(std::uint32_t slot) {
  if (!memory_directory_) return containment_.renew(slot) && follow_containment(slot);
  auto& memory = memory_[slot];
  const std::string fresh = memory_directory_->slot_path(slot) + "-" + std::to_string(++memory.renewals);
  remove_cgroups(memory.group.directory());
  return mkdir(fresh.c_str(), 0755) == 0 && memory.group.open(fresh, CgroupVersion::v1);
}

bool SlotLimits::prepare_memory(std::uint32_t slot, const wire::RunLimits& limits) {
  auto& memory = memory_[slot];
  if (!follow_containment(slot)) return false;
  if (memory.group.holds_leftovers() && !renew_memory(slot)) return false;
  memory.limit = limits.treeMemoryBytes.value_or(0);
  if (!memory.group.prepare(memory.limit, limits.outOfMemoryEnds)) {
    if (errno != EBUSY || !renew_memory(slot) || !memory.group.prepare(memory.limit, limits.outOfMemoryEnds))
      return false;
  }
  memory.kills_before = memory.group.kills();
  return true;
}

bool SlotLimits::open_tasks(Tasks& tasks, const std::string& directory) const {
  tasks.directory = directory;
  tasks.limit = -1;
  tasks.events = Fd(open((directory + "/pids.events").c_str(), O_RDONLY | O_CLOEXEC));
  return bool(tasks.events);
}

bool SlotLimits::prepare_tasks(std::uint32_t slot, const wire::RunLimits& limits) {
  auto& tasks = tasks_[slot];
  if (!tasks_directory_ && tasks.directory != containment_.group(slot) && !open_tasks(tasks, containment_.group(slot)))
    return false;
  tasks.refused_before = refused(tasks.events.get());
  tasks.processes = limits.treeProcesses;
  const std::int64_t wanted = limits.treeTasks.value_or(0);
  if (tasks.limit == wanted) return true;
  if (!put(tasks.directory + "/pids.max", wanted > 0 ? std::to_string(wanted) : "max")) return false;
  tasks.limit = wanted;
  return true;
}

std::array<int, 2> SlotLimits::join_fds(std::uint32_t slot) const {
  return {has_memory() ? memory_[slot].group.join_fd() : -1, has_tasks() ? tasks_[slot].join.get() : -1};
}

int SlotLimits::event_fd(std::uint32_t slot) const {
  return has_memory() ? memory_[slot].group.event_fd() : -1;
}

std::optional<std::string> SlotLimits::out_of_memory(std::uint32_t slot) const {
  if (!has_memory() || memory_[slot].group.kills() <= memory_[slot].kills_before) return std::nullopt;
  const auto& memory = memory_[slot];
  const auto peak = memory.group.peak();
  const std::string most = peak > 0 ? ", peak " + format_size(peak) : std::string();
  if (memory.group.has_reached_limit()) return "out of memory, limit " + format_size(memory.limit) + most;
  return "out of memory, the machine had no more" + most;
}

std::optional<std::string> SlotLimits::out_of_tasks(std::uint32_t slot) const {
  if (!has_tasks() || refused(tasks_[slot].events.get()) <= tasks_[slot].refused_before) return std::nullopt;
  const auto& tasks = tasks_[slot];
  const auto most = "it came to " + std::to_string(tasks.limit) + " processes and threads";
  return tasks.processes ? most + ", the most for --process-limit " + std::to_string(*tasks.processes) : most;
}

}  // namespace geres::runner
