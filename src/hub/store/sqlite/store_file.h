// SPDX-License-Identifier: Apache-2.0
// What is done to a store's file from outside, beside a running hub or without one: check it, back it up, restore it.
//
// Beside a hub everything goes through one read connection (reader.h), which writes nothing and never checkpoints.
// While it reads, the hub's log cannot start anew and grows by what is written meanwhile: a check reads for seconds (a
// million jobs), a backup for as long as the copy takes and no longer, because it is checked after its read transaction
// ended. A backup copies pages (SQLite's backup API, all in one read transaction) instead of building the file anew
// (VACUUM INTO), which reads the same but works longer for it.
//
// All of it throws StoreFailed with a sentence for the user.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/uuid.h"
#include "hub/store/audit.h"

namespace geres::hub::store {

// The file must be a store of this version.
Audit audit_sqlite(const std::filesystem::path& file, const AuditOptions& options);

// Copies one committed state of the store to `to`, which must not exist: written beside it, synced, renamed; readable
// by its owner alone, in one file without a log. What the audit of the copy found is told, and the backup kept.
Audit backup_sqlite(const std::filesystem::path& file, const std::filesystem::path& to, const AuditOptions& options);

// What a store that nobody writes names of what lies beside it.
class StoreNames {
 public:
  explicit StoreNames(const std::filesystem::path& file);
  ~StoreNames();
  void each_blob(const std::function<void(const std::string& tenant, const std::string& sha256)>& visit);
  std::string log();       // names its event log
  int attempts(Uuid job);  // the number of its last one; 0: none, or no such job

 private:
  struct Parts;
  const std::unique_ptr<Parts> parts_;
};

struct RestoreOptions {
  AuditOptions audit;
  bool replace = false;      // a store that is there is kept beside it under another name; else it is refused
  std::string admin_sha256;  // of an admin's secret that must work afterwards; empty: none
};

struct Restored {
  Audit audit;
  std::filesystem::path kept;  // where the store that was there lies now; empty: there was none
};

// Makes `file` from a backup; no hub may run on it. The backup is brought to this version, and refused if the audit
// finds anything. It becomes a store of its own: its event log has a new name, so that whoever followed the old one is
// told of a gap, and no id that the old one may have given after the backup is given again.
Restored restore_sqlite(const std::filesystem::path& backup, const std::filesystem::path& file,
                        const RestoreOptions& options);

}  // namespace geres::hub::store
