// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/connection.h"

#include <cassert>
#include <cerrno>
#include <chrono>
#include <utility>

#include "hub/store/store.h"

namespace geres::hub::store::sqlite {
namespace {

std::int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

// A write that found no room has done nothing; a sync that failed for whatever reason may have lost anything.
bool no_space(sqlite3* handle, int code) {
  if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC) return false;
  const int error = handle == nullptr ? 0 : sqlite3_system_errno(handle);
  return error == ENOSPC || error == EDQUOT;
}

Failure meaning(sqlite3* handle, int code) {
  switch (code & 0xFF) {
    case SQLITE_FULL:
      return Failure::full;
    case SQLITE_IOERR:
      return no_space(handle, code) ? Failure::full : Failure::fatal;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL:
      return Failure::fatal;
    default:
      return Failure::refused;
  }
}

// Counting every allocation under a lock costs a tenth of the time, and nobody asks for the sums.
void configure_once() {
  static const int done = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  (void)done;
}

}  // namespace

void throw_failed(sqlite3* handle, int code, std::string_view what) {
  const std::string detail = handle == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle);
  throw StoreFailed(meaning(handle, code),
                    std::string(what) + ": " + detail + " (SQLite code " + std::to_string(code) + ")");
}

// ---- statements

Statement::~Statement() {
  if (statement_ == nullptr) return;
  if (owned_)
    sqlite3_finalize(statement_);
  else
    sqlite3_reset(statement_);
}

void Statement::put(int at, std::string_view text) {
  // An empty view may have no address, which would bind NULL.
  sqlite3_bind_text(statement_, at, text.empty() ? "" : text.data(), int(text.size()), SQLITE_STATIC);
}

void Statement::put(int at, Blob blob) {
  sqlite3_bind_blob(statement_, at, blob.bytes.empty() ? "" : blob.bytes.data(), int(blob.bytes.size()), SQLITE_STATIC);
}

void Statement::put(int at, Uuid id) {
  const std::string bytes = uuid_bytes(id);
  sqlite3_bind_blob(statement_, at, bytes.data(), int(bytes.size()), SQLITE_TRANSIENT);
}

void Statement::put(int at, double number) {
  sqlite3_bind_double(statement_, at, number);
}

void Statement::put(int at, std::nullptr_t) {
  sqlite3_bind_null(statement_, at);
}

void Statement::put_integer(int at, std::int64_t number) {
  sqlite3_bind_int64(statement_, at, number);
}

bool Statement::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  throw_failed(sqlite3_db_handle(statement_), code, "the store failed");
}

void Statement::run() {
  while (step()) {
  }
  sqlite3_reset(statement_);
}

void Statement::reset() {
  sqlite3_reset(statement_);
}

std::string_view Statement::view(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, std::size_t(sqlite3_column_bytes(statement_, column))};
}

// ---- connections

Database::Database(const std::filesystem::path& file, int flags, const std::string& vfs) {
  configure_once();
  const int code = sqlite3_open_v2(file.c_str(), &handle_, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                                   vfs.empty() ? nullptr : vfs.c_str());
  if (code == SQLITE_OK) return;
  const std::string detail = handle_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle_);
  sqlite3_close_v2(handle_);
  throw StoreFailed(Failure::fatal, "cannot open the store " + file.string() + ": " + detail);
}

Database::~Database() {
  for (const auto& [text, statement] : cache_) sqlite3_finalize(statement);
  sqlite3_close_v2(handle_);
}

Statement Database::cached(Sql sql) {
  sqlite3_stmt*& statement = cache_[sql.text];
  if (statement == nullptr) {
    const int code = sqlite3_prepare_v3(handle_, sql.text, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) throw_failed(handle_, code, sql.text);
  }
  assert(!sqlite3_stmt_busy(statement));
  return Statement(statement, false);
}

Statement Database::prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.c_str(), int(sql.size()), 0, &statement, nullptr);
  if (code != SQLITE_OK) throw_failed(handle_, code, sql);
  return Statement(statement, true);
}

void Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) throw_failed(handle_, code, sql.substr(0, 80));
}

std::int64_t Database::number(const std::string& sql) {
  auto statement = prepare(sql);
  return statement.step() ? statement.integer(0) : 0;
}

void Database::limit_time(std::int64_t ms) {
  if (ms == 0) {
    sqlite3_progress_handler(handle_, 0, nullptr, nullptr);
    return;
  }
  deadline_ = now_ms() + ms;
  const auto late = [](void* self) { return int(now_ms() > static_cast<Database*>(self)->deadline_); };
  sqlite3_progress_handler(handle_, 10'000, late, this);
}

ReadTransaction::ReadTransaction(Database& database) : database_(database.in_transaction() ? nullptr : &database) {
  if (database_ != nullptr) database_->cached("BEGIN").run();
}

ReadTransaction::~ReadTransaction() {
  if (database_ != nullptr) sqlite3_exec(database_->handle(), "COMMIT", nullptr, nullptr, nullptr);
}

}  // namespace geres::hub::store::sqlite
