// SPDX-License-Identifier: Apache-2.0
#include "host/disk_watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/duration.h"
#include "base/file.h"
#include "base/log.h"

namespace geres::host {
namespace {

constexpr int kDepthMax = 128;  // each level costs a descriptor
constexpr Millis kPauseMin = 100;
constexpr Millis kPauseMax = 1'000;
constexpr Millis kRest = 10;  // after a measurement it pauses this many times as long as that took
constexpr Millis kSpacePause = 500;
constexpr fsfilcnt_t kInodesReserve = 1'000;

struct Walk {
  const ScratchLimits& limits;
  ScratchUse use;

  bool over() const { return !over_scratch(use, limits).empty(); }

  void directory(Fd fd, int depth) {
    if (depth > kDepthMax) {
      use.too_deep = true;
      return;
    }
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd.get()), &::closedir);
    if (!stream) return;
    const int at = fd.release();  // from here on the stream owns it
    while (const dirent* item = ::readdir(stream.get())) {
      const std::string_view name = item->d_name;
      if (name == "." || name == "..") continue;
      struct stat facts {};
      if (::fstatat(at, item->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
      ++use.files;
      use.bytes += std::int64_t(facts.st_blocks) * 512;
      if (over()) return;
      if (!S_ISDIR(facts.st_mode)) continue;
      if (Fd below{::openat(at, item->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)})
        directory(std::move(below), depth + 1);
      if (over()) return;
    }
  }
};

// Lets everybody else's reading of directories go first.
void be_modest() {
  constexpr int kWhoProcess = 1, kIdle = 3 << 13;
  ::setpriority(PRIO_PROCESS, id_t(::syscall(SYS_gettid)), 5);
  ::syscall(SYS_ioprio_set, kWhoProcess, 0, kIdle);
}

}  // namespace

ScratchUse measure_scratch(const std::filesystem::path& directory, const ScratchLimits& limits) {
  Walk walk{limits, {}};
  if (Fd fd{::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)})
    walk.directory(std::move(fd), 0);
  return walk.use;
}

std::string over_scratch(const ScratchUse& use, const ScratchLimits& limits) {
  if (limits.bytes > 0 && use.bytes > limits.bytes)
    return "its files took up more than " + format_size(limits.bytes) + " (--scratch-limit)";
  if (limits.files > 0 && use.files > limits.files)
    return "it made more than " + std::to_string(limits.files) + " files";
  if (use.too_deep) return "its directories lie more than " + std::to_string(kDepthMax) + " deep";
  return {};
}

DiskWatch::DiskWatch(ScratchLimits limits, std::filesystem::path data, Callbacks callbacks)
    : limits_(limits), data_(std::move(data)), callbacks_(std::move(callbacks)) {}

void DiskWatch::start() {
  look_at_space();  // so that the free space is known before the first job is asked for
  thread_ = std::thread([this] { run(); });
}

void DiskWatch::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void DiskWatch::add(const std::string& key, const std::filesystem::path& directory) {
  const Millis now = clock_.monotonic();
  const std::lock_guard lock(mutex_);
  // A short job ends before its first measurement, for which the thread wakes by itself.
  watched_[key] = {directory, now + kPauseMax, now};
}

void DiskWatch::remove(const std::string& key) {
  const std::lock_guard lock(mutex_);
  watched_.erase(key);
}

void DiskWatch::held(const std::string& key, std::int64_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = watched_.find(key);
    if (it == watched_.end()) return;
    it->second.bytes += bytes - it->second.held;
    it->second.held = bytes;
    if (limits_.bytes <= 0 || it->second.bytes <= limits_.bytes || it->second.doubtful) return;
    it->second.next = 0;  // measure at once
  }
  changed_.notify_all();
}

void DiskWatch::run() {
  be_modest();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const Millis now = clock_.monotonic();
    if (space_next_ <= now) {
      lock.unlock();
      look_at_space();
      lock.lock();
      space_next_ = clock_.monotonic() + kSpacePause;
      continue;
    }
    const auto first = std::min_element(watched_.begin(), watched_.end(),
                                        [](const auto& a, const auto& b) { return a.second.next < b.second.next; });
    if (first != watched_.end() && first->second.next <= now) {
      const auto [key, watched] = *first;
      lock.unlock();
      look_at(key, watched.directory);
      lock.lock();
      continue;
    }
    const Millis next = first == watched_.end() ? space_next_ : std::min(space_next_, first->second.next);
    changed_.wait_for(lock, std::chrono::milliseconds(next - now));
  }
}

void DiskWatch::look_at_space() {
  struct statvfs facts {};
  if (::statvfs(data_.c_str(), &facts) != 0) return;
  const auto free = std::int64_t(facts.f_bavail) * std::int64_t(facts.f_frsize);
  const bool is_short = free < limits_.reserve || (facts.f_files > 0 && facts.f_favail < kInodesReserve);
  if (is_short == short_) return;
  short_ = is_short;
  log::event(is_short ? log::Level::warn : log::Level::info, is_short ? "disk low" : "disk has room again",
             {{"of", data_.string()}, {"freeBytes", free}});
  callbacks_.short_of_space(is_short);
}

void DiskWatch::look_at(const std::string& key, const std::filesystem::path& directory) {
  const Millis begun = clock_.monotonic();
  auto use = measure_scratch(directory, limits_);
  const Millis now = clock_.monotonic();
  std::string reason;
  {
    const std::lock_guard lock(mutex_);
    const auto it = watched_.find(key);
    if (it == watched_.end()) return;  // the attempt has ended in the meantime
    const bool over_without = !over_scratch(use, limits_).empty();
    use.bytes += it->second.held;
    reason = over_scratch(use, limits_);
    // The two numbers were not taken at the same moment: a file may have been closed, and another may have taken its
    // space.
    if (const bool doubtful = !reason.empty() && !over_without; doubtful != it->second.doubtful) {
      it->second.doubtful = doubtful;
      if (doubtful) it->second.next = now + kPauseMax;
      if (doubtful) return;
    }
    if (reason.empty()) {
      it->second.next = now + pause(it->second, use, now, now - begun);
      it->second.measured_at = now;
      it->second.bytes = use.bytes;
      return;
    }
    watched_.erase(it);
  }
  callbacks_.over(key, reason);
}

// Half of the time in which it would reach its limit at the present rate.
Millis DiskWatch::pause(const Watched& watched, const ScratchUse& use, Millis now, Millis cost) const {
  Millis pause = kPauseMax;
  const std::int64_t grown = use.bytes - watched.bytes;
  if (limits_.bytes > 0 && grown > 0) {
    const double left = double(limits_.bytes - use.bytes) / double(grown) * double(now - watched.measured_at);
    pause = Millis(std::clamp(left / 2, double(kPauseMin), double(kPauseMax)));
  }
  return std::max(pause, cost * kRest);
}

}  // namespace geres::host
