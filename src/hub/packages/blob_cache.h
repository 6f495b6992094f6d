// SPDX-License-Identifier: Apache-2.0
// Blobs of a store elsewhere that this hub has read itself, kept for the next reader: files by (tenant, digest), least
// recently used ones gone first. It begins empty; nothing is lost with it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "hub/packages/gathering.h"
#include "hub/store/rows.h"

namespace geres::hub::packages {

// Any thread. Several that want one blob wait for the same download.
class BlobCache {
 public:
  // Writes the blob's bytes to the file. Its error is get()'s.
  using Fetch = std::function<Result<void>(GatheredFile& to)>;

  // Keeps at most `bytes_max`; a larger blob is not kept at all.
  BlobCache(const std::filesystem::path& directory, std::uint64_t bytes_max, std::uint64_t reserve);

  // `blobStoreAway` if what was fetched is not the blob.
  [[nodiscard]] Result<OpenBlob> get(const store::BlobKey& key, const Fetch& fetch);
  void forget(const store::BlobKey& key);
  std::uint64_t bytes() const;

 private:
  struct Entry {
    Fd fd;  // its file has no name
    std::uint64_t size = 0;
    std::list<store::BlobKey>::iterator used;
  };
  std::optional<OpenBlob> find(const store::BlobKey& key);  // with mutex_ held
  void keep(const store::BlobKey& key, const OpenBlob& blob);
  void drop(std::map<store::BlobKey, Entry>::iterator entry);

  const Gathering gathering_;
  const std::uint64_t bytes_max_;
  mutable std::mutex mutex_;
  std::condition_variable fetched_;
  std::map<store::BlobKey, Entry> entries_;
  std::list<store::BlobKey> by_use_;  // least recently used first
  std::set<store::BlobKey> fetching_;
  std::uint64_t bytes_ = 0;
};

}  // namespace geres::hub::packages
