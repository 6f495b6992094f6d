// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres/filter_sql.h"

#include <algorithm>

#include "hub/store/filter_parts.h"
#include "hub/store/postgres/job_sql.h"

namespace geres::hub::store::postgres {
namespace {

// Where a job is, with its lease in view.
constexpr const char* kPlace =
    "CASE WHEN l.seq IS NULL THEN coalesce(s.state, j.state) WHEN l.started_at IS NULL THEN 3 ELSE 4 END";

std::int64_t number(Connection& connection, const std::string& sql) {
  const auto rows = connection.ask(sql);
  return rows.empty() ? 0 : rows[0].integer(0);
}

bool few(Connection& connection, const std::string& table) {
  return number(connection, "SELECT count(*) FROM (SELECT 1 FROM " + table + " LIMIT " + std::to_string(kFewRows + 1) +
                                ") r") <= kFewRows;
}

// The table of ready jobs is in the order of lane, priority, seq: a look at both ends of each priority, however many
// jobs wait.
constexpr const char* kSpanOfReady =
    "WITH RECURSIVE p AS ((SELECT lane, priority FROM ready ORDER BY lane, priority LIMIT 1) UNION ALL"
    " SELECT n.lane, n.priority FROM p CROSS JOIN LATERAL (SELECT r.lane, r.priority FROM ready r"
    "  WHERE (r.lane, r.priority) > (p.lane, p.priority) ORDER BY r.lane, r.priority LIMIT 1) n)"
    " SELECT min(e.first), max(e.last) FROM p CROSS JOIN LATERAL (SELECT min(r.seq) AS first, max(r.seq) AS last"
    "  FROM ready r WHERE r.lane = p.lane AND r.priority = p.priority) e";

Span span_of(Connection& connection, const std::vector<std::string>& tables) {
  Span span;
  for (const auto& table : tables) {
    const auto rows = connection.ask(table == "ready" ? kSpanOfReady : "SELECT min(seq), max(seq) FROM " + table);
    span.add(rows[0].integer(0), rows[0].integer(1));
  }
  return span;
}

}  // namespace

FilterSql::FilterSql(Connection& connection, const JobFilter& filter, bool near) : from_(GERES_PG_JOB_FROM) {
  choose_walk(connection, filter, near);
  add_places(filter);
  add_texts(filter);
}

template <class T>
std::string FilterSql::parameter(const T& value) {
  own_.add(value);
  return "$" + std::to_string(own_.size() + 3);
}

template <class T>
std::string FilterSql::list(const std::vector<T>& values) {
  own_.add_list(values);
  return "ANY($" + std::to_string(own_.size() + 3) + ")";
}

// `walked`: no row of the walk fails it, or the walk is short.
void FilterSql::add(const std::string& condition, bool walked) {
  fits_ += " AND " + condition;
  selective_ = selective_ || !walked;
}

// True: a walk of these states' own rows is chosen.
bool FilterSql::choose_open(Connection& connection, const JobFilter& filter, bool near) {
  const auto tables = tables_of(
      filter.states, [&] { return number(connection, "SELECT 1::int8 FROM batch_count WHERE s1 > 0 LIMIT 1") != 0; });
  if (!tables) return false;
  if (std::all_of(tables->begin(), tables->end(), [&](const auto& table) { return few(connection, table); })) {
    std::string rows;
    for (const auto& table : *tables)
      rows += (rows.empty() ? "SELECT seq FROM " : " UNION ALL SELECT seq FROM ") + table;
    if (rows.empty()) rows = "SELECT 0::int8 AS seq WHERE false";
    from_ = " FROM (" + rows + ") h JOIN job j ON j.seq = h.seq" GERES_PG_JOB_JOINS;
    walks_ = Walk::few;
    return true;
  }
  if (!near) return false;
  const auto span = span_of(connection, *tables);
  lows_.push_back(parameter(span.first));
  highs_.push_back(parameter(span.last));
  return false;
}

void FilterSql::choose_walk(Connection& connection, const JobFilter& filter, bool near) {
  if (!filter.ids.empty()) {
    std::vector<std::int64_t> seqs;
    for (const Uuid id : filter.ids) seqs.push_back(id.seq());
    walk_ = "j.seq = " + list(seqs);
    walks_ = Walk::few;
    short_ = true;
    return;
  }
  if (only_open(filter.states) && choose_open(connection, filter, near)) {
    short_ = true;
    return;
  }
  const bool one_state = filter.states.size() == 1 || (filter.states.empty() && filter.reason);
  const auto state = filter.states.size() == 1 ? filter.states.front() : model::JobState::failed;
  if (filter.batch && *filter.batch) {
    walk_ = "j.batch = " + parameter(*filter.batch);
    walks_ = Walk::batch;
  } else if (one_state && state >= model::JobState::failed) {
    // A partial index is taken only if its own condition stands there.
    walk_ = "s.state >= 6 AND s.state = " + std::to_string(int(state));
    walks_ = Walk::dead;
  } else if (filter.tenants.size() == 1) {
    walk_ = "j.tenant = " + parameter(filter.tenants.front());
    walks_ = Walk::tenant;
  }
}

void FilterSql::add_places(const JobFilter& filter) {
  if (filter.tenants.size() == 1)
    add("j.tenant = " + parameter(filter.tenants.front()), walks_ == Walk::tenant || walks_ == Walk::few);
  else if (!filter.tenants.empty())
    add("j.tenant = " + list(filter.tenants), walks_ == Walk::few);
  if (filter.batch)
    add(*filter.batch ? "j.batch = " + parameter(*filter.batch) : "j.batch IS NULL",
        walks_ == Walk::batch || walks_ == Walk::few);
  if (!filter.states.empty()) {
    const bool any_open = !std::all_of(filter.states.begin(), filter.states.end(), model::ended);
    add((any_open ? std::string(kPlace) : "s.state") + " IN " + states_list(filter.states),
        walks_ == Walk::dead || walks_ == Walk::few);
  }
  if (filter.reason) add("s.state = 6 AND s.reason = " + parameter(std::int64_t(*filter.reason)));
  if (filter.open) add("s.settled_at IS NULL");
  if (filter.redrivable)
    add("s.redriven_as IS NULL AND s.settled_at IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM batch b WHERE b.id = j.batch AND b.state = " +
        std::to_string(int(model::BatchState::cancelled)) + ")");
  if (!filter.ids.empty()) {
    std::vector<std::int64_t> lows;
    for (const Uuid id : filter.ids) lows.push_back(std::int64_t(id.low));
    add("j.lo = " + list(lows));
  }
}

void FilterSql::add_texts(const JobFilter& filter) {
  if (!filter.type.empty()) add("j.type = " + parameter(filter.type));
  if (!filter.name.empty()) add("j.name = " + parameter(filter.name));
  if (!filter.host.empty()) add("coalesce(l.host_name, s.host) = " + parameter(filter.host));
  for (const auto& [key, text] : filter.tags) add("(j.tags::json ->> " + parameter(key) + ") = " + parameter(text));
  // An id's time is never before its submission, so older ids need no look; nor do newer ones, but where the clock
  // had gone back.
  if (filter.submitted_after) {
    add("j.submitted_at >= " + parameter(*filter.submitted_after));
    if (in_ids(*filter.submitted_after)) lows_.push_back(parameter(*filter.submitted_after << 16));
  }
  if (filter.submitted_before) {
    add("j.submitted_at < " + parameter(*filter.submitted_before));
    if (in_ids(*filter.submitted_before))
      highs_.push_back("greatest(" + parameter((*filter.submitted_before << 16) - 1) +
                       ", (SELECT last_backdated FROM epoch))");
  }
}

std::string FilterSql::range(const std::string& low, const std::string& high) const {
  auto lows = lows_, highs = highs_;
  if (!low.empty()) lows.push_back(low);
  if (!high.empty()) highs.push_back(high);
  std::string condition;
  if (!lows.empty()) condition += " AND j.seq >= " + bound("greatest", lows);
  if (!highs.empty()) condition += " AND j.seq <= " + bound("least", highs);
  return condition;
}

Values FilterSql::values(std::int64_t first, std::int64_t second, std::int64_t third) const {
  Values all(first, second, third);
  all.append(own_);
  return all;
}

}  // namespace geres::hub::store::postgres
