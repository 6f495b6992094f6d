// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/tick_reads.h"

#include <algorithm>
#include <map>

#include "hub/store/json_columns.h"
#include "hub/store/sqlite/filter_sql.h"
#include "hub/store/sqlite/job_rows.h"
#include "hub/store/sqlite/small_rows.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::store::sqlite {
namespace {

Uuid id_of(const Statement& row) {
  return {std::uint64_t(row.integer(0)), std::uint64_t(row.integer(1))};
}

std::optional<Millis> first_time(Statement& rows) {
  if (!rows.step() || rows.is_null(0)) return std::nullopt;
  return rows.integer(0);
}

}  // namespace

std::vector<std::optional<model::Job>> jobs_by_key(Database& database, std::span<const KeyRef> keys) {
  auto find = database.cached("SELECT " GERES_JOB_COLUMNS GERES_JOB_FROM "WHERE j.tenant = ? AND j.key = ?");
  std::vector<std::optional<model::Job>> found;
  found.reserve(keys.size());
  for (const auto& [tenant, key] : keys) {
    auto& job = found.emplace_back();
    if (find.bind(tenant, key).step()) job = read_job(find);
    find.reset();
  }
  return found;
}

std::vector<std::optional<model::Job>> jobs_by_id(Database& database, std::span<const Uuid> ids) {
  std::vector<std::optional<model::Job>> found;
  found.reserve(ids.size());
  for (const Uuid id : ids) found.push_back(find_job(database, id));
  return found;
}

std::vector<model::Job> jobs_by_seq(Database& database, std::span<const Seq> seqs) {
  auto find = database.cached("SELECT " GERES_JOB_COLUMNS GERES_JOB_FROM "WHERE j.seq = ?");
  std::vector<model::Job> found;
  found.reserve(seqs.size());
  for (const Seq seq : seqs) {
    if (find.bind(seq).step()) found.push_back(read_job(find));
    find.reset();
  }
  return found;
}

std::optional<AttemptRow> ended_attempt(Database& database, Uuid lease) {
  auto find = database.cached("SELECT " GERES_ATTEMPT_COLUMNS
                              ", (SELECT lo FROM job WHERE job.seq = attempt.seq) FROM attempt"
                              " WHERE seq=? AND lease_lo=?");
  if (!find.bind(lease.seq(), std::int64_t(lease.low)).step()) return std::nullopt;
  Columns row(find);
  AttemptRow found;
  found.attempt = read_attempt(row);
  found.job = {lease.high, std::uint64_t(row.integer())};
  found.lease = lease;
  return found;
}

std::optional<ScheduledRow> scheduled_row(Database& database, Uuid id) {
  if (!find_job(database, id)) return std::nullopt;
  auto find = database.cached("SELECT due, by_wall, duration FROM scheduled WHERE seq=?");
  if (!find.bind(id.seq()).step()) return std::nullopt;
  return ScheduledRow{id.seq(), find.integer(0), find.integer(1) != 0, find.integer(2)};
}

std::vector<ReadyRow> peek_ready(Database& database, LaneNo lane, std::size_t n) {
  auto rows = database.cached("SELECT priority, seq FROM ready WHERE lane=? ORDER BY priority, seq LIMIT ?");
  rows.bind(lane, n);
  std::vector<ReadyRow> found;
  while (rows.step()) found.push_back({lane, rows.integer(0), rows.integer(1)});
  return found;
}

std::vector<Taken> take_ready(Database& database, std::span<const LaneTake> lanes) {
  std::vector<Taken> all;
  for (const auto& [lane, n] : lanes) {
    auto& taken = all.emplace_back();
    taken.rows = peek_ready(database, lane, n + 1);
    if (taken.rows.size() > n) {
      taken.next = taken.rows.back();
      taken.rows.pop_back();
    }
    if (taken.rows.empty()) continue;
    const auto& last = taken.rows.back();
    database.cached("DELETE FROM ready WHERE lane=? AND (priority, seq) <= (?, ?)")
        .bind(lane, last.priority, last.seq)
        .run();
  }
  return all;
}

std::optional<ReadyRow> lane_head(Database& database, LaneNo lane) {
  auto rows = database.cached("SELECT priority, seq FROM ready WHERE lane=? ORDER BY priority, seq LIMIT 1");
  if (!rows.bind(lane).step()) return std::nullopt;
  return ReadyRow{lane, rows.integer(0), rows.integer(1)};
}

std::vector<ScheduledRow> due(Database& database, Millis engine_now, Millis wall_now, std::size_t max) {
  std::vector<ScheduledRow> found;
  auto rows =
      database.cached("SELECT seq, due, duration FROM scheduled WHERE by_wall=? AND due<=? ORDER BY due, seq LIMIT ?");
  for (const bool by_wall : {false, true}) {
    rows.bind(by_wall, by_wall ? wall_now : engine_now, max - found.size());
    while (rows.step()) found.push_back({rows.integer(0), rows.integer(1), by_wall, rows.integer(2)});
    rows.reset();
  }
  return found;
}

std::optional<Millis> next_due(Database& database, bool by_wall) {
  auto rows = database.cached("SELECT min(due) FROM scheduled WHERE by_wall=?");
  return first_time(rows.bind(by_wall));
}

std::vector<QueueDeadlineRow> deadlines_due(Database& database, Millis engine_now, std::size_t max) {
  std::vector<QueueDeadlineRow> found;
  auto rows = database.cached("SELECT seq, due FROM queue_deadline WHERE due<=? ORDER BY due, seq LIMIT ?");
  rows.bind(engine_now, max);
  while (rows.step()) found.push_back({rows.integer(0), rows.integer(1)});
  return found;
}

std::optional<Millis> next_deadline(Database& database) {
  auto rows = database.cached("SELECT min(due) FROM queue_deadline");
  return first_time(rows);
}

void cap_durations(Database& database, Millis engine_now) {
  database.cached("UPDATE scheduled SET due=?1+duration WHERE by_wall=0 AND due>?1+duration").bind(engine_now).run();
  database.cached("UPDATE queue_deadline SET due=?1+duration WHERE duration>0 AND due>?1+duration")
      .bind(engine_now)
      .run();
}

Store::Slice slice(Database& database, const JobFilter& filter, Seq after, Seq bound, std::size_t scan) {
  const FilterSql sql(database, filter);
  auto rows = database.prepare("SELECT j.seq, j.lo, (" + sql.fits() + ")" + sql.from() + "WHERE " + sql.walk() +
                               sql.range("?1 + 1", "?2") + " ORDER BY j.seq LIMIT ?3");
  rows.bind(after, bound, scan + 1);
  sql.bind(rows);
  Store::Slice found;
  found.cursor = after;
  for (std::size_t seen = 0; rows.step(); ++seen) {
    if (seen == scan) return found;
    found.cursor = rows.integer(0);
    if (rows.integer(2) != 0) found.ids.push_back(id_of(rows));
  }
  found.last = true;
  return found;
}

std::vector<Uuid> ended_before(Database& database, model::JobState state, Millis before, const std::string& tenant,
                               const std::vector<std::string>& except, std::size_t max) {
  std::vector<Uuid> ids;
  if (!model::ended(state)) return ids;
  const std::string which = tenant.empty() ? "tenant NOT IN (SELECT value FROM json_each(?2))" : "tenant = ?2";
  const std::string value = tenant.empty() ? names_text(except) : tenant;
  auto rows = database.prepare(
      "SELECT seq, lo FROM job INDEXED BY job_ended WHERE state >= 5 AND state = " + std::to_string(int(state)) +
      " AND finished_at < ?1 AND " + which + " ORDER BY finished_at, seq LIMIT ?3");
  rows.bind(before, value, max);
  while (rows.step()) ids.push_back(id_of(rows));
  return ids;
}

// Only a prefix of the log goes, so that what is left has no holes.
std::size_t purge_events(Database& database, EventNo keep_from, Millis before, Millis now, std::size_t max) {
  EventNo last = 0;
  {
    auto rows = database.cached("SELECT no, at FROM event WHERE at <= ? OR no < ? ORDER BY no LIMIT ?");
    rows.bind(now, keep_from, max);
    while (rows.step() && (rows.integer(0) < keep_from || rows.integer(1) < before)) last = rows.integer(0);
  }
  if (last == 0) return 0;
  database.cached("DELETE FROM event WHERE no <= ?").bind(last).run();
  return std::size_t(database.changes());
}

Store::KeySlice purge_list_keys(Database& database, Millis before, Store::KeyPlace after, std::size_t max) {
  struct Old {
    Store::KeyPlace place;
    std::vector<Uuid> ids;
  };
  std::vector<Old> old;
  {
    auto rows = database.cached(
        "SELECT at, rowid, ids FROM list_key WHERE (at, rowid) > (?,?) AND at < ? ORDER BY at, rowid LIMIT ?");
    rows.bind(after.at, after.row, before, max);
    while (rows.step()) old.push_back({{rows.integer(0), rows.integer(1)}, uuids_from(rows.view(2))});
  }
  Store::KeySlice slice;
  slice.next = after;
  auto forget = database.cached("DELETE FROM list_key WHERE rowid=?");
  std::size_t looked = 0;
  for (const auto& key : old) {
    if (looked > 10 * max) return slice;
    const bool kept = std::any_of(key.ids.begin(), key.ids.end(), [&](Uuid id) {
      ++looked;
      return job_exists(database, id);
    });
    ++slice.seen;
    slice.next = key.place;
    if (kept) continue;
    forget.bind(key.place.row).run();
    ++slice.forgotten;
  }
  slice.last = old.size() < max;
  return slice;
}

bool package_in_use(Database& database, const std::string& tenant, const std::string& sha256) {
  const std::string digest = digest_bytes(sha256);
  auto find = database.cached("SELECT jobs FROM package_use WHERE tenant=? AND sha256=?");
  return find.bind(tenant, Blob{digest}).step() && find.integer(0) > 0;
}

std::vector<LaneState> lane_states(Database& database) {
  struct Ready {
    std::int64_t jobs;
    bool one_priority;
  };
  std::map<LaneNo, Ready> ready;
  {
    auto rows = database.cached("SELECT lane, count(*), min(priority) = max(priority) FROM ready GROUP BY lane");
    while (rows.step()) ready[rows.integer(0)] = {rows.integer(1), rows.integer(2) != 0};
  }
  std::vector<LaneState> states;
  for (auto& lane : read_lanes(database)) {
    auto& state = states.emplace_back(LaneState{.lane = std::move(lane)});
    const auto there = ready.find(state.lane.no);
    if (there == ready.end()) continue;
    state.ready = there->second.jobs;
    state.one_priority = there->second.one_priority;
    state.head = lane_head(database, state.lane.no);
  }
  return states;
}

std::vector<LeasedJob> leased_jobs(Database& database) {
  auto rows = database.cached("SELECT " GERES_JOB_COLUMNS_SLIM ", " GERES_LEASE_COLUMNS
                              " FROM lease l CROSS JOIN job j ON j.seq = l.seq ORDER BY l.seq");
  std::vector<LeasedJob> leased;
  while (rows.step()) {
    auto& [lease, job] = leased.emplace_back();
    job = read_job(rows);
    job.spec.inputs.clear();
    Columns row(rows, kJobColumnCount);
    lease = read_lease(row);
  }
  return leased;
}

}  // namespace geres::hub::store::sqlite
