// SPDX-License-Identifier: Apache-2.0
// A connection to PostgreSQL over libpq's pipeline: statements are sent one behind the other and waited for together.
// Sockets never block and every wait has a deadline of its own, because a network that has gone silent tells nobody.
// Nothing here knows a table. One thread at a time per connection.
#pragma once

#include <libpq-fe.h>

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "hub/store/postgres/values.h"
#include "hub/store/store.h"

namespace geres::hub::store::postgres {

// A statement's rows, in the binary format.
class Result {
 public:
  class Row {
   public:
    Row(const PGresult* result, int row) : result_(result), row_(row) {}
    bool is_null(int column) const { return PQgetisnull(result_, row_, column) != 0; }
    std::int64_t integer(int column) const;  // 0: NULL
    double real(int column) const;
    std::string_view view(int column) const;  // text or bytes, while the result lives
    Uuid uuid(int column) const { return uuid_from(view(column)); }

   private:
    const PGresult* result_;
    int row_;
  };

  Result() = default;
  explicit Result(PGresult* result) : result_(result, &PQclear) {}
  int size() const { return result_ ? PQntuples(result_.get()) : 0; }
  bool empty() const { return size() == 0; }
  Row operator[](int row) const { return {result_.get(), row}; }
  const PGresult* raw() const { return result_.get(); }
  std::int64_t changed() const;  // rows that a statement without rows has touched

  template <class Read>
  auto all(Read read) const {
    std::vector<decltype(read(RowReader<Row>(Row(nullptr, 0))))> found;
    found.reserve(std::size_t(size()));
    for (int at = 0; at < size(); ++at) {
      const Row row = (*this)[at];
      found.push_back(read(RowReader<Row>(row)));
    }
    return found;
  }
  template <class Read>
  auto first(Read read) const {
    std::optional<decltype(read(RowReader<Row>(Row(nullptr, 0))))> found;
    if (empty()) return found;
    const Row row = (*this)[0];
    found = read(RowReader<Row>(row));
    return found;
  }

 private:
  std::shared_ptr<PGresult> result_;
};

using Reader = RowReader<Result::Row>;

// The server has refused a statement, or is not there.
class PostgresFailed : public StoreFailed {
 public:
  PostgresFailed(Failure failure, std::string state, const std::string& what)
      : StoreFailed(failure, what), state(std::move(state)) {}
  const std::string state;  // SQLSTATE; empty: the connection is lost
};

// What a SQLSTATE means for a transaction whose COMMIT was not sent.
Failure failure_of(std::string_view state);

class Connection {
 public:
  // `url` is a connection URI or string of libpq's. Throws PostgresFailed, in a sentence for the operator that names
  // the server but no password.
  Connection(const std::string& url, const std::string& application, Millis limit);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Sends; a failure shows at the next wait, and what was sent after it has not run.
  void send(const std::string& sql, const Values& values = {});
  Result ask(const std::string& sql, const Values& values = {});  // and waits, for all that was sent
  void wait();
  void wait(Millis limit);  // instead of the connection's own

  // Several statements without parameters or rows.
  void script(const std::string& sql);

  bool lost() const { return lost_; }
  // The last warning of the server since forget_warnings(); empty: none.
  const std::string& warning() const { return warning_; }
  void forget_warnings() { warning_.clear(); }
  bool in_transaction() const;
  int process() const { return PQbackendPID(connection_.get()); }
  std::string server() const;  // "host:port/database", for messages

 private:
  struct Expected {
    enum class Kind { prepared, rows, synced } kind;
    const std::string* sql = nullptr;
  };

  void connect(const std::string& url, const std::string& application);
  void poll_until(Millis deadline, bool writing);
  void flush(Millis deadline);
  PGresult* next_result(Millis deadline);
  const std::string& prepare(const std::string& sql, const Values& values);
  [[noreturn]] void lose(const std::string& why);

  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_{nullptr, &PQfinish};
  Millis limit_;
  bool lost_ = false;
  std::string warning_;
  std::deque<Expected> expected_;
  std::unordered_map<std::string, std::string> prepared_;  // names, by SQL
  int next_name_ = 0;
  Result last_;
};

}  // namespace geres::hub::store::postgres
