// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/reader.h"

namespace geres::hub::store::sqlite {
namespace {

constexpr int kPatienceMs = 5'000;  // for locks that nobody should hold

}  // namespace

std::unique_ptr<Database> open_reader(const std::filesystem::path& file, const std::string& vfs, int cache_kib) {
  auto database = std::make_unique<Database>(file, SQLITE_OPEN_READONLY, vfs);
  sqlite3_busy_timeout(database->handle(), kPatienceMs);
  sqlite3_db_config(database->handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_wal_autocheckpoint(database->handle(), 0);
  database->execute("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -" +
                    std::to_string(cache_kib));
  return database;
}

}  // namespace geres::hub::store::sqlite
