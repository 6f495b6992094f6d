// SPDX-License-Identifier: Apache-2.0
#include "runner/memory_group.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string_view>

#include "runner/cgroup_directory.h"

namespace geres::runner {
namespace {

constexpr std::int64_t kLeftoversMin = 1 << 20;
constexpr std::int64_t kNearLimit = 2 << 20;  // each processor keeps some pages back

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Finds `name` in lines of "name value"; 0 if it is not there.
std::int64_t value_of(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ' ')
      return number(line.substr(name.size() + 1));
  }
  return 0;
}

Fd open_in(const std::string& directory, const char* name, int flags) {
  return Fd(open((directory + "/" + name).c_str(), flags | O_CLOEXEC));
}

bool put(const std::string& directory, const char* name, std::string_view text) {
  const Fd file = open_in(directory, name, O_WRONLY);
  return file && write(file.get(), text.data(), text.size()) == ssize_t(text.size());
}

std::string read_in(const std::string& directory, const char* name) {
  const Fd file = open_in(directory, name, O_RDONLY);
  return file ? read_again(file.get()) : std::string();
}

}  // namespace

bool MemoryGroup::open(const std::string& directory, CgroupVersion version) {
  directory_ = directory;
  version_ = version;
  limit_ = kill_all_ = -1;
  const bool v1 = version == CgroupVersion::v1;
  events_ = open_in(directory, v1 ? "memory.oom_control" : "memory.events", O_RDONLY);
  if (!events_) return false;
  if (!v1) {
    peak_ = open_in(directory, "memory.peak", O_RDWR);
    return true;
  }
  peak_ = open_in(directory, "memory.max_usage_in_bytes", O_RDWR);
  join_ = open_in(directory, "cgroup.procs", O_WRONLY);
  return peak_ && join_ && listen();
}

bool MemoryGroup::listen() {
  event_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return event_ &&
         put(directory_, "cgroup.event_control", std::to_string(event_.get()) + " " + std::to_string(events_.get()));
}

bool MemoryGroup::prepare(std::int64_t bytes, bool kill_all) {
  // Resets the peak. In v2 that counts for this descriptor only, and needs Linux 6.12: before, it stays the peak of all
  // time.
  if (peak_) [[maybe_unused]]
    const ssize_t ignored = pwrite(peak_.get(), "0", 1, 0);
  at_limit_before_ = times_at_limit();
  if (version_ == CgroupVersion::v2 && kill_all_ != int{kill_all}) {
    if (!put(directory_, "memory.oom.group", kill_all ? "1" : "0")) return false;
    kill_all_ = int{kill_all};
  }
  if (limit_ == bytes) return true;
  if (!write_limit(bytes)) return false;
  limit_ = bytes;
  return true;
}

bool MemoryGroup::write_limit(std::int64_t bytes) {
  if (version_ == CgroupVersion::v2) {
    put(directory_, "memory.swap.max", "0");  // absent on a kernel without swap
    return put(directory_, "memory.max", bytes > 0 ? std::to_string(bytes) : "max");
  }
  constexpr const char *kMemory = "memory.limit_in_bytes", *kWithSwap = "memory.memsw.limit_in_bytes";
  const std::string value = bytes > 0 ? std::to_string(bytes) : "-1";
  // The limit with swap may never be below the other one, so the order depends on whether they grow or shrink.
  if (!put(directory_, kMemory, value) &&
      !(errno == EINVAL && put(directory_, kWithSwap, value) && put(directory_, kMemory, value)))
    return false;
  return put(directory_, kWithSwap, value) || errno == ENOENT;
}

std::int64_t MemoryGroup::usage() const {
  return number(read_in(directory_, version_ == CgroupVersion::v1 ? "memory.usage_in_bytes" : "memory.current"));
}

bool MemoryGroup::holds_leftovers() const {
  if (usage() < kLeftoversMin) return false;
  const auto facts = read_in(directory_, "memory.stat");
  return value_of(facts, version_ == CgroupVersion::v1 ? "total_shmem" : "shmem") >= kLeftoversMin;
}

std::int64_t MemoryGroup::kills() const {
  return value_of(read_again(events_.get()), "oom_kill");
}

std::int64_t MemoryGroup::peak() const {
  return peak_ ? number(read_again(peak_.get())) : 0;
}

std::int64_t MemoryGroup::times_at_limit() const {
  return version_ == CgroupVersion::v2 ? value_of(read_again(events_.get()), "oom") : 0;
}

bool MemoryGroup::has_reached_limit() const {
  if (limit_ <= 0) return false;
  return version_ == CgroupVersion::v2 ? times_at_limit() > at_limit_before_ : peak() + kNearLimit >= limit_;
}

}  // namespace geres::runner
