// SPDX-License-Identifier: Apache-2.0
// A job filter as SQL: which rows to walk (always in the order of seq) and which of them fit. In every query built here
// $1, $2 and $3 are free for the caller: from, to, how many.
#pragma once

#include "hub/store/postgres/connection.h"
#include "hub/store/rows.h"

namespace geres::hub::store::postgres {

class FilterSql {
 public:
  // `near`: jobs that wait or run are looked for between the oldest and the newest of them.
  FilterSql(Connection& connection, const JobFilter& filter, bool near = false);

  const std::string& from() const { return from_; }         // " FROM job j … " with status and lease
  const std::string& walk() const { return walk_; }         // condition that finds the rows to walk
  const std::string& fits() const { return fits_; }         // condition that a row must fulfil
  bool selective() const { return selective_ && !short_; }  // the walk may be long before a row fits
  // The rest of that condition: rows from `low` to `high`, SQL each, empty: as far as there are any.
  std::string range(const std::string& low, const std::string& high) const;
  Values values(std::int64_t first, std::int64_t second, std::int64_t third) const;  // $1 to $3, and the filter's own

 private:
  template <class T>
  std::string parameter(const T& value);  // "$4", "$5", …
  template <class T>
  std::string list(const std::vector<T>& values);
  void choose_walk(Connection& connection, const JobFilter& filter, bool near);
  bool choose_open(Connection& connection, const JobFilter& filter, bool near);
  void add(const std::string& condition, bool walked = false);
  void add_places(const JobFilter& filter);
  void add_texts(const JobFilter& filter);

  std::string from_, walk_ = "true", fits_ = "true";
  enum class Walk { all, few, batch, dead, tenant };
  Walk walks_ = Walk::all;
  bool selective_ = false, short_ = false;
  std::vector<std::string> lows_, highs_;
  Values own_;
};

}  // namespace geres::hub::store::postgres
