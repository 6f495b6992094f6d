// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres/apply.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "hub/store/postgres/tables.h"
#include "hub/store/shapes/job.h"
#include "hub/store/shapes/scaler.h"
#include "hub/store/shapes/webhooks.h"

namespace geres::hub::store::postgres {
namespace {

// The last row of each key, in their order: one statement may not touch a row twice.
template <class Row, class Key>
std::vector<const Row*> last_of_each(const std::vector<Row>& rows, Key key) {
  std::vector<const Row*> last;
  if (rows.size() == 1) return {&rows.front()};
  std::map<decltype(key(rows.front())), std::size_t> newest;
  for (std::size_t at = 0; at < rows.size(); ++at) newest[key(rows[at])] = at;
  for (std::size_t at = 0; at < rows.size(); ++at)
    if (newest[key(rows[at])] == at) last.push_back(&rows[at]);
  return last;
}

template <class Row, class Shape>
void insert(Connection& connection, const Table& table, const std::vector<Row>& rows, Shape shape) {
  if (rows.empty()) return;
  RowSet set(table);
  for (const auto& row : rows) shape(row, [&](const auto&... values) { set.add(values...); });
  connection.send(table.insert, set.values());
}

template <class Row, class Key, class Shape>
void put(Connection& connection, const Table& table, const std::vector<Row>& rows, Key key, Shape shape) {
  if (rows.empty()) return;
  RowSet set(table);
  for (const Row* row : last_of_each(rows, key)) shape(*row, [&](const auto&... values) { set.add(values...); });
  connection.send(table.put, set.values());
}

template <class T>
void remove(Connection& connection, const std::string& sql, const std::vector<T>& keys) {
  if (keys.empty()) return;
  Values values;
  values.add_list(keys);
  connection.send(sql, values);
}

// Rows named by several columns, as pairs of arrays.
template <class Row, class... Part>
void remove_by(Connection& connection, const std::string& sql, std::vector<Kind> kinds, const std::vector<Row>& rows,
               Part... part) {
  if (rows.empty()) return;
  std::vector<Column> columns(kinds.begin(), kinds.end());
  for (const auto& row : rows) {
    std::size_t at = 0;
    (columns[at++].add(part(row)), ...);
  }
  Values values;
  for (const auto& column : columns) values.add(column);
  connection.send(sql, values);
}

#define GERES_SHAPE(name) [](const auto& row, auto to) { shapes::name##_columns(row, to); }
const auto by_id = [](const auto& row) { return row.id; };
const auto by_name = [](const auto& row) { return row.name; };

// ---- what is small

void write_places(Connection& connection, const Changes& changes) {
  put(connection, tables::tenant, changes.tenants, by_name, GERES_SHAPE(tenant));
  put(connection, tables::batch, changes.batches, by_id, GERES_SHAPE(batch));
  insert(connection, tables::lane, changes.lanes, GERES_SHAPE(lane));
  if (!changes.lane_durations.empty()) {
    Column no(Kind::number), ms(Kind::real), ends(Kind::number), p90(Kind::real);
    for (const auto* row : last_of_each(changes.lane_durations, [](const LaneDuration& d) { return d.no; })) {
      no.add(row->no), ms.add(row->duration.ms), ends.add(row->duration.ends), p90.add(row->duration.p90_ms);
    }
    connection.send(
        "UPDATE lane SET mean_duration = u.ms, ends = u.ends, p90_duration = u.p90"
        " FROM unnest($1::int8[], $2::float8[], $3::int8[], $4::float8[]) u(no, ms, ends, p90) WHERE lane.no = u.no",
        Values(no, ms, ends, p90));
  }
  remove(connection, "DELETE FROM lane WHERE no = ANY($1::int8[])", changes.lanes_removed);
}

void write_hosts(Connection& connection, const Changes& changes) {
  put(connection, tables::host, changes.hosts, by_id, GERES_SHAPE(host));
  remove_by(connection,
            "DELETE FROM host_drain d USING unnest($1::text[], $2::text[]) u(name, tenants)"
            " WHERE d.name = u.name AND d.tenants = u.tenants",
            {Kind::text, Kind::text}, changes.host_drains_removed, by_name, shapes::drained_tenants);
  put(
      connection, tables::host_drain, changes.host_drains,
      [](const HostDrain& d) { return std::pair(d.name, shapes::drained_tenants(d)); }, GERES_SHAPE(host_drain));
  remove(connection, "DELETE FROM host WHERE id = ANY($1::uuid[])", changes.hosts_removed);
  put(connection, tables::join_token, changes.join_tokens, by_id, GERES_SHAPE(join_token));
  remove(connection, "DELETE FROM join_token WHERE id = ANY($1::uuid[])", changes.join_tokens_removed);
  put(connection, tables::enrolment, changes.enrolments, by_id, GERES_SHAPE(enrolment));
  remove(connection, "DELETE FROM enrolment WHERE id = ANY($1::uuid[])", changes.enrolments_removed);
}

void write_packages_and_tokens(Connection& connection, const Changes& changes) {
  put(
      connection, tables::package, changes.packages,
      [](const model::PackageVersion& p) { return std::tuple(p.tenant, p.name, p.sha256); }, GERES_SHAPE(package));
  remove_by(
      connection,
      "DELETE FROM package p USING unnest($1::text[], $2::text[], $3::bytea[]) u(tenant, name, sha256)"
      " WHERE p.tenant = u.tenant AND p.name = u.name AND p.sha256 = u.sha256",
      {Kind::text, Kind::text, Kind::bytes}, changes.packages_removed, [](const auto& p) { return p.tenant; }, by_name,
      [](const auto& p) { return digest_bytes(p.sha256); });
  put(connection, tables::token, changes.tokens, by_id, GERES_SHAPE(token));
  remove(connection, "DELETE FROM token WHERE id = ANY($1::uuid[])", changes.tokens_removed);
}

// ---- jobs

// As a job stands that nothing has happened to: its row in `job` says it all.
bool is_fresh(const model::JobStatus& status) {
  const model::JobStatus none;
  const auto& [state, reason, error, attempt, failures, host_losses, version, progress, result, result_truncated, exit,
               cause, usage, files_left_out, host, submitted_at, ready_at, due_at, started_at, finished_at,
               cancel_requested_at, redrive_of, redriven_as, settled_at, trouble, memory] = status;
  static_cast<void>(submitted_at), static_cast<void>(ready_at), static_cast<void>(due_at);  // in `job`
  static_cast<void>(redrive_of);                                                            // likewise
  return !model::ended(state) && reason == none.reason && error.empty() && attempt == 0 && failures == 0 &&
         host_losses == 0 && version == none.version && !progress && !result && !result_truncated && !exit && !cause &&
         !usage && files_left_out.count == 0 && host.empty() && !started_at && !finished_at && !cancel_requested_at &&
         !redriven_as && !settled_at && trouble == none.trouble && memory == 0;
}

void add_asked(RowSet& rows, const model::Job& job) {
  const auto& [tenant, type, package, package_sha256, name, parameters, inputs, batch_id, priority, not_before, delay,
               timeout, queue_timeout, lease, max_attempts, backoff, requirements, tag_map, webhook, key,
               key_digest_text, ref, submitted_by] = job.spec;
  static_cast<void>(inputs), static_cast<void>(backoff), static_cast<void>(requirements);  // in `extras`, as are these
  static_cast<void>(webhook), static_cast<void>(ref);
  const auto& status = job.status;
  const auto batch = batch_id ? std::optional(batch_id) : std::nullopt;
  const std::string digest = digest_bytes(package_sha256), key_sha256 = digest_bytes(key_digest_text),
                    tags = tags_text(tag_map), extras = extras_text(job.spec);
  rows.add(job.id.seq(), std::int64_t(job.id.low), status.state, tenant, batch, type, OrNull{name}, status.submitted_at,
           priority, Unless{0, status.ready_at}, status.due_at, status.redrive_of, OrNull{package}, OrNull{digest},
           not_before, Unless{0, delay}, Unless{0, timeout}, Unless{0, queue_timeout}, Unless{0, lease},
           Unless{5, max_attempts}, OrNull{key}, OrNull{key_sha256}, OrNull{submitted_by}, OrNull{tags}, OrNull{extras},
           OrNull{parameters});
}

// The tenant comes from the job's own row; a job that is not there gets no status.
const std::string& put_status_sql() {
  static const std::string sql =
      "INSERT INTO job_status(" + tables::job_status.names + ", tenant) SELECT u.*, j.tenant FROM " +
      tables::job_status.rows + " u(" + tables::job_status.names +
      ") JOIN job j ON j.seq = u.seq ON CONFLICT (seq) DO UPDATE SET " + tables::job_status.update;
  return sql;
}

void put_statuses(Connection& connection, const std::vector<JobUpdate>& updates) {
  if (updates.empty()) return;
  RowSet rows(tables::job_status);
  for (const auto* update : last_of_each(updates, by_id))
    shapes::status_columns(*update, [&](const auto&... values) { rows.add(values...); });
  connection.send(put_status_sql(), rows.values());
}

void insert_jobs(Connection& connection, const std::vector<model::Job>& jobs) {
  if (jobs.empty()) return;
  RowSet rows(tables::job);
  std::vector<JobUpdate> statuses;
  Column key_tenant(Kind::text), key(Kind::text), key_seq(Kind::number);
  Column input_tenant(Kind::text), input_digest(Kind::bytes), input_seq(Kind::number);
  std::map<std::pair<std::string_view, std::string>, std::int64_t> uses;
  for (const auto& job : jobs) {
    add_asked(rows, job);
    const Seq seq = job.id.seq();
    if (!is_fresh(job.status)) statuses.push_back({job.id, job.status});
    if (!job.spec.key.empty()) key_tenant.add(job.spec.tenant), key.add(job.spec.key), key_seq.add(seq);
    for (const auto& input : job.spec.inputs) {
      const std::string digest = digest_bytes(input.sha256);
      if (!digest.empty()) input_tenant.add(job.spec.tenant), input_digest.add(Blob{digest}), input_seq.add(seq);
    }
    if (!job.spec.package_sha256.empty() && !model::ended(job.status.state))
      ++uses[{job.spec.tenant, digest_bytes(job.spec.package_sha256)}];
  }
  connection.send(tables::job.insert, rows.values());
  if (key.array())
    connection.send("INSERT INTO job_key SELECT * FROM unnest($1::text[], $2::text[], $3::int8[])",
                    Values(key_tenant, key, key_seq));
  if (input_seq.array())
    connection.send(
        "INSERT INTO job_input SELECT * FROM unnest($1::text[], $2::bytea[], $3::int8[])"
        " ON CONFLICT DO NOTHING",
        Values(input_tenant, input_digest, input_seq));
  if (!uses.empty()) {
    Column tenant(Kind::text), digest(Kind::bytes), n(Kind::number);
    for (const auto& [use, by] : uses) tenant.add(use.first), digest.add(Blob{use.second}), n.add(by);
    connection.send(
        "INSERT INTO package_use AS p SELECT * FROM unnest($1::text[], $2::bytea[], $3::int8[])"
        " ON CONFLICT (tenant, sha256) DO UPDATE SET jobs = p.jobs + excluded.jobs",
        Values(tenant, digest, n));
  }
  put_statuses(connection, statuses);
}

// Jobs that end, or go before they have, need their packages no more.
void release_packages(Connection& connection, const std::vector<Seq>& seqs) {
  if (seqs.empty()) return;
  Values values;
  values.add_list(seqs);
  connection.send(
      "WITH gone AS (SELECT j.tenant, j.package_sha256 AS sha256, count(*) AS n FROM unnest($1::int8[]) u(seq)"
      " JOIN job j ON j.seq = u.seq LEFT JOIN job_status s ON s.seq = u.seq"
      " WHERE j.package_sha256 IS NOT NULL AND coalesce(s.state, j.state) < 5 GROUP BY 1, 2)"
      " UPDATE package_use p SET jobs = p.jobs - gone.n FROM gone"
      " WHERE p.tenant = gone.tenant AND p.sha256 = gone.sha256",
      values);
  connection.send("DELETE FROM package_use WHERE jobs <= 0");
}

void update_jobs(Connection& connection, const Changes& changes) {
  std::vector<Seq> ended;
  for (const auto& update : changes.updates)
    if (model::ended(update.status.state)) ended.push_back(update.id.seq());
  std::sort(ended.begin(), ended.end());
  ended.erase(std::unique(ended.begin(), ended.end()), ended.end());
  release_packages(connection, ended);
  put_statuses(connection, changes.updates);
  if (changes.edits.empty()) return;
  Column seq(Kind::number), priority(Kind::number), not_before(Kind::number), tags(Kind::text);
  for (const auto* edit : last_of_each(changes.edits, by_id)) {
    const std::string text = tags_text(edit->tags);
    seq.add(edit->id.seq()), priority.add(edit->priority), not_before.add(edit->not_before), tags.add(OrNull{text});
  }
  connection.send(
      "UPDATE job SET priority = u.priority, not_before = u.not_before, tags = u.tags"
      " FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::text[]) u(seq, priority, not_before, tags)"
      " WHERE job.seq = u.seq",
      Values(seq, priority, not_before, tags));
}

void purge_jobs(Connection& connection, const std::vector<Uuid>& ids) {
  if (ids.empty()) return;
  std::vector<Seq> seqs;
  Column lo(Kind::number), seq(Kind::number);
  for (const Uuid id : ids) seqs.push_back(id.seq()), seq.add(id.seq()), lo.add(std::int64_t(id.low));
  release_packages(connection, seqs);
  connection.send(
      "WITH gone AS (DELETE FROM job j USING unnest($1::int8[], $2::int8[]) u(seq, lo)"
      "  WHERE j.seq = u.seq AND j.lo = u.lo RETURNING j.seq, j.tenant, j.key),"
      " keys AS (DELETE FROM job_key k USING gone g WHERE k.tenant = g.tenant AND k.key = g.key),"
      " statuses AS (DELETE FROM job_status s USING gone g WHERE s.seq = g.seq),"
      " inputs AS (DELETE FROM job_input i USING gone g WHERE i.seq = g.seq),"
      " attempts AS (DELETE FROM attempt a USING gone g WHERE a.seq = g.seq)"
      " DELETE FROM job_file f USING gone g WHERE f.seq = g.seq",
      Values(seq, lo));
}

// ---- where jobs wait and run

std::vector<Seq> seqs_of(const std::vector<Uuid>& ids) {
  std::vector<Seq> seqs;
  for (const Uuid id : ids) seqs.push_back(id.seq());
  return seqs;
}

// Taken away first: a job may leave one place and come to another, or to the same again, in one tick.
void write_queue(Connection& connection, const Changes& changes) {
  remove_by(
      connection,
      "DELETE FROM ready r USING unnest($1::int8[], $2::int8[], $3::int8[]) u(lane, priority, seq)"
      " WHERE r.lane = u.lane AND r.priority = u.priority AND r.seq = u.seq",
      {Kind::number, Kind::number, Kind::number}, changes.ready_removed, [](const auto& r) { return r.lane; },
      [](const auto& r) { return r.priority; }, [](const auto& r) { return r.seq; });
  insert(connection, tables::ready, changes.ready, [](const ReadyRow& r, auto to) { to(r.lane, r.priority, r.seq); });
  remove(connection, "DELETE FROM scheduled WHERE seq = ANY($1::int8[])", changes.scheduled_removed);
  const auto by_seq = [](const auto& row) { return row.seq; };
  put(connection, tables::scheduled, changes.scheduled, by_seq,
      [](const ScheduledRow& r, auto to) { to(r.seq, r.due, r.by_wall, r.duration); });
  remove(connection, "DELETE FROM queue_deadline WHERE seq = ANY($1::int8[])", changes.deadlines_removed);
  if (changes.deadlines.empty()) return;
  // The full duration is the job's own; lead() needs it.
  Column seq(Kind::number), due(Kind::number);
  for (const auto* row : last_of_each(changes.deadlines, by_seq)) seq.add(row->seq), due.add(row->due);
  connection.send(
      "INSERT INTO queue_deadline SELECT u.seq, u.due, coalesce(j.queue_timeout, 0)"
      " FROM unnest($1::int8[], $2::int8[]) u(seq, due) LEFT JOIN job j ON j.seq = u.seq"
      " ON CONFLICT (seq) DO UPDATE SET due = excluded.due, duration = excluded.duration",
      Values(seq, due));
}

void write_leases(Connection& connection, const Changes& changes) {
  remove(connection, "DELETE FROM lease WHERE seq = ANY($1::int8[])", seqs_of(changes.leases_removed));
  put(
      connection, tables::lease, changes.leases, [](const LeaseRow& l) { return l.job; }, GERES_SHAPE(lease));
}

void write_history(Connection& connection, const Changes& changes) {
  insert(connection, tables::attempt, changes.attempts, GERES_SHAPE(attempt));
  put(
      connection, tables::job_file, changes.files, [](const JobFileRow& f) { return std::pair(f.job, f.file.path); },
      [](const JobFileRow& f, auto to) {
        const std::string digest = digest_bytes(f.file.sha256);
        to(f.job.seq(), f.file.path, f.tenant, f.file.size, Blob{digest});
      });
}

// ---- counters

void add_counts(Connection& connection, const std::vector<CountDelta>& deltas) {
  if (deltas.empty()) return;
  Column batch(Kind::uuid), tenant(Kind::text);
  std::vector<Column> n(model::StateCounts{}.size(), Column(Kind::number));
  for (const auto& [key, counts] : summed(deltas)) {
    batch.add(key.first), tenant.add(key.second);
    for (std::size_t state = 0; state < counts.size(); ++state) n[state].add(counts[state]);
  }
  Values values(batch, tenant);
  for (const auto& column : n) values.add(column);
  connection.send(
      "INSERT INTO batch_count AS c SELECT * FROM unnest($1::uuid[], $2::text[], $3::int8[], $4::int8[], $5::int8[],"
      " $6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::int8[]) ON CONFLICT (batch, tenant) DO UPDATE SET"
      " s0 = c.s0 + excluded.s0, s1 = c.s1 + excluded.s1, s2 = c.s2 + excluded.s2, s3 = c.s3 + excluded.s3,"
      " s4 = c.s4 + excluded.s4, s5 = c.s5 + excluded.s5, s6 = c.s6 + excluded.s6, s7 = c.s7 + excluded.s7",
      values);
}

void add_dead_letters(Connection& connection, const std::vector<DeadLetterDelta>& deltas) {
  Column tenant(Kind::text), reason(Kind::number), n(Kind::number);
  for (const auto& [key, by] : summed(deltas))
    if (by != 0) tenant.add(key.first), reason.add(key.second), n.add(by);
  if (!n.array()) return;
  connection.send(
      "INSERT INTO dead_letter AS d SELECT * FROM unnest($1::text[], $2::int8[], $3::int8[])"
      " ON CONFLICT (tenant, reason) DO UPDATE SET n = d.n + excluded.n",
      Values(tenant, reason, n));
}

// ---- who is told, and who sizes the fleet

void write_webhooks(Connection& connection, const Changes& changes) {
  put(connection, tables::webhook, changes.webhooks, by_id, GERES_SHAPE(webhook));
  remove(connection, "DELETE FROM webhook WHERE id = ANY($1::uuid[])", changes.webhooks_removed);
  remove_by(
      connection,
      "DELETE FROM webhook_delivery d USING unnest($1::uuid[], $2::int8[]) u(webhook, event)"
      " WHERE d.webhook = u.webhook AND d.event = u.event",
      {Kind::uuid, Kind::number}, changes.deliveries_removed, [](const auto& k) { return k.webhook; },
      [](const auto& k) { return k.event; });
  put(
      connection, tables::webhook_delivery, changes.deliveries, [](const DeliveryRow& d) { return d.key; },
      GERES_SHAPE(delivery));
  put(connection, tables::cursor, changes.cursors, by_name, GERES_SHAPE(cursor));
}

void write_scaler(Connection& connection, const Changes& changes) {
  put(connection, tables::pool, changes.pools, by_name, GERES_SHAPE(pool));
  remove(connection, "DELETE FROM pool WHERE name = ANY($1::text[])", changes.pools_removed);
  put(
      connection, tables::machine, changes.machines, [](const MachineRow& m) { return std::pair(m.pool, m.instance); },
      GERES_SHAPE(machine));
  put(
      connection, tables::scaler_intent, changes.intents, [](const IntentRow& i) { return i.request; },
      GERES_SHAPE(intent));
  put(connection, tables::scaler_decision, changes.decisions, by_id, GERES_SHAPE(decision));
  put(
      connection, tables::load_sample, changes.load_samples,
      [](const LoadSample& s) { return std::pair(s.pool, s.at); }, GERES_SHAPE(load_sample));
  if (changes.scaler.empty()) return;
  const auto& [holder, epoch] = changes.scaler.back();
  connection.send(
      "INSERT INTO scaler VALUES (1, $1, $2) ON CONFLICT (id) DO UPDATE SET holder = excluded.holder,"
      " epoch = excluded.epoch",
      Values(holder, epoch));
}

void write_blobs(Connection& connection, const Changes& changes) {
  remove_by(
      connection,
      "DELETE FROM blob b USING unnest($1::text[], $2::bytea[]) u(tenant, sha256)"
      " WHERE b.tenant = u.tenant AND b.sha256 = u.sha256",
      {Kind::text, Kind::bytes}, changes.blobs_removed, [](const auto& k) { return k.tenant; },
      [](const auto& k) { return digest_bytes(k.sha256); });
  put(
      connection, tables::blob, changes.blobs, [](const BlobRow& b) { return b.key; }, GERES_SHAPE(blob));
}

}  // namespace

void apply_changes(Connection& connection, const Changes& changes, HighMarks& marks) {
  write_places(connection, changes);
  write_hosts(connection, changes);
  write_packages_and_tokens(connection, changes);
  insert_jobs(connection, changes.jobs);
  update_jobs(connection, changes);
  write_queue(connection, changes);
  write_leases(connection, changes);
  write_history(connection, changes);
  add_counts(connection, changes.counts);
  add_dead_letters(connection, changes.dead_letters);
  insert(connection, tables::list_key, changes.list_keys, GERES_SHAPE(list_key));
  put(connection, tables::operation, changes.operations, by_id, GERES_SHAPE(operation));
  remove(connection, "DELETE FROM operation WHERE id = ANY($1::uuid[])", changes.operations_removed);
  write_webhooks(connection, changes);
  write_scaler(connection, changes);
  write_blobs(connection, changes);
  purge_jobs(connection, changes.jobs_purged);
  remove(connection, "DELETE FROM batch_count WHERE batch = ANY($1::uuid[])", changes.batches_removed);
  remove(connection, "DELETE FROM batch WHERE id = ANY($1::uuid[])", changes.batches_removed);
  insert(connection, tables::event, changes.events, GERES_SHAPE(event));
  raise_marks(changes, marks);
}

}  // namespace geres::hub::store::postgres
