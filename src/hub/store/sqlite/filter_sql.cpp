// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/filter_sql.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "hub/store/filter_parts.h"
#include "hub/store/json_columns.h"

namespace geres::hub::store::sqlite {
namespace {

// Where a job is, with its lease in view.
constexpr const char* kPlace = "CASE WHEN l.seq IS NULL THEN j.state WHEN l.started_at IS NULL THEN 3 ELSE 4 END";

bool few(Database& database, const std::string& table) {
  return database.number("SELECT count(*) FROM (SELECT 1 FROM " + table + " LIMIT " + std::to_string(kFewRows + 1) +
                         ")") <= kFewRows;
}

// The table is in the order of lane, priority, seq: a look at both ends of each priority, however many jobs wait.
Span span_of_ready(Database& database) {
  constexpr int kLooksMax = 4'000;
  auto priority_after = database.cached(
      "SELECT lane, priority, seq FROM ready WHERE lane = ? AND priority > ? ORDER BY priority, seq LIMIT 1");
  auto lane_after =
      database.cached("SELECT lane, priority, seq FROM ready WHERE lane > ? ORDER BY lane, priority, seq LIMIT 1");
  auto last = database.cached("SELECT seq FROM ready WHERE lane = ? AND priority = ? ORDER BY seq DESC LIMIT 1");
  Span span;
  auto lane = std::numeric_limits<std::int64_t>::min(), priority = lane;
  for (int looks = 0; looks < kLooksMax; ++looks) {
    for (auto* statement : {&priority_after, &lane_after, &last}) statement->reset();
    auto* next = &priority_after;
    if (!next->bind(lane, priority).step()) {
      next = &lane_after;
      if (!next->bind(lane).step()) return span;
    }
    lane = next->integer(0), priority = next->integer(1);
    last.bind(lane, priority).step();
    span.add(next->integer(2), last.integer(0));
  }
  auto all = database.cached("SELECT min(seq), max(seq) FROM ready");
  if (all.step()) span.add(all.integer(0), all.integer(1));
  return span;
}

Span span_of(Database& database, const std::vector<std::string>& tables) {
  Span span;
  for (const auto& table : tables) {
    if (table == "ready") {
      const auto ready = span_of_ready(database);
      span.add(ready.first, ready.last);
      continue;
    }
    const auto last = database.number("SELECT max(seq) FROM " + table);
    if (last != 0) span.add(database.number("SELECT min(seq) FROM " + table), last);
  }
  return span;
}

}  // namespace

std::string tenants_condition(const std::vector<std::string>& tenants, const std::string& column,
                              const std::string& parameter) {
  if (tenants.empty()) return "1";
  if (tenants.size() == 1) return column + " = " + parameter;
  return column + " IN (SELECT value FROM json_each(" + parameter + "))";
}

std::string tenants_value(const std::vector<std::string>& tenants) {
  return tenants.size() == 1 ? tenants.front() : names_text(tenants);
}

FilterSql::FilterSql(Database& database, const JobFilter& filter, bool near) {
  choose_walk(database, filter, near);
  walk_from_ = from_ + " ";
  from_ += " LEFT JOIN lease l ON l.seq = j.seq ";
  add_places(filter);
  add_texts(filter);
}

std::string FilterSql::parameter(Value value) {
  values_.push_back(std::move(value));
  return "?" + std::to_string(values_.size() + 3);
}

// `walked`: no row of the walk fails it, or the walk is short.
void FilterSql::add(const std::string& condition, bool walked) {
  fits_ += " AND " + condition;
  selective_ = selective_ || !walked;
}

// True: a walk of these states' own rows is chosen.
bool FilterSql::choose_open(Database& database, const JobFilter& filter, bool near) {
  const auto tables =
      tables_of(filter.states, [&] { return database.number("SELECT 1 FROM batch_count WHERE s1 > 0 LIMIT 1") != 0; });
  if (!tables) return false;
  if (std::all_of(tables->begin(), tables->end(), [&](const auto& table) { return few(database, table); })) {
    std::string rows;
    for (const auto& table : *tables)
      rows += (rows.empty() ? "SELECT seq FROM " : " UNION ALL SELECT seq FROM ") + table;
    if (rows.empty()) rows = "SELECT 0 AS seq WHERE 0";
    from_ = " FROM (" + rows + ") h CROSS JOIN job j ON j.seq = h.seq";
    walks_ = Walk::few;
    return true;
  }
  if (!near) return false;
  const auto span = span_of(database, *tables);
  lows_.push_back(parameter(span.first));
  highs_.push_back(parameter(span.last));
  return false;
}

void FilterSql::choose_walk(Database& database, const JobFilter& filter, bool near) {
  if (!filter.ids.empty()) {
    std::vector<std::int64_t> seqs;
    for (const Uuid id : filter.ids) seqs.push_back(id.seq());
    from_ = " FROM job j";
    walk_ = "j.seq IN (SELECT value FROM json_each(" + parameter(numbers_text(seqs)) + "))";
    walks_ = Walk::few;
    return;
  }
  if (only_open(filter.states) && choose_open(database, filter, near)) return;
  const bool one_state = filter.states.size() == 1 || (filter.states.empty() && filter.reason);
  const auto state = filter.states.size() == 1 ? filter.states.front() : model::JobState::failed;
  if (filter.batch && *filter.batch) {
    from_ = " FROM job j INDEXED BY job_batch";
    walk_ = "j.batch = " + parameter(*filter.batch);
    walks_ = Walk::batch;
  } else if (one_state && state >= model::JobState::failed) {
    from_ = " FROM job j INDEXED BY job_dead";
    // A partial index is taken only if its own condition stands there word for word.
    walk_ = "j.state >= 6 AND j.state = " + std::to_string(int(state));
    walks_ = Walk::dead;
  } else if (filter.tenants.size() == 1) {
    from_ = " FROM job j INDEXED BY job_tenant";
    walk_ = "j.tenant = " + parameter(filter.tenants.front());
    walks_ = Walk::tenant;
  } else {
    from_ = " FROM job j NOT INDEXED";
  }
}

void FilterSql::add_places(const JobFilter& filter) {
  if (!filter.tenants.empty())
    add(tenants_condition(filter.tenants, "j.tenant", parameter(tenants_value(filter.tenants))),
        walks_ == Walk::tenant || walks_ == Walk::few);
  if (filter.batch)
    add(*filter.batch ? "j.batch = " + parameter(*filter.batch) : "j.batch IS NULL",
        walks_ == Walk::batch || walks_ == Walk::few);
  if (!filter.states.empty()) {
    const bool any_open = !std::all_of(filter.states.begin(), filter.states.end(), model::ended);
    add((any_open ? std::string(kPlace) : "j.state") + " IN " + states_list(filter.states),
        walks_ == Walk::dead || walks_ == Walk::few);
  }
  if (filter.reason) add("j.state = 6 AND j.reason = " + parameter(std::int64_t(*filter.reason)));
  if (filter.open) add("j.settled_at IS NULL");
  if (filter.redrivable)
    add("j.redriven_as IS NULL AND j.settled_at IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM batch b WHERE b.id = j.batch AND b.state = " +
        std::to_string(int(model::BatchState::cancelled)) + ")");
  if (!filter.ids.empty()) {
    std::vector<std::int64_t> lows;
    for (const Uuid id : filter.ids) lows.push_back(std::int64_t(id.low));
    add("j.lo IN (SELECT value FROM json_each(" + parameter(numbers_text(lows)) + "))");
  }
}

void FilterSql::add_texts(const JobFilter& filter) {
  if (!filter.type.empty()) add("j.type = " + parameter(filter.type));
  if (!filter.name.empty()) add("j.name = " + parameter(filter.name));
  if (!filter.host.empty()) add("coalesce(l.host_name, j.host) = " + parameter(filter.host));
  for (const auto& [key, text] : filter.tags) {
    const std::string k = parameter(key), v = parameter(text);
    add("EXISTS (SELECT 1 FROM json_each(j.tags) t WHERE t.key = " + k + " AND t.value = " + v + ")");
  }
  // An id's time is never before its submission, so older ids need no look; nor do newer ones, but where the clock
  // had gone back.
  if (filter.submitted_after) {
    add("j.submitted_at >= " + parameter(*filter.submitted_after));
    if (in_ids(*filter.submitted_after)) lows_.push_back(parameter(*filter.submitted_after << 16));
  }
  if (filter.submitted_before) {
    add("j.submitted_at < " + parameter(*filter.submitted_before));
    if (in_ids(*filter.submitted_before))
      highs_.push_back("max(" + parameter((*filter.submitted_before << 16) - 1) +
                       ", (SELECT last_backdated FROM meta))");
  }
}

std::string FilterSql::range(const std::string& low, const std::string& high) const {
  auto lows = lows_, highs = highs_;
  if (!low.empty()) lows.push_back(low);
  if (!high.empty()) highs.push_back(high);
  std::string condition;
  if (!lows.empty()) condition += " AND j.seq >= " + bound("max", lows);
  if (!highs.empty()) condition += " AND j.seq <= " + bound("min", highs);
  return condition;
}

void FilterSql::bind(Statement& statement) const {
  int at = 3;
  for (const auto& value : values_) {
    ++at;
    std::visit([&](const auto& v) { statement.put(at, v); }, value);
  }
}

}  // namespace geres::hub::store::sqlite
