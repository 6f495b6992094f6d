// SPDX-License-Identifier: Apache-2.0
#include "hub/packages/blob_cache.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace geres::hub::packages {
namespace {

// A reader's own place in the file: a duplicate would share one.
Fd opened_anew(const Fd& file) {
  Fd again(::open(fmt::format("/proc/self/fd/{}", file.get()).c_str(), O_RDONLY | O_CLOEXEC));
  if (!again) throw std::system_error(errno, std::generic_category(), "open a kept blob again");
  return again;
}

}  // namespace

BlobCache::BlobCache(const std::filesystem::path& directory, std::uint64_t bytes_max, std::uint64_t reserve)
    : gathering_(directory, reserve), bytes_max_(bytes_max) {}

Result<OpenBlob> BlobCache::get(const store::BlobKey& key, const Fetch& fetch) {
  {
    std::unique_lock lock(mutex_);
    while (true) {
      if (auto found = find(key)) return std::move(*found);
      if (fetching_.insert(key).second) break;
      fetched_.wait(lock);
    }
  }
  const auto done = [&] {
    const std::lock_guard lock(mutex_);
    fetching_.erase(key);
    fetched_.notify_all();
  };
  try {
    GatheredFile file(gathering_);
    auto fetched = fetch(file);
    Result<Blob> blob = fetched ? file.end({}) : Result<Blob>(fetched.error());
    if (blob && blob->sha256 != key.sha256)
      blob = fail(
          Code::blobStoreAway,
          fmt::format("the store of files gave other bytes for {} (their SHA-256 is {})", key.sha256, blob->sha256), {},
          "the object has been changed or cut: upload the file again");
    if (!blob) {
      done();
      return blob.error();
    }
    OpenBlob open{opened_anew(file.fd()), blob->size};
    keep(key, open);
    done();
    return open;
  } catch (...) {
    done();
    throw;
  }
}

std::optional<OpenBlob> BlobCache::find(const store::BlobKey& key) {
  const auto entry = entries_.find(key);
  if (entry == entries_.end()) return std::nullopt;
  by_use_.splice(by_use_.end(), by_use_, entry->second.used);
  return OpenBlob{opened_anew(entry->second.fd), entry->second.size};
}

void BlobCache::keep(const store::BlobKey& key, const OpenBlob& blob) {
  if (blob.size > bytes_max_) return;
  const std::lock_guard lock(mutex_);
  while (bytes_ + blob.size > bytes_max_) drop(entries_.find(by_use_.front()));
  by_use_.push_back(key);
  entries_.insert_or_assign(key, Entry{opened_anew(blob.fd), blob.size, std::prev(by_use_.end())});
  bytes_ += blob.size;
}

void BlobCache::forget(const store::BlobKey& key) {
  const std::lock_guard lock(mutex_);
  if (const auto entry = entries_.find(key); entry != entries_.end()) drop(entry);
}

void BlobCache::drop(std::map<store::BlobKey, Entry>::iterator entry) {
  bytes_ -= entry->second.size;
  by_use_.erase(entry->second.used);
  entries_.erase(entry);
}

std::uint64_t BlobCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace geres::hub::packages
