// SPDX-License-Identifier: Apache-2.0
#include "host/content_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/log.h"
#include "base/sha256.h"
#include "base/uuid.h"
#include "host/workspace.h"
#include "model/names.h"

namespace geres::host {
namespace {

constexpr int kMismatchesMax = 3;
constexpr std::string_view kTemporary = ".tmp-";

// storageFull: no space, which may be the fault of the content. internal: any other trouble with the disk.
Error disk_trouble(const std::exception& trouble) {
  const auto* system = dynamic_cast<const std::system_error*>(&trouble);
  const bool full = system != nullptr && (system->code().value() == ENOSPC || system->code().value() == EDQUOT);
  return fail(full ? Code::storageFull : Code::internal, std::string("the host's disk: ") + trouble.what());
}

}  // namespace

ContentCache::ContentCache(Options options, Kind kind, HubLink& link, WorkerPool& pool, const Clock& clock)
    : options_(std::move(options)), kind_(std::move(kind)), link_(link), pool_(pool), clock_(clock) {}

void ContentCache::make_directory() const {
  std::filesystem::create_directories(options_.directory);
  if (::chmod(options_.directory.c_str(), options_.directory_mode) != 0)
    throw std::system_error(errno, std::generic_category(), "chmod " + options_.directory.string());
}

void ContentCache::start() {
  namespace fs = std::filesystem;
  make_directory();
  for (const auto& tenant : fs::directory_iterator(options_.directory)) {
    if (!tenant.is_directory()) continue;
    if (options_.own) options_.own(tenant.path().filename(), tenant.path());
    for (const auto& item : fs::directory_iterator(tenant.path())) {
      const std::string name = item.path().filename();
      if (name.starts_with(kTemporary)) remove_tree(item.path());
      if (!is_sha256_hex(name)) continue;
      Entry& entry = entries_[{tenant.path().filename(), name}];
      entry.state = State::found;
      if (item.is_regular_file()) entry.bytes = std::int64_t(item.file_size());
      bytes_ += entry.bytes;
    }
  }
  if (options_.figures != nullptr) options_.figures->bytes = bytes_;
}

std::filesystem::path ContentCache::temporary(const Key& key) const {
  return options_.directory / key.first / (std::string(kTemporary) + random_hex(8));
}

CachedContent ContentCache::hold(const Key& key) {
  Entry& entry = entries_.at(key);
  ++entry.uses;
  entry.used_at = clock_.monotonic();
  std::shared_ptr<void> use(nullptr, [this, key](void*) { link_.post([this, key] { release(key); }); });
  return {path(key), std::move(use)};
}

void ContentCache::release(const Key& key) {
  const auto entry = entries_.find(key);
  if (entry == entries_.end()) return;
  --entry->second.uses;
  entry->second.used_at = clock_.monotonic();
  make_room();
}

void ContentCache::get(const std::string& tenant, const std::string& sha256, const std::string& url, Wanted wanted,
                       Done done) {
  // The URL is only a path, because another address could receive the host's secret.
  if (!model::is_name(tenant) || !is_sha256_hex(sha256) || !url.starts_with('/'))
    return done(fail(Code::badValue, "the hub named no proper " + kind_.noun));
  if (options_.figures != nullptr) ++options_.figures->asked;
  const Key key{tenant, sha256};
  const auto [place, fresh] = entries_.try_emplace(key);
  Entry& entry = place->second;
  if (entry.state == State::ready && !options_.jobs_can_write) return done(hold(key));
  entry.waiters.push_back({url, std::move(wanted), std::move(done)});
  if (entry.state == State::ready) return look_again(key);
  if (fresh) return download(key);
  if (entry.state == State::found) examine(key);
}

// An entry of an earlier life is complete, or fetched again.
void ContentCache::examine(const Key& key) {
  entries_.at(key).state = State::loading;
  pool_.run([this, key] {
    std::optional<std::int64_t> bytes;
    try {
      bytes = kind_.check(path(key));
    } catch (const std::exception&) {  // unreadable counts as incomplete
    }
    if (!bytes) {
      log::event(log::Level::warn, "cached file damaged", {{"of", kind_.noun}, {"sha256", key.second}});
      kind_.forget(path(key));
      remove_tree(path(key));
    }
    link_.post([this, key, bytes, stamp = bytes ? stamp_of(key) : std::string()] {
      Entry& entry = entries_.at(key);
      bytes_ -= entry.bytes;
      entry.bytes = 0;
      if (bytes) return settle(key, *bytes, stamp);
      download(key);
    });
  });
}

std::string ContentCache::stamp_of(const Key& key) const {
  try {
    return options_.jobs_can_write ? kind_.stamp(path(key)) : std::string();
  } catch (const std::exception&) {  // unreadable counts as changed
    return {};
  }
}

// Checks whether the entry has changed. If so it is read in full, and fetched again if its content is not the same.
void ContentCache::look_again(const Key& key) {
  Entry& entry = entries_.at(key);
  entry.state = State::loading;
  pool_.run([this, key, before = entry.stamp] {
    const auto stamp = stamp_of(key);
    link_.post([this, key, stamp, same = !stamp.empty() && stamp == before] {
      if (!same) return examine(key);
      Entry& entry = entries_.at(key);
      bytes_ -= entry.bytes;
      settle(key, entry.bytes, stamp);
    });
  });
}

void ContentCache::download(const Key& key) {
  Entry& entry = entries_.at(key);
  std::erase_if(entry.waiters, [](const Waiter& waiter) { return !waiter.wanted(); });
  if (entry.waiters.empty()) return void(entries_.erase(key));
  const auto tenant_directory = options_.directory / key.first;
  auto file = temporary(key);
  auto fd = std::make_shared<Fd>();
  try {
    if (!std::filesystem::exists(options_.directory)) make_directory();  // somebody has removed it
    if (std::filesystem::create_directory(tenant_directory) && options_.own) options_.own(key.first, tenant_directory);
    *fd = Fd(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!*fd) throw std::system_error(errno, std::generic_category(), "create " + file.string());
  } catch (const std::exception& trouble) {
    return settle(key, disk_trouble(trouble));
  }
  HubCall call;
  call.method = "GET";
  call.path = entry.waiters.front().url;
  call.token = options_.bearer();
  call.download = fd;
  call.download_max = options_.download_max;
  ++entry.tries;
  if (options_.figures != nullptr) ++options_.figures->downloads;
  link_.send(std::move(call), [this, key, file](HubAnswer answer) { downloaded(key, file, answer); });
}

void ContentCache::downloaded(const Key& key, const std::filesystem::path& file, const HubAnswer& answer) {
  Entry& entry = entries_.at(key);
  if (answer.status == 200 && answer.sha256 == key.second) return install(key, file);
  // The call still has the file open, so it is emptied to free its space now.
  if (::truncate(file.c_str(), 0) != 0)
    log::event(log::Level::warn, "download cannot be emptied", {{"of", kind_.noun}, {"sha256", key.second}});
  ::unlink(file.c_str());
  if (answer.ours)
    return settle(key,
                  fail(answer.disk ? Code::internal : Code::storageFull, kind_.noun + " download: " + answer.trouble));
  if (answer.status == 200) {
    log::event(log::Level::warn, "download has another digest",
               {{"of", kind_.noun}, {"sha256", key.second}, {"got", answer.sha256}});
    if (++entry.mismatches < kMismatchesMax) return retry(key, backoff(entry.mismatches, 50, 1'000));
    return settle(key, fail(Code::badValue, "the hub's " + kind_.noun + " does not have the digest it is named by"));
  }
  if (answer.again() || answer.status == 401) {
    log::event(log::Level::warn, "download failed",
               {{"of", kind_.noun}, {"sha256", key.second}, {"error", answer.trouble}});
    return retry(key, std::max(answer.retry_after_ms, backoff(entry.tries, 100, 5'000)));
  }
  if (!entry.waiters.front().wanted()) return download(key);  // the lease under which it was asked for has ended
  settle(key, fail(Code::unknownFile,
                   "the hub does not give out the " + kind_.noun + " (status " + std::to_string(answer.status) + ")"));
}

void ContentCache::retry(const Key& key, Millis delay) {
  link_.after(delay, [this, key] { download(key); });
}

void ContentCache::install(const Key& key, const std::filesystem::path& file) {
  pool_.run([this, key, file] {
    Result<std::int64_t> bytes = fail(Code::internal, "not installed");
    try {
      bytes = kind_.install(file, path(key));
    } catch (const std::exception& trouble) {
      bytes = disk_trouble(trouble);
    }
    ::unlink(file.c_str());
    link_.post([this, key, bytes, stamp = bytes ? stamp_of(key) : std::string()] { settle(key, bytes, stamp); });
  });
}

void ContentCache::settle(const Key& key, Result<std::int64_t> bytes, std::string stamp) {
  Entry& entry = entries_.at(key);
  auto waiters = std::exchange(entry.waiters, {});
  if (!bytes) {
    entries_.erase(key);
    for (auto& waiter : waiters) waiter.done(bytes.error());
    return;
  }
  entry.state = State::ready;
  entry.bytes = *bytes;
  entry.stamp = std::move(stamp);
  entry.tries = entry.mismatches = 0;
  bytes_ += *bytes;
  for (auto& waiter : waiters) waiter.done(hold(key));
  make_room();
}

void ContentCache::make_room() {
  while (bytes_ > options_.bytes_max) {
    auto oldest = entries_.end();
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      if (it->second.uses > 0 || it->second.state == State::loading) continue;
      if (oldest == entries_.end() || it->second.used_at < oldest->second.used_at) oldest = it;
    }
    if (oldest == entries_.end()) break;
    const Key key = oldest->first;
    bytes_ -= oldest->second.bytes;
    entries_.erase(oldest);
    discard(key);
  }
  if (options_.figures != nullptr) options_.figures->bytes = bytes_;
}

// Renamed at once, so that a new download finds the place free, and removed later.
void ContentCache::discard(const Key& key) {
  const auto away = temporary(key);
  kind_.forget(path(key));
  std::error_code ignored;
  std::filesystem::rename(path(key), away, ignored);
  pool_.run([away] { remove_tree(away); });
}

}  // namespace geres::host
