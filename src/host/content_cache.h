// SPDX-License-Identifier: Apache-2.0
// Downloads that are kept and used again, by (tenant, sha256): unpacked packages and input files. An entry is there in
// full or not at all, because it is made beside its place, verified, and renamed.
//
//   DIRECTORY/<tenant>/<sha256>      an entry
//   DIRECTORY/<tenant>/.tmp-…        on its way in or out; swept at start
//
// Several requests for one entry wait for the same download. What an earlier life left is checked at its first use and
// fetched again if it is incomplete; where jobs could write to an entry, the same is done when it has changed since its
// last use. Beyond `bytes_max`, entries that nobody uses are removed, least recently used first.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/worker_pool.h"
#include "host/figures.h"
#include "host/link/hub_link.h"

namespace geres::host {

// An entry in use; it is not removed while `use` is held.
struct CachedContent {
  std::filesystem::path path;
  std::shared_ptr<void> use;
};

// On the loop's thread, except what the kind does.
class ContentCache {
 public:
  // What distinguishes the kinds of entries. All functions run on the pool and may throw when the disk fails.
  struct Kind {
    std::string noun;  // "package", for sentences
    // Makes the entry at `target` (absent) from the verified download; returns its size.
    std::function<Result<std::int64_t>(const std::filesystem::path& file, const std::filesystem::path& target)> install;
    // Reads the entry in full; returns its size if it is intact, else nothing.
    std::function<std::optional<std::int64_t>(const std::filesystem::path& entry)> check;
    // A text that differs from before if anything of the entry has changed; does not read its content.
    std::function<std::string(const std::filesystem::path& entry)> stamp;
    // Called when an entry is removed, to remove what belongs to it.
    std::function<void(const std::filesystem::path& entry)> forget;
  };
  struct Options {
    std::filesystem::path directory;
    std::int64_t bytes_max = 0;
    std::int64_t download_max = 0;
    bool jobs_can_write = false;  // then each use first checks whether the entry has changed
    unsigned directory_mode = 0700;
    std::function<void(const std::string& tenant, const std::filesystem::path& directory)> own;  // sets its owner
    std::function<std::string()> bearer;
    CacheFigures* figures = nullptr;  // if given, counts there
  };
  using Done = std::function<void(Result<CachedContent>)>;
  using Wanted = std::function<bool()>;

  ContentCache(Options options, Kind kind, HubLink& link, WorkerPool& pool, const Clock& clock);

  void start();  // before the loop runs: removes partial entries and finds the complete ones

  // Calls `done`, perhaps before it returns. Network trouble is retried while somebody wants the entry. Errors:
  // unknownFile (the hub does not have it any more), badPackage and others from install, badValue (three times the
  // bytes did not match the digest), storageFull (trouble of this machine).
  void get(const std::string& tenant, const std::string& sha256, const std::string& url, Wanted wanted, Done done);

 private:
  using Key = std::pair<std::string, std::string>;
  enum class State { found, loading, ready };
  struct Waiter {
    std::string url;  // valid for one lease, while that is current
    Wanted wanted;
    Done done;
  };
  struct Entry {
    State state = State::loading;
    std::int64_t bytes = 0;
    std::string stamp;  // with jobs_can_write
    int uses = 0;
    Millis used_at = 0;
    int tries = 0;
    int mismatches = 0;
    std::vector<Waiter> waiters;
  };

  std::filesystem::path path(const Key& key) const { return options_.directory / key.first / key.second; }
  void make_directory() const;
  std::filesystem::path temporary(const Key& key) const;
  CachedContent hold(const Key& key);
  void release(const Key& key);
  void examine(const Key& key);
  void look_again(const Key& key);
  std::string stamp_of(const Key& key) const;
  void download(const Key& key);
  void downloaded(const Key& key, const std::filesystem::path& file, const HubAnswer& answer);
  void retry(const Key& key, Millis delay);
  void install(const Key& key, const std::filesystem::path& file);
  void settle(const Key& key, Result<std::int64_t> bytes, std::string stamp = {});
  void make_room();
  void discard(const Key& key);

  Options options_;
  Kind kind_;
  HubLink& link_;
  WorkerPool& pool_;
  const Clock& clock_;
  std::map<Key, Entry> entries_;
  std::int64_t bytes_ = 0;
};

}  // namespace geres::host
