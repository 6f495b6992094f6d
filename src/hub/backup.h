// SPDX-License-Identifier: Apache-2.0
// All that a hub keeps, as one thing in a directory, taken beside a hub that works:
//
//   DIR/geres.db       one committed moment of the store
//   DIR/blobs/         every package, input and artifact that it names, and what was uploaded and is still unnamed
//   DIR/logs/          of the attempts that it knows
//   DIR/admin.token    if there is one
//   DIR/SHA256SUMS     of all of these, as sha256sum(1) reads it
//   DIR/backup.json    of SHA256SUMS; written last, so that a backup without it is known for an unfinished one
//
// The store is read before the blobs that it names are looked for, since a blob comes before its name. One that the hub
// has forgotten and removed in between makes the store be read again, which does not name it any more.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "hub/store/audit.h"

namespace geres::hub {

// Where a hub's things lie.
struct HubPlaces {
  std::filesystem::path data, store;
  std::filesystem::path blobs;  // empty: elsewhere, and not in the backup
};

struct Pile {
  std::int64_t files = 0, bytes = 0;
};

struct BackupFound {
  store::Audit audit;
  Pile blobs, logs;
  bool admin_token = false;
  std::vector<std::string> lost;  // blobs that the store names and that are not there, or damaged; the first 20
  std::int64_t lost_count = 0;
};

// In a hub's data directory: made anew by each backup that has succeeded, so that its hub can tell when that was.
inline constexpr const char* kBackupMark = "last-backup";

// Both throw StoreFailed or std::system_error with a sentence for the user.

// `to` must not be there, or be empty. What was written is removed again when it cannot be finished.
BackupFound backup_hub(const HubPlaces& places, const std::filesystem::path& to, const store::AuditOptions& options);

// Into a directory that is empty or not there. Every file is held against its sum before anything is put in its place.
// If the audit finds anything, nothing is restored. The secret in admin.token, drawn if the backup has none, is an
// admin's afterwards.
BackupFound restore_hub(const std::filesystem::path& from, const std::filesystem::path& data,
                        const store::AuditOptions& options);

}  // namespace geres::hub
