// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/blob_rows.h"

#include "hub/store/sqlite/json_columns.h"

namespace geres::hub::store::sqlite {

void put_blobs(Database& database, const std::vector<BlobRow>& blobs) {
  if (blobs.empty()) return;
  auto put = database.cached("INSERT OR REPLACE INTO blob VALUES(?,?,?,?,?)");
  for (const auto& [key, size, state, at] : blobs) {
    const std::string digest = digest_bytes(key.sha256);
    put.bind(key.tenant, Blob{digest}, size, int(state), at).run();
  }
}

void remove_blobs(Database& database, const std::vector<BlobKey>& blobs) {
  if (blobs.empty()) return;
  auto remove = database.cached("DELETE FROM blob WHERE tenant=? AND sha256=?");
  for (const auto& key : blobs) {
    const std::string digest = digest_bytes(key.sha256);
    remove.bind(key.tenant, Blob{digest}).run();
  }
}

std::optional<BlobRow> find_blob(Database& database, const BlobKey& key) {
  const std::string digest = digest_bytes(key.sha256);
  auto row = database.cached("SELECT size, state, at FROM blob WHERE tenant=? AND sha256=?");
  if (!row.bind(key.tenant, Blob{digest}).step()) return std::nullopt;
  return BlobRow{key, row.integer(0), BlobState(row.integer(1)), row.integer(2)};
}

std::vector<BlobRow> blobs_since(Database& database, BlobState state, Millis before, const BlobRow& after,
                                 std::size_t max) {
  const std::string digest = digest_bytes(after.key.sha256);
  auto rows = database.cached(
      "SELECT tenant, sha256, size, at FROM blob WHERE state=?1 AND at<?2 AND (at, tenant, sha256) > (?3, ?4, ?5)"
      " ORDER BY at, tenant, sha256 LIMIT ?6");
  rows.bind(int(state), before, after.at, after.key.tenant, Blob{digest}, std::int64_t(max));
  std::vector<BlobRow> blobs;
  while (rows.step())
    blobs.push_back({{std::string(rows.view(0)), digest_hex(rows.view(1))}, rows.integer(2), state, rows.integer(3)});
  return blobs;
}

bool blob_named(Database& database, const BlobKey& key) {
  const std::string digest = digest_bytes(key.sha256);
  auto rows = database.cached(
      "SELECT EXISTS (SELECT 1 FROM package WHERE tenant=?1 AND sha256=?2)"
      " OR EXISTS (SELECT 1 FROM package_use WHERE tenant=?1 AND sha256=?2)"
      " OR EXISTS (SELECT 1 FROM job_input WHERE tenant=?1 AND sha256=?2)"
      " OR EXISTS (SELECT 1 FROM job_file WHERE tenant=?1 AND sha256=?2)");
  rows.bind(key.tenant, Blob{digest}).step();
  return rows.integer(0) != 0;
}

}  // namespace geres::hub::store::sqlite
