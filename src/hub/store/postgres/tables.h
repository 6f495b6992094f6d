// SPDX-License-Identifier: Apache-2.0
// The tables, as far as rows are written to them by their shapes: columns in the shape's order, the key first among
// them or named. From this their statements are made, once.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "hub/store/postgres/values.h"

namespace geres::hub::store::postgres {

struct ColumnOf {
  const char* name;
  Kind kind;
};

struct Table {
  Table(const char* name, const char* key, std::vector<ColumnOf> columns);

  const char* name;
  const char* key;  // "pool, instance"
  std::vector<ColumnOf> columns;
  std::string names;   // "id, name, …"
  std::string rows;    // "unnest($1::uuid[], …)": what a RowSet binds
  std::string update;  // "name = excluded.name, …"
  std::string insert;  // a whole statement
  std::string put;     // likewise; replaces the row that has the key
};

namespace tables {
extern const Table tenant, batch, lane, host, host_drain, package, token, operation, list_key, cursor, blob, join_token,
    enrolment, webhook, webhook_delivery, pool, machine, scaler_intent, scaler_decision, load_sample, job, job_status,
    lease, attempt, job_file, event, ready, scheduled;
}

// Rows of one table, to be written by one statement.
class RowSet {
 public:
  explicit RowSet(const Table& table) {
    for (const auto& column : table.columns) columns_.emplace_back(column.kind);
  }
  template <class... T>
  void add(const T&... values) {
    std::size_t at = 0;
    (columns_[at++].add(values), ...);
    ++rows_;
  }
  std::size_t size() const { return rows_; }
  Values values() const {
    Values values;
    for (const auto& column : columns_) values.add(column);
    return values;
  }

 private:
  std::vector<Column> columns_;
  std::size_t rows_ = 0;
};

}  // namespace geres::hub::store::postgres
