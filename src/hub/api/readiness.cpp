// SPDX-License-Identifier: Apache-2.0
#include "hub/api/readiness.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <system_error>

#include "base/duration.h"
#include "base/log.h"

namespace geres::hub::api {
namespace {

constexpr std::uint64_t kNothing = 1 << 20;  // too little for the store to take a job
constexpr std::uint64_t kLittle = 20 << 20;  // the store keeps 16 MiB back for what ends jobs
constexpr Millis kRefusalCounts = 15'000;    // because some disks (with quotas) claim room that they do not have
constexpr Millis kSilence = 10'000;

std::optional<packages::Space> space_at(const std::filesystem::path& directory) {
  struct statvfs status {};
  if (::statvfs(directory.c_str(), &status) != 0) return std::nullopt;
  return packages::Space{std::uint64_t(status.f_bavail) * status.f_frsize,
                         std::uint64_t(status.f_blocks) * status.f_frsize};
}

std::string free_words(const packages::Space& space) {
  return format_size(std::int64_t(space.free_bytes)) + " free";
}

}  // namespace

void Readiness::look() {
  Now now;
  std::string files_trouble;
  try {
    now.files = blobs_.space();
  } catch (const std::system_error& failed) {
    files_trouble = failed.code().message();
  }
  now.store = space_at(store_.parent_path());
  const Millis full_at = stats_.full_at;
  const bool refused =
      full_at > 0 && (!now.store || now.store->free_bytes < kLittle || clock_.monotonic() - full_at < kRefusalCounts);
  if (!now.store)
    now.why = "the store's disk cannot be reached";
  else if (now.store->free_bytes < kNothing || refused)
    now.why = "the store's disk is full: " + free_words(*now.store);
  else if (!now.files)
    now.why = "the place of packages and files cannot be reached: " + files_trouble;
  else if (const auto trouble = blobs_.trouble(); !trouble.empty())
    now.why = "the store of packages and files is out of reach", now.files_away = true;
  now.takes_jobs = now.why.empty();
  now.files_away = now.files_away || !now.files;
  tell_low(store_watch_, now.store);
  if (!one_disk()) tell_low(files_watch_, now.files);
  Now before;
  {
    const std::lock_guard lock(mutex_);
    before = std::exchange(now_, now);
    looked_at_ = clock_.monotonic();
  }
  tell_change(before, now);
}

Readiness::Now Readiness::now() const {
  const std::lock_guard lock(mutex_);
  auto now = now_;
  if (const Millis since = stats_.store_away_at; since > 0) {
    now.takes_jobs = false;
    now.why = "the store has not answered for " + format_duration(clock_.monotonic() - since);
  }
  if (looked_at_ > 0 && clock_.monotonic() - looked_at_ > kSilence) {
    now.takes_jobs = false;
    now.why = "the hub's disk has not answered for " + format_duration(clock_.monotonic() - looked_at_);
    now.store.reset(), now.files.reset();
  }
  return now;
}

void Readiness::tell_change(const Now& before, const Now& now) const {
  if (before.takes_jobs == now.takes_jobs) return;
  if (now.takes_jobs) return log::event(log::Level::info, "hub takes jobs again", {});
  std::vector<log::Member> members{{"why", now.why}};
  if (now.store) members.emplace_back("freeBytes", now.store->free_bytes);
  log::event(log::Level::err, "hub takes no jobs", members);
}

// Warns again only after the free space has been half as much more, so that a disk near the mark does not fill itself
// with log lines.
void Readiness::tell_low(Watch& watch, const std::optional<packages::Space>& space) const {
  if (!space) return;
  const bool low = space->free_bytes < (watch.low ? low_ + low_ / 2 : low_);
  if (low == std::exchange(watch.low, low)) return;
  log::event(low ? log::Level::warn : log::Level::info, low ? "disk low" : "disk has room again",
             {{"of", watch.place}, {"freeBytes", space->free_bytes}, {"totalBytes", space->total_bytes}});
}

bool Readiness::one_disk() const {
  struct statvfs store {
  }, files{};
  return ::statvfs(store_.parent_path().c_str(), &store) == 0 && ::statvfs(blobs_.place().c_str(), &files) == 0 &&
         store.f_fsid == files.f_fsid;
}

}  // namespace geres::hub::api
