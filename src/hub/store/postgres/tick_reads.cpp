// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres/tick_reads.h"

#include <algorithm>

#include "hub/store/postgres/filter_sql.h"
#include "hub/store/postgres/job_sql.h"
#include "hub/store/postgres/tables.h"
#include "hub/store/shapes/webhooks.h"

namespace geres::hub::store::postgres {
namespace {

Uuid id_of(const Result::Row& row) {
  return {std::uint64_t(row.integer(0)), std::uint64_t(row.integer(1))};
}

// Rows of an answer whose first column says, from 1, what was asked for.
template <class T, class Read>
std::vector<std::optional<T>> in_order(const Result& result, std::size_t asked, Read read) {
  std::vector<std::optional<T>> found(asked);
  for (int at = 0; at < result.size(); ++at) {
    const auto row = result[at];
    found[std::size_t(row.integer(0) - 1)] = read(row);
  }
  return found;
}

model::Job job_at(const Result::Row& row, int first) {
  return shapes::read_job(Reader(row, first));
}

Values key_values(std::span<const KeyRef> keys) {
  Column tenant(Kind::text), key(Kind::text);
  for (const auto& ref : keys) tenant.add(ref.tenant), key.add(ref.key);
  return Values(tenant, key);
}

Values id_values(std::span<const Uuid> ids) {
  Column high(Kind::number), low(Kind::number);
  for (const Uuid id : ids) high.add(id.seq()), low.add(std::int64_t(id.low));
  return Values(high, low);
}

std::optional<Millis> first_time(const Result& rows) {
  if (rows.empty() || rows[0].is_null(0)) return std::nullopt;
  return rows[0].integer(0);
}

ReadyRow ready_at(const Result::Row& row, int first) {
  return {row.integer(first), row.integer(first + 1), row.integer(first + 2)};
}

Values start_values(const LaneStarts& starts, std::span<const LaneNo> lanes) {
  Column no(Kind::number), priority(Kind::number), seq(Kind::number);
  for (const auto lane : lanes) {
    const auto start = starts.of(lane);
    no.add(lane), priority.add(start.priority), seq.add(start.seq);
  }
  return Values(no, priority, seq);
}

}  // namespace

// ---- starts of lanes

LaneStarts::Start LaneStarts::of(LaneNo lane) const {
  const auto at = starts_.find(lane);
  return at == starts_.end() ? Start{} : at->second;
}

void LaneStarts::came(const ReadyRow& row) {
  const auto at = starts_.find(row.lane);
  if (at == starts_.end()) return;
  at->second = std::min(at->second, Start{row.priority, row.seq});
  touched_.push_back(row.lane);
}

void LaneStarts::first_is(LaneNo lane, Start start) {
  starts_[lane] = start;
  touched_.push_back(lane);
}

void LaneStarts::forget() {
  for (const auto lane : touched_) starts_.erase(lane);
  touched_.clear();
}

// ---- jobs

std::optional<model::Job> find_job(Connection& connection, Uuid id) {
  const auto found = jobs_by_id(connection, std::span(&id, 1));
  return found.front();
}

std::vector<std::optional<model::Job>> jobs_by_key(Connection& connection, std::span<const KeyRef> keys) {
  if (keys.empty()) return {};
  const auto rows = connection.ask(
      "SELECT u.no, " GERES_PG_JOB_COLUMNS
      " FROM unnest($1::text[], $2::text[]) WITH ORDINALITY u(tenant, key, no)"
      " JOIN job_key k ON k.tenant = u.tenant AND k.key = u.key JOIN job j ON j.seq = k.seq" GERES_PG_JOB_JOINS,
      key_values(keys));
  return in_order<model::Job>(rows, keys.size(), [](const auto& row) { return job_at(row, 1); });
}

std::vector<std::optional<model::Job>> jobs_by_id(Connection& connection, std::span<const Uuid> ids) {
  if (ids.empty()) return {};
  const auto rows = connection.ask("SELECT u.no, " GERES_PG_JOB_COLUMNS
                                   " FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY u(seq, lo, no)"
                                   " JOIN job j ON j.seq = u.seq AND j.lo = u.lo" GERES_PG_JOB_JOINS,
                                   id_values(ids));
  return in_order<model::Job>(rows, ids.size(), [](const auto& row) { return job_at(row, 1); });
}

std::vector<model::Job> jobs_by_seq(Connection& connection, std::span<const Seq> seqs) {
  if (seqs.empty()) return {};
  Column seq(Kind::number);
  for (const auto one : seqs) seq.add(one);
  const auto rows = connection.ask(
      "SELECT " GERES_PG_JOB_COLUMNS
      " FROM unnest($1::int8[]) WITH ORDINALITY u(seq, no) JOIN job j ON j.seq = u.seq" GERES_PG_JOB_JOINS
      " ORDER BY u.no",
      Values(seq));
  return rows.all([](Reader row) { return shapes::read_job(row); });
}

std::vector<std::optional<ListKeyRow>> list_keys(Connection& connection, std::span<const KeyRef> keys) {
  if (keys.empty()) return {};
  const auto rows = connection.ask(
      "SELECT u.no, l.scope, l.key, l.digest, l.at, l.ids FROM unnest($1::text[], $2::text[]) WITH ORDINALITY"
      " u(scope, key, no) JOIN list_key l ON l.scope = u.scope AND l.key = u.key",
      key_values(keys));
  return in_order<ListKeyRow>(rows, keys.size(), [](const auto& row) { return shapes::read_list_key(Reader(row, 1)); });
}

std::vector<std::optional<AttemptRow>> ended_attempts(Connection& connection, std::span<const Uuid> leases) {
  if (leases.empty()) return {};
  const auto rows = connection.ask(
      "SELECT u.no, (SELECT lo FROM job j WHERE j.seq = a.seq), a.attempt, a.host, a.leased_at, a.started_at,"
      " a.ended_at, a.outcome, a.error, a.exit_code, a.exit_signal, a.cpu_seconds, a.max_rss, a.cause, a.memory"
      " FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY u(seq, lo, no)"
      " JOIN attempt a ON a.seq = u.seq AND a.lease_lo = u.lo",
      id_values(leases));
  return in_order<AttemptRow>(rows, leases.size(), [&](const auto& row) {
    AttemptRow found;
    found.lease = leases[std::size_t(row.integer(0) - 1)];
    found.job = {found.lease.high, std::uint64_t(row.integer(1))};
    Reader columns(row, 2);
    found.attempt = shapes::read_attempt(columns);
    return found;
  });
}

std::vector<std::optional<ScheduledRow>> scheduled_rows(Connection& connection, std::span<const Uuid> ids) {
  if (ids.empty()) return {};
  const auto rows = connection.ask(
      "SELECT u.no, s.seq, s.due, s.by_wall, s.duration FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY"
      " u(seq, lo, no) JOIN job j ON j.seq = u.seq AND j.lo = u.lo JOIN scheduled s ON s.seq = u.seq",
      id_values(ids));
  return in_order<ScheduledRow>(rows, ids.size(), [](const auto& row) {
    return ScheduledRow{row.integer(1), row.integer(2), row.integer(3) != 0, row.integer(4)};
  });
}

Found find_all(Connection& connection, const Wanted& wanted) {
  return {jobs_by_key(connection, wanted.keys), list_keys(connection, wanted.list_keys),
          jobs_by_id(connection, wanted.jobs), scheduled_rows(connection, wanted.scheduled),
          ended_attempts(connection, wanted.ended_attempts)};
}

// ---- lanes

std::vector<Taken> take_ready(Connection& connection, LaneStarts& starts, std::span<const LaneTake> lanes) {
  if (lanes.empty()) return {};
  Column no(Kind::number), n(Kind::number), priority(Kind::number), seq(Kind::number);
  for (const auto& lane : lanes) {
    const auto start = starts.of(lane.lane);
    no.add(lane.lane), n.add(lane.n), priority.add(start.priority), seq.add(start.seq);
  }
  const auto rows = connection.ask(
      "WITH head AS MATERIALIZED (SELECT a.no, a.n, r.lane, r.priority, r.seq,"
      "  row_number() OVER (PARTITION BY a.no ORDER BY r.priority, r.seq) AS at"
      "  FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[]) WITH ORDINALITY a(lane, n, priority, seq, no)"
      "  CROSS JOIN LATERAL (SELECT q.lane, q.priority, q.seq FROM ready q WHERE q.lane = a.lane"
      "   AND (q.priority, q.seq) >= (a.priority, a.seq) ORDER BY q.priority, q.seq LIMIT a.n + 1) r),"
      " gone AS (DELETE FROM ready q USING head h WHERE h.at <= h.n AND q.lane = h.lane AND q.priority = h.priority"
      "  AND q.seq = h.seq)"
      " SELECT no, lane, priority, seq FROM head ORDER BY no, at",
      Values(no, n, priority, seq));
  std::vector<Taken> all(lanes.size());
  for (int at = 0; at < rows.size(); ++at)
    all[std::size_t(rows[at].integer(0) - 1)].rows.push_back(ready_at(rows[at], 1));
  for (std::size_t at = 0; at < all.size(); ++at) {
    auto& taken = all[at];
    if (taken.rows.size() > lanes[at].n) {
      taken.next = taken.rows.back();
      taken.rows.pop_back();
      starts.first_is(lanes[at].lane, {taken.next->priority, taken.next->seq});
    } else if (!taken.rows.empty()) {
      starts.first_is(lanes[at].lane, {taken.rows.back().priority, taken.rows.back().seq + 1});
    }
  }
  return all;
}

std::vector<ReadyRow> peek_ready(Connection& connection, const LaneStarts& starts, LaneNo lane, std::size_t n) {
  const auto start = starts.of(lane);
  const auto rows = connection.ask(
      "SELECT lane, priority, seq FROM ready WHERE lane = $1 AND (priority, seq) >= ($2, $3)"
      " ORDER BY priority, seq LIMIT $4",
      Values(lane, start.priority, start.seq, n));
  std::vector<ReadyRow> found;
  for (int at = 0; at < rows.size(); ++at) found.push_back(ready_at(rows[at], 0));
  return found;
}

std::vector<std::optional<ReadyRow>> heads(Connection& connection, const LaneStarts& starts,
                                           std::span<const LaneNo> lanes) {
  if (lanes.empty()) return {};
  const auto rows = connection.ask(
      "SELECT a.no, r.lane, r.priority, r.seq FROM unnest($1::int8[], $2::int8[], $3::int8[]) WITH ORDINALITY"
      " a(lane, priority, seq, no) CROSS JOIN LATERAL (SELECT q.lane, q.priority, q.seq FROM ready q"
      " WHERE q.lane = a.lane AND (q.priority, q.seq) >= (a.priority, a.seq) ORDER BY q.priority, q.seq LIMIT 1) r",
      start_values(starts, lanes));
  return in_order<ReadyRow>(rows, lanes.size(), [](const auto& row) { return ready_at(row, 1); });
}

// ---- times

std::vector<ScheduledRow> due(Connection& connection, Millis engine_now, Millis wall_now, std::size_t max) {
  std::vector<ScheduledRow> found;
  for (const bool by_wall : {false, true}) {
    const auto rows = connection.ask(
        "SELECT seq, due, duration FROM scheduled WHERE by_wall = $1 AND due <= $2 ORDER BY due, seq LIMIT $3",
        Values(by_wall, by_wall ? wall_now : engine_now, max - found.size()));
    for (int at = 0; at < rows.size(); ++at)
      found.push_back({rows[at].integer(0), rows[at].integer(1), by_wall, rows[at].integer(2)});
  }
  return found;
}

std::optional<Millis> next_due(Connection& connection, bool by_wall) {
  return first_time(connection.ask("SELECT min(due) FROM scheduled WHERE by_wall = $1", Values(by_wall)));
}

std::vector<QueueDeadlineRow> deadlines_due(Connection& connection, Millis engine_now, std::size_t max) {
  const auto rows = connection.ask("SELECT seq, due FROM queue_deadline WHERE due <= $1 ORDER BY due, seq LIMIT $2",
                                   Values(engine_now, max));
  return rows.all([](Reader row) {
    const Seq seq = row.integer();
    return QueueDeadlineRow{seq, row.integer()};
  });
}

std::optional<Millis> next_deadline(Connection& connection) {
  return first_time(connection.ask("SELECT min(due) FROM queue_deadline"));
}

void cap_durations(Connection& connection, Millis engine_now) {
  connection.send("UPDATE scheduled SET due = $1 + duration WHERE NOT by_wall AND due > $1 + duration",
                  Values(engine_now));
  connection.send("UPDATE queue_deadline SET due = $1 + duration WHERE duration > 0 AND due > $1 + duration",
                  Values(engine_now));
}

// ---- bulk work and retention

Store::Slice slice(Connection& connection, const JobFilter& filter, Seq after, Seq bound, std::size_t scan) {
  const FilterSql sql(connection, filter);
  const auto rows = connection.ask("SELECT j.seq, j.lo, (" + sql.fits() + ")" + sql.from() + "WHERE " + sql.walk() +
                                       sql.range("$1 + 1", "$2") + " ORDER BY j.seq LIMIT $3",
                                   sql.values(after, bound, scan + 1));
  Store::Slice found;
  found.cursor = after;
  for (int at = 0; at < rows.size(); ++at) {
    if (std::size_t(at) == scan) return found;
    found.cursor = rows[at].integer(0);
    if (rows[at].integer(2) != 0) found.ids.push_back(id_of(rows[at]));
  }
  found.last = true;
  return found;
}

std::vector<Uuid> ended_before(Connection& connection, model::JobState state, Millis before, const std::string& tenant,
                               const std::vector<std::string>& except, std::size_t max) {
  if (!model::ended(state)) return {};
  Values values(before, max);
  if (tenant.empty())
    values.add_list(except);
  else
    values.add(tenant);
  // A partial index is taken only if its own condition stands there, too.
  const auto rows = connection.ask(
      "SELECT s.seq, j.lo FROM (SELECT seq, finished_at FROM job_status WHERE state >= 5 AND state = " +
          std::to_string(int(state)) + " AND finished_at < $1 AND " +
          (tenant.empty() ? "NOT tenant = ANY($3)" : "tenant = $3") +
          " ORDER BY finished_at, seq LIMIT $2) s JOIN job j ON j.seq = s.seq ORDER BY s.finished_at, s.seq",
      values);
  std::vector<Uuid> ids;
  for (int at = 0; at < rows.size(); ++at) ids.push_back(id_of(rows[at]));
  return ids;
}

// Only a prefix of the log goes, so that what is left has no holes.
std::size_t purge_events(Connection& connection, EventNo keep_from, Millis before, Millis now, std::size_t max) {
  const auto rows = connection.ask("SELECT no, at FROM event WHERE at <= $1 OR no < $2 ORDER BY no LIMIT $3",
                                   Values(now, keep_from, max));
  EventNo last = 0;
  for (int at = 0; at < rows.size(); ++at) {
    const EventNo no = rows[at].integer(0);
    if (no >= keep_from && rows[at].integer(1) >= before) break;
    last = no;
  }
  if (last == 0) return 0;
  return std::size_t(connection.ask("DELETE FROM event WHERE no <= $1", Values(last)).changed());
}

Store::KeySlice purge_list_keys(Connection& connection, Millis before, Store::KeyPlace after, std::size_t max) {
  Store::KeySlice slice;
  slice.next = after;
  const auto rows =
      connection.ask("SELECT at, no, ids FROM list_key WHERE (at, no) > ($1, $2) AND at < $3 ORDER BY at, no LIMIT $4",
                     Values(after.at, after.row, before, max));
  std::size_t looked = 0;
  for (int at = 0; at < rows.size(); ++at) {
    if (looked > 10 * max) return slice;
    const auto ids = uuids_from(rows[at].view(2));
    looked += ids.size();
    const bool kept = !connection
                           .ask(
                               "SELECT 1 FROM unnest($1::int8[], $2::int8[]) u(seq, lo)"
                               " JOIN job j ON j.seq = u.seq AND j.lo = u.lo LIMIT 1",
                               id_values(ids))
                           .empty();
    ++slice.seen;
    slice.next = {rows[at].integer(0), rows[at].integer(1)};
    if (kept) continue;
    connection.send("DELETE FROM list_key WHERE at = $1 AND no = $2", Values(slice.next.at, slice.next.row));
    ++slice.forgotten;
  }
  slice.last = std::size_t(rows.size()) < max;
  return slice;
}

bool package_in_use(Connection& connection, const std::string& tenant, const std::string& sha256) {
  const std::string digest = digest_bytes(sha256);
  return !connection
              .ask("SELECT 1 FROM package_use WHERE tenant = $1 AND sha256 = $2 AND jobs > 0",
                   Values(tenant, Blob{digest}))
              .empty();
}

bool token_named(Connection& connection, const std::string& name, const std::vector<std::string>& tenants, Millis now) {
  const std::string set = names_text(tenants);
  return !connection
              .ask("SELECT 1 FROM token WHERE name = $1 AND tenants = $2 AND (expires IS NULL OR expires > $3)",
                   Values(name, set, now))
              .empty();
}

// ---- blobs, deliveries

bool blob_named(Connection& connection, const BlobKey& key) {
  const std::string digest = digest_bytes(key.sha256);
  const auto rows = connection.ask(
      "SELECT EXISTS (SELECT 1 FROM package WHERE tenant = $1 AND sha256 = $2)"
      " OR EXISTS (SELECT 1 FROM package_use WHERE tenant = $1 AND sha256 = $2)"
      " OR EXISTS (SELECT 1 FROM job_input WHERE tenant = $1 AND sha256 = $2)"
      " OR EXISTS (SELECT 1 FROM job_file WHERE tenant = $1 AND sha256 = $2)",
      Values(key.tenant, Blob{digest}));
  return rows[0].integer(0) != 0;
}

std::vector<BlobRow> blobs_since(Connection& connection, BlobState state, Millis before, const BlobRow& after,
                                 std::size_t max) {
  const std::string digest = digest_bytes(after.key.sha256);
  return connection
      .ask(
          "SELECT tenant, sha256, size, state, at FROM blob WHERE state = $1 AND at < $2"
          " AND (at, tenant, sha256) > ($3, $4, $5) ORDER BY at, tenant, sha256 LIMIT $6",
          Values(state, before, after.at, after.key.tenant, Blob{digest}, max))
      .all([](Reader row) { return shapes::read_blob(row); });
}

std::vector<DeliveryRow> deliveries(Connection& connection, Uuid webhook, DeliveryState state, EventNo after,
                                    std::size_t max) {
  static const std::string sql = "SELECT " + tables::webhook_delivery.names +
                                 " FROM webhook_delivery WHERE webhook = $1 AND state = $2 AND event > $3"
                                 " ORDER BY event LIMIT $4";
  return connection.ask(sql, Values(webhook, state, after, max)).all([](Reader row) {
    return shapes::read_delivery(row);
  });
}

std::size_t purge_deliveries(Connection& connection, Uuid webhook, bool all, Millis before, std::size_t dead_max,
                             std::size_t max) {
  if (all)
    return std::size_t(connection
                           .ask("DELETE FROM webhook_delivery WHERE webhook = $1 AND event IN"
                                " (SELECT event FROM webhook_delivery WHERE webhook = $1 ORDER BY event LIMIT $2)",
                                Values(webhook, max))
                           .changed());
  return std::size_t(
      connection
          .ask("DELETE FROM webhook_delivery WHERE webhook = $1 AND state = 1 AND event IN"
               " (SELECT event FROM webhook_delivery WHERE webhook = $1 AND state = 1 AND (at < $2 OR event <="
               "  (SELECT event FROM webhook_delivery WHERE webhook = $1 AND state = 1 ORDER BY event DESC"
               "   LIMIT 1 OFFSET $3)) ORDER BY event LIMIT $4)",
               Values(webhook, before, dead_max, max))
          .changed());
}

std::size_t purge_scaler(Connection& connection, Millis before, std::size_t max) {
  std::size_t gone = 0;
  const auto run = [&](const char* sql) {
    if (gone < max) gone += std::size_t(connection.ask(sql, Values(before, max - gone)).changed());
  };
  run("DELETE FROM machine WHERE (pool, instance) IN"
      " (SELECT pool, instance FROM machine WHERE gone_at IS NOT NULL AND gone_at < $1 LIMIT $2)");
  run("DELETE FROM scaler_intent WHERE request IN"
      " (SELECT request FROM scaler_intent WHERE state NOT IN (0, 4) AND issued_at < $1 LIMIT $2)");
  run("DELETE FROM load_sample WHERE (pool, at) IN"
      " (SELECT pool, at FROM load_sample WHERE at < $1 ORDER BY at LIMIT $2)");
  // In the order of their numbers, so that those which stay are not looked at.
  run("DELETE FROM scaler_decision WHERE id IN (SELECT id FROM (SELECT id, last_at FROM scaler_decision ORDER BY id"
      " LIMIT $2) d WHERE last_at < $1) AND id < (SELECT max(id) FROM scaler_decision)");
  return gone;
}

// ---- for the image

std::vector<LaneState> lane_states(Connection& connection) {
  static const std::string sql =
      "SELECT r.ready, r.one_priority, h.priority, h.seq, " + tables::lane.names +
      " FROM lane LEFT JOIN (SELECT lane, count(*) AS ready, min(priority) = max(priority) AS one_priority FROM ready"
      " GROUP BY lane) r ON r.lane = lane.no LEFT JOIN LATERAL (SELECT priority, seq FROM ready q"
      " WHERE q.lane = lane.no ORDER BY q.priority, q.seq LIMIT 1) h ON true ORDER BY no";
  const auto rows = connection.ask(sql);
  std::vector<LaneState> states;
  for (int at = 0; at < rows.size(); ++at) {
    const auto row = rows[at];
    auto& state = states.emplace_back(LaneState{.lane = shapes::read_lane(Reader(row, 4))});
    if (row.is_null(0)) continue;
    state.ready = row.integer(0);
    state.one_priority = row.integer(1) != 0;
    state.head = ReadyRow{state.lane.no, row.integer(2), row.integer(3)};
  }
  return states;
}

std::vector<LeasedJob> leased_jobs(Connection& connection) {
  const auto rows = connection.ask("SELECT " GERES_PG_JOB_COLUMNS_SLIM ", " GERES_PG_LEASE_COLUMNS
                                   " FROM lease l JOIN job j ON j.seq = l.seq LEFT JOIN job_status s ON s.seq = l.seq"
                                   " ORDER BY l.seq");
  std::vector<LeasedJob> leased;
  for (int at = 0; at < rows.size(); ++at) {
    auto& [lease, job] = leased.emplace_back();
    job = job_at(rows[at], 0);
    job.spec.inputs.clear();
    const auto row = rows[at];
    Reader columns(row, kJobColumns);
    lease = shapes::read_lease(columns);
  }
  return leased;
}

}  // namespace geres::hub::store::postgres
