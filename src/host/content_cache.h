// SPDX-License-Identifier: Apache-2.0
// What was downloaded once and is used again, by (tenant, sha256): unpacked packages, and input files. An entry is
// there in full or not at all: it is made beside, verified, and renamed into place.
//
//   DIRECTORY/<tenant>/<sha256>      an entry
//   DIRECTORY/<tenant>/.tmp-…        on its way in or out; swept at start
//
// Many that ask for the same entry wait for one download. What lies there from an earlier life is checked at its first
// use and fetched again if it is not whole; so is, where jobs could write to it, what has changed since its last use.
// Entries nobody uses are removed, oldest use first, beyond `bytes_max`.
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

// An entry in use; it stays as long as `use` is held.
struct CachedContent {
  std::filesystem::path path;
  std::shared_ptr<void> use;
};

// The loop's thread, but for what the kind does.
class ContentCache {
 public:
  // What the entries are. All run on the pool and may throw when the disk fails.
  struct Kind {
    std::string noun;  // "package", for sentences
    // Makes the entry at `target` (absent) of the verified download; its size.
    std::function<Result<std::int64_t>(const std::filesystem::path& file, const std::filesystem::path& target)> install;
    // Whether an entry is whole, read in full; its size, or nothing.
    std::function<std::optional<std::int64_t>(const std::filesystem::path& entry)> check;
    // Differs from before when anything of the entry has been changed, though not read.
    std::function<std::string(const std::filesystem::path& entry)> stamp;
    // What goes along with an entry when it is removed.
    std::function<void(const std::filesystem::path& entry)> forget;
  };
  struct Options {
    std::filesystem::path directory;
    std::int64_t bytes_max = 0;
    std::int64_t download_max = 0;
    bool jobs_can_write = false;  // each use looks first whether the entry is as it was
    unsigned directory_mode = 0700;
    std::function<void(const std::string& tenant, const std::filesystem::path& directory)> own;  // sets its owner
    std::function<std::string()> bearer;
    CacheFigures* figures = nullptr;  // counts there, if given
  };
  using Done = std::function<void(Result<CachedContent>)>;
  using Wanted = std::function<bool()>;

  ContentCache(Options options, Kind kind, HubLink& link, WorkerPool& pool, const Clock& clock);

  void start();  // before the loop runs: sweeps, and finds what is there

  // Tells `done`, perhaps at once. Network trouble is retried as long as somebody wants it. Errors: unknownFile (the
  // hub has it no more), badPackage and the like from install, badValue (other bytes than the digest says, three
  // times), storageFull (this machine's trouble).
  void get(const std::string& tenant, const std::string& sha256, const std::string& url, Wanted wanted, Done done);

 private:
  using Key = std::pair<std::string, std::string>;
  enum class State { found, loading, ready };
  struct Waiter {
    std::string url;  // speaks for one lease, and only as long as that is current
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
