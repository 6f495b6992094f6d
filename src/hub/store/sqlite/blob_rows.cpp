// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/blob_rows.h"

#include "hub/store/shapes/small.h"

namespace geres::hub::store::sqlite {

void put_blobs(Database& database, const std::vector<BlobRow>& blobs) {
  put_each(database, "INSERT OR REPLACE INTO blob VALUES(?,?,?,?,?)", blobs,
           [](const auto& row, auto put) { shapes::blob_columns(row, put); });
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
  auto rows = database.cached("SELECT tenant, sha256, size, state, at FROM blob WHERE tenant=? AND sha256=?");
  if (!rows.bind(key.tenant, Blob{digest}).step()) return std::nullopt;
  return shapes::read_blob(Columns(rows));
}

std::vector<BlobRow> blobs_since(Database& database, BlobState state, Millis before, const BlobRow& after,
                                 std::size_t max) {
  const std::string digest = digest_bytes(after.key.sha256);
  auto rows = database.cached(
      "SELECT tenant, sha256, size, state, at FROM blob WHERE state=?1 AND at<?2 AND (at, tenant, sha256) > (?3, ?4, "
      "?5)"
      " ORDER BY at, tenant, sha256 LIMIT ?6");
  rows.bind(int(state), before, after.at, after.key.tenant, Blob{digest}, std::int64_t(max));
  return all(std::move(rows), [](Columns row) { return shapes::read_blob(row); });
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
