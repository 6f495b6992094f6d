// SPDX-License-Identifier: Apache-2.0
// The store in one SQLite file; the embedded default. WAL, synchronous=FULL: commit() returns when it is on disk.
//
// SQLite before 3.51.3 can damage a WAL when two connections write or checkpoint at once. Here one connection alone
// writes and alone checkpoints; readers are query-only, never checkpoint, also not when they close. A second hub on
// the same file is refused by a lock on FILE.lock that is held for life.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "hub/store/store.h"

namespace geres::hub::store {

struct SqliteOptions {
  std::string vfs;                 // empty: the default one
  bool lock_file = true;           // false where `file` is no name in the file system
  bool single_connection = false;  // reads go through the writer's connection, on the writer's thread only
  int readers = 6;                 // read connections at most, opened on demand
  int writer_cache_kib = 32 * 1024;
  int reader_cache_kib = 4 * 1024;
  int checkpoint_pages = 4000;  // of the log, 4 KiB each; it stays within a few times that
  Millis read_limit = 10'000;   // a longer read fails as `refused`: it would keep the log from shrinking
  Millis check_limit = 300;     // time for the check at start; 0: no check
  // Room kept back in FILE.reserve for what ends jobs when the disk is full; see Failure::full. 0: none.
  std::int64_t reserve_bytes = 16 << 20;
  std::int64_t max_pages = 0;  // of the file, 4 KiB each; 0: as many as fit
};

// Makes the file if it is absent, and brings an older one to the newest schema. Throws StoreFailed (fatal) with a
// sentence for the user when the file is in use, damaged, of a newer version or no store at all.
std::unique_ptr<Store> open_sqlite(const std::filesystem::path& file, const SqliteOptions& options = {});

}  // namespace geres::hub::store
