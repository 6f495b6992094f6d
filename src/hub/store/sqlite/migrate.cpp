// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/migrate.h"

#include "hub/store/store.h"

namespace geres::hub::store::sqlite {
namespace {

constexpr std::int64_t kApplication = 0x47655265;  // "GeRe", in the file's header

void refuse(std::string_view file, const std::string& why) {
  throw StoreFailed(Failure::fatal, "cannot use the store " + std::string(file) + ": " + why);
}

void run_step(Database& database, std::string_view sql, std::size_t version) {
  database.execute("BEGIN IMMEDIATE");
  try {
    database.execute(std::string(sql));
    database.execute("PRAGMA user_version = " + std::to_string(version));
    database.execute("COMMIT");
  } catch (...) {
    if (database.in_transaction()) sqlite3_exec(database.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

void require_ours(Database& database, std::string_view file) {
  if (database.number("PRAGMA application_id") != kApplication) refuse(file, "it is an SQLite file of another program");
}

std::size_t known_version(Database& database, std::size_t newest, std::string_view file) {
  const auto version = std::size_t(database.number("PRAGMA user_version"));
  if (version > newest)
    refuse(file, "it was made by a newer version of GeRes (schema " + std::to_string(version) + ", this one knows " +
                     std::to_string(newest) + "); use that version or a backup");
  return version;
}

}  // namespace

void require_newest(Database& database, std::size_t newest, std::string_view file) {
  require_ours(database, file);
  if (known_version(database, newest, file) < newest)
    refuse(file, "it was made by an older version of GeRes; start a hub on it once, which brings it up to date");
}

void migrate(Database& database, const std::vector<std::string_view>& steps, std::string_view file) {
  const bool fresh =
      database.number("PRAGMA user_version") == 0 && database.number("SELECT count(*) FROM sqlite_schema") == 0;
  if (!fresh) require_ours(database, file);
  const auto version = known_version(database, steps.size(), file);
  if (fresh) database.execute("PRAGMA application_id = " + std::to_string(kApplication));
  for (std::size_t next = version; next < steps.size(); ++next) run_step(database, steps[next], next + 1);
}

}  // namespace geres::hub::store::sqlite
