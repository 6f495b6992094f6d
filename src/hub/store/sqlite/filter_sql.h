// SPDX-License-Identifier: Apache-2.0
// A job filter as SQL: which rows to walk (the cheapest way, always in the order of seq) and which of them fit.
// In every query built here ?1, ?2 and ?3 are free for the caller: from, to, how many.
#pragma once

#include <variant>

#include "hub/store/rows.h"
#include "hub/store/sqlite/connection.h"

namespace geres::hub::store::sqlite {

class FilterSql {
 public:
  // `near`: jobs that wait or run are looked for between the oldest and the newest of them, which costs a look at each
  // priority of each lane.
  FilterSql(Database& database, const JobFilter& filter, bool near = false);

  const std::string& from() const { return from_; }            // "FROM job j … LEFT JOIN lease l …"
  const std::string& walk_from() const { return walk_from_; }  // the same without leases: enough for walk()
  const std::string& walk() const { return walk_; }            // condition that finds the rows to walk
  const std::string& fits() const { return fits_; }            // condition that a row must fulfil
  // The rest of that condition: rows from `low` to `high`, SQL each, empty: as far as there are any. One bound each
  // way, because SQLite begins a walk at one of them and tests the others row by row.
  std::string range(const std::string& low, const std::string& high) const;
  bool selective() const { return selective_ && walks_ != Walk::few; }  // the walk may be long before a row fits
  void bind(Statement& statement) const;                                // ?4 and on, as many as the statement has

 private:
  using Value = std::variant<std::int64_t, std::string, Uuid>;
  std::string parameter(Value value);  // "?4", "?5", …
  void choose_walk(Database& database, const JobFilter& filter, bool near);
  void add(const std::string& condition, bool walked = false);
  void add_places(const JobFilter& filter);
  void add_texts(const JobFilter& filter);
  bool choose_open(Database& database, const JobFilter& filter, bool near);

  std::string from_, walk_from_, walk_ = "1", fits_ = "1";
  enum class Walk { all, few, batch, dead, tenant };
  Walk walks_ = Walk::all;
  bool selective_ = false;
  std::vector<std::string> lows_, highs_;
  std::vector<Value> values_;
};

// "tenant = ?" or "tenant IN (…)" over ?1, which tenants_value() gives; "1" when all are meant.
std::string tenants_condition(const std::vector<std::string>& tenants, const std::string& column,
                              const std::string& parameter);
std::string tenants_value(const std::vector<std::string>& tenants);

}  // namespace geres::hub::store::sqlite
