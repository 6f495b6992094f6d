// SPDX-License-Identifier: Apache-2.0
// A thin door over the SQLite C API: a connection with its cached statements, binding and reading by type, and result
// codes as StoreFailed. Nothing here knows a table. One thread at a time per connection.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "hub/store/columns.h"

namespace geres::hub::store::sqlite {

// The text of a statement that is known when compiling: such statements are cached, by address.
struct Sql {
  consteval Sql(const char* text) : text(text) {}
  const char* text;
};

// A prepared statement in use; given back (or finalized) when it goes. What is bound must live until it has run.
class Statement {
 public:
  Statement(sqlite3_stmt* statement, bool owned) : statement_(statement), owned_(owned) {}
  Statement(Statement&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)), owned_(other.owned_) {}
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  template <class... T>
  Statement& bind(const T&... values) {
    int at = 0;
    (put(++at, values), ...);
    return *this;
  }
  void put(int at, std::string_view text);
  void put(int at, const std::string& text) { put(at, std::string_view(text)); }
  void put(int at, const char* text) { put(at, std::string_view(text)); }
  void put(int at, Blob blob);
  void put(int at, Uuid id);
  void put(int at, double number);
  void put(int at, std::nullptr_t);
  void put(int at, OrNull value) { value.text.empty() ? put(at, nullptr) : put(at, value.text); }
  void put(int at, Unless number) { number.value == number.usual ? put(at, nullptr) : put(at, number.value); }
  template <class T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) void put(int at, T number) {
    put_integer(at, std::int64_t(number));
  }
  template <class T>
  void put(int at, const std::optional<T>& value) {
    value ? put(at, *value) : put(at, nullptr);
  }

  bool step();  // true: there is a row
  void run();   // all of it; ready to be bound and run again
  void reset();

  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  double real(int column) const { return sqlite3_column_double(statement_, column); }
  std::string_view view(int column) const;  // text or blob, until the next step
  Uuid uuid(int column) const { return uuid_from(view(column)); }

 private:
  void put_integer(int at, std::int64_t number);

  sqlite3_stmt* statement_;
  bool owned_;
};

using Columns = RowReader<Statement>;

// Binds and runs what it is handed.
inline auto run(Statement& statement) {
  return [&statement](const auto&... values) { statement.bind(values...).run(); };
}

class Database {
 public:
  Database(const std::filesystem::path& file, int flags, const std::string& vfs);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  sqlite3* handle() const { return handle_; }
  Statement cached(Sql sql);
  Statement prepare(const std::string& sql);    // for this once
  void execute(const std::string& sql);         // one or more statements without rows
  std::int64_t number(const std::string& sql);  // the first column of the first row; 0 if there is none
  bool in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }
  int changes() const { return sqlite3_changes(handle_); }
  // Makes statements fail as `refused` when they take longer; 0: no limit.
  void limit_time(std::int64_t ms);

 private:
  sqlite3* handle_ = nullptr;
  std::unordered_map<const void*, sqlite3_stmt*> cache_;
  std::int64_t deadline_ = 0;
};

// Writes each row as `columns(row, put)` hands it over.
template <class Rows, class Shape>
void put_each(Database& database, Sql sql, const Rows& rows, Shape columns) {
  if (rows.empty()) return;
  auto statement = database.cached(sql);
  for (const auto& row : rows) columns(row, run(statement));
}

// All rows of a statement that is bound.
template <class Read>
auto all(Statement&& rows, Read read) {
  std::vector<decltype(read(Columns(rows)))> found;
  while (rows.step()) found.push_back(read(Columns(rows)));
  return found;
}

// A read transaction: all reads see one committed state. Nested in a transaction it does nothing.
class ReadTransaction {
 public:
  explicit ReadTransaction(Database& database);
  ~ReadTransaction();
  ReadTransaction(const ReadTransaction&) = delete;
  ReadTransaction& operator=(const ReadTransaction&) = delete;

 private:
  Database* database_;
};

// Throws what a result code means. The connection's own message and errno are taken into account.
[[noreturn]] void throw_failed(sqlite3* handle, int code, std::string_view what);

}  // namespace geres::hub::store::sqlite
