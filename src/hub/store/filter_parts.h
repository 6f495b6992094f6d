// SPDX-License-Identifier: Apache-2.0
// What filters in SQL have in common, whatever the database.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hub/store/reads.h"

namespace geres::hub::store {

constexpr std::int64_t kFewRows = 10'000;  // a table of no more is walked as a whole

bool only_open(const std::vector<model::JobState>& states);

// The small tables that hold the jobs of these states; nullopt if some stand in none. `any_blocked` is asked if need
// be.
std::optional<std::vector<std::string>> tables_of(const std::vector<model::JobState>& states,
                                                  const std::function<bool()>& any_blocked);

// From the first to the last row of some jobs; 0, 0 if there are none.
struct Span {
  Seq first = 0, last = 0;
  void add(Seq from, Seq to);
};

bool in_ids(Millis time);                                             // whether a time can be that of an id
std::string states_list(const std::vector<model::JobState>& states);  // "(0,2)"
// One bound of several: `function` takes the greatest or the least of them.
std::string bound(const char* function, const std::vector<std::string>& bounds);

// A digit string in lower case that may be a part of an id; nullopt: it cannot.
std::optional<std::string> id_digits(const std::string& hex);
std::uint64_t digits_value(const std::string& hex, std::size_t from, std::size_t count);
// The ids that start or end with the digits, newest first, each once, at most `max`.
void keep_matching(std::vector<Uuid>& ids, const std::string& digits, std::size_t max);

model::Batch usual_default_batch();  // as it is before anybody has changed it
bool fits(const BatchFilter& filter, const model::Batch& batch);

}  // namespace geres::hub::store
