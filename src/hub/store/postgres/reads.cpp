// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres/reads.h"

#include <algorithm>
#include <limits>

#include "hub/store/filter_parts.h"
#include "hub/store/postgres/filter_sql.h"
#include "hub/store/postgres/job_sql.h"
#include "hub/store/postgres/small_rows.h"
#include "hub/store/postgres/tick_reads.h"

namespace geres::hub::store::postgres {

// ---- the pool

std::unique_ptr<Connection> ReadPool::take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return busy_ < most_; });
  ++busy_;
  std::unique_ptr<Connection> connection;
  if (!idle_.empty()) {
    connection = std::move(idle_.back());
    idle_.pop_back();
  }
  lock.unlock();
  if (connection) return connection;
  try {
    return open_();
  } catch (...) {
    give(nullptr);
    throw;
  }
}

void ReadPool::give(std::unique_ptr<Connection> connection) {
  const std::lock_guard lock(mutex_);
  --busy_;
  if (connection && !connection->lost()) idle_.push_back(std::move(connection));
  changed_.notify_one();
}

void ReadPool::forget_idle() {
  const std::lock_guard lock(mutex_);
  idle_.clear();
}

// A connection that was idle may have been ended by a server that has restarted since: that is found out by the first
// question, which is asked once more of a new one.
template <class F>
auto PostgresReads::read(F&& work) {
  for (bool again = true;; again = false) {
    auto connection = pool_.take();
    struct Return {
      ReadPool& pool;
      std::unique_ptr<Connection>& connection;
      ~Return() { pool.give(std::move(connection)); }
    } back{pool_, connection};
    try {
      connection->send("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
      auto found = work(*connection);
      connection->ask("COMMIT");
      return found;
    } catch (const StoreFailed&) {
      if (!connection->lost()) connection->ask("ROLLBACK");
      if (!connection->lost() || !again) throw;
      pool_.forget_idle();
    }
  }
}

namespace {

// ---- batches

std::optional<model::Batch> find_batch(Connection& connection, Uuid id) {
  auto batch = select_one(connection, tables::batch, " WHERE id = $1", GERES_READ(batch), Values(id));
  if (!batch && id == model::kDefaultBatch) batch = usual_default_batch();
  return batch;
}

StoredBatch with_counts(Connection& connection, model::Batch batch) {
  StoredBatch stored{std::move(batch), {}};
  const auto rows = connection.ask("SELECT tenant, s0, s1, s2, s3, s4, s5, s6, s7 FROM batch_count WHERE batch = $1",
                                   Values(stored.batch.id));
  for (int at = 0; at < rows.size(); ++at) {
    auto& counts = stored.counts[std::string(rows[at].view(0))];
    for (std::size_t state = 0; state < counts.size(); ++state) counts[state] = rows[at].integer(int(state) + 1);
  }
  return stored;
}

// ---- pages

std::string in_order(const Page& page) {
  return std::string(" ORDER BY j.seq ") + (page.ascending ? "ASC" : "DESC");
}

// The rows after $1, and up to $2 if there is a last one.
std::string within(const FilterSql& sql, const Page& page, Seq last) {
  const std::string up_to = last != 0 ? "$2" : "";
  if (page.ascending) return sql.range(page.after != 0 ? "$1 + 1" : "", up_to);
  return sql.range(up_to, page.after != 0 ? "$1 - 1" : "");
}

// The last row of a walk that looks at no more than it may; 0 if it comes to its end before.
Seq last_looked_at(Connection& connection, const FilterSql& sql, const Page& page) {
  if (page.looked_max == 0 || !sql.selective()) return 0;
  const auto rows = connection.ask("SELECT j.seq" + sql.from() + "WHERE " + sql.walk() + within(sql, page, 0) +
                                       in_order(page) + " LIMIT 1 OFFSET $3",
                                   sql.values(page.after, 0, std::int64_t(page.looked_max) - 1));
  return rows.empty() ? 0 : rows[0].integer(0);
}

// ---- unique ids by their first or last digits

void add_ids(const Result& rows, std::vector<Uuid>& ids) {
  for (int at = 0; at < rows.size(); ++at)
    ids.push_back({std::uint64_t(rows[at].integer(0)), std::uint64_t(rows[at].integer(1))});
}

std::string whose(const std::vector<std::string>& tenants, const char* parameter) {
  return tenants.empty() ? "true" : std::string("tenant = ANY(") + parameter + ")";
}

void ids_starting(Connection& connection, const std::string& hex, const std::vector<std::string>& tenants,
                  std::size_t max, std::vector<Uuid>& ids) {
  const std::size_t n = std::min<std::size_t>(hex.size(), 16);
  const std::uint64_t span = n == 0 ? ~0ull : n == 16 ? 0 : ~0ull >> (4 * n);
  const std::uint64_t first = n == 0 ? 0 : digits_value(hex, 0, n) << (64 - 4 * n);
  if (std::int64_t(first) < 0) return;  // no id made here starts so
  const auto last = std::int64_t(std::min<std::uint64_t>(first + span, INT64_MAX));
  Values values(std::int64_t(first), last, max);
  if (!tenants.empty()) values.add_list(tenants);
  add_ids(connection.ask("SELECT seq, lo FROM job WHERE seq BETWEEN $1 AND $2 AND " + whose(tenants, "$4") +
                             " ORDER BY seq DESC LIMIT $3",
                         values),
          ids);
}

void ids_ending(Connection& connection, const std::string& hex, const std::vector<std::string>& tenants,
                std::size_t max, std::vector<Uuid>& ids) {
  const std::size_t n = std::min<std::size_t>(hex.size(), 16);
  if (n == 0) return;
  const std::uint64_t mask = n == 16 ? ~0ull : (1ull << (4 * n)) - 1;
  const std::uint64_t wanted = digits_value(hex, hex.size() - n, n);
  Values values(std::int64_t(mask), std::int64_t(wanted), max);
  if (!tenants.empty()) values.add_list(tenants);
  add_ids(connection.ask("SELECT seq, lo FROM job WHERE (lo & $1) = $2 AND " + whose(tenants, "$4") +
                             " ORDER BY seq DESC LIMIT $3",
                         values),
          ids);
}

bool job_exists(Connection& connection, Uuid id) {
  return !connection.ask("SELECT 1 FROM job WHERE seq = $1 AND lo = $2", Values(id.seq(), std::int64_t(id.low)))
              .empty();
}

}  // namespace

// ---- jobs

std::optional<model::Job> PostgresReads::job(Uuid id) {
  return read([&](Connection& connection) { return find_job(connection, id); });
}

std::optional<JobAsOf> PostgresReads::job_as_of(Uuid id) {
  return read([&](Connection& connection) -> std::optional<JobAsOf> {
    auto job = find_job(connection, id);
    if (!job) return std::nullopt;
    const auto last = connection.ask("SELECT max(no) FROM event");
    return JobAsOf{std::move(*job), last[0].integer(0)};
  });
}

JobPage PostgresReads::jobs(const JobFilter& filter, const Page& page) {
  return read([&](Connection& connection) {
    const FilterSql sql(connection, filter, true);
    const Seq last = last_looked_at(connection, sql, page);
    const auto rows = connection.ask(
        (page.slim ? "SELECT " GERES_PG_JOB_COLUMNS_SLIM : "SELECT " GERES_PG_JOB_COLUMNS) + sql.from() + "WHERE " +
            sql.walk() + " AND " + sql.fits() + within(sql, page, last) + in_order(page) + " LIMIT $3",
        sql.values(page.after, last, std::int64_t(page.limit) + 1));
    JobPage found;
    std::size_t bytes = 0;
    for (int at = 0; at < rows.size(); ++at) {
      if (found.jobs.size() == page.limit || (page.bytes_max > 0 && bytes >= page.bytes_max)) {
        found.next = found.jobs.back().id.seq();
        return found;
      }
      const auto row = rows[at];
      found.jobs.push_back(shapes::read_job(Reader(row)));
      bytes += held_bytes(found.jobs.back());
    }
    found.next = last;
    return found;
  });
}

Counted PostgresReads::count(const JobFilter& filter, const Page& page) {
  return read([&](Connection& connection) {
    const FilterSql sql(connection, filter, true);
    const Seq last = last_looked_at(connection, sql, page);
    const auto rows =
        connection.ask("SELECT CASE WHEN s.state = 6 THEN s.reason END, count(*)" + sql.from() + "WHERE " + sql.walk() +
                           " AND " + sql.fits() + within(sql, page, last) + " GROUP BY 1",
                       sql.values(page.after, last, 0));
    Counted counted;
    for (int at = 0; at < rows.size(); ++at) {
      const std::int64_t n = rows[at].integer(1);
      counted.count += n;
      if (!rows[at].is_null(0)) counted.by_reason[model::Reason(rows[at].integer(0))] += n;
    }
    counted.next = last;
    return counted;
  });
}

std::vector<Uuid> PostgresReads::ids_like(const std::string& hex, const std::vector<std::string>& tenants,
                                          std::size_t max) {
  const auto digits = id_digits(hex);
  if (!digits) return {};
  return read([&](Connection& connection) {
    std::vector<Uuid> ids;
    ids_starting(connection, *digits, tenants, max, ids);
    ids_ending(connection, *digits, tenants, max, ids);
    keep_matching(ids, *digits, max);
    return ids;
  });
}

std::vector<model::Attempt> PostgresReads::attempts(Uuid job) {
  return read([&](Connection& connection) {
    std::vector<model::Attempt> attempts;
    if (!job_exists(connection, job)) return attempts;
    const auto rows = connection.ask(
        "SELECT " GERES_PG_ATTEMPT_COLUMNS
        " FROM attempt WHERE seq = $1 UNION ALL SELECT attempt, host_name, granted_at, started_at, NULL, NULL, NULL,"
        " NULL, NULL, NULL, NULL, NULL, (SELECT (nullif(l.requirements, '')::json ->> 'memory')::int8 FROM lane l"
        " WHERE l.no = lease.lane) FROM lease WHERE seq = $1 ORDER BY attempt",
        Values(job.seq()));
    return rows.all([](Reader row) { return shapes::read_attempt(row); });
  });
}

std::vector<model::JobFile> PostgresReads::files(Uuid job) {
  return read([&](Connection& connection) {
    std::vector<model::JobFile> files;
    if (!job_exists(connection, job)) return files;
    const auto rows =
        connection.ask("SELECT path, size, sha256 FROM job_file WHERE seq = $1 ORDER BY path", Values(job.seq()));
    for (int at = 0; at < rows.size(); ++at)
      files.push_back({std::string(rows[at].view(0)), rows[at].integer(1), digest_hex(rows[at].view(2))});
    return files;
  });
}

// ---- events

std::vector<EventRow> PostgresReads::job_events(Uuid job, EventNo after, std::size_t max) {
  return read([&](Connection& connection) {
    return select(connection, tables::event, " WHERE seq = $1 AND lo = $2 AND no > $3 ORDER BY no LIMIT $4",
                  GERES_READ(event), Values(job.seq(), std::int64_t(job.low), after, max));
  });
}

std::vector<EventRow> PostgresReads::events(EventNo after, std::size_t max) {
  return read([&](Connection& connection) {
    return select(connection, tables::event, " WHERE no > $1 ORDER BY no LIMIT $2", GERES_READ(event),
                  Values(after, max));
  });
}

std::pair<EventNo, EventNo> PostgresReads::event_range() {
  return read([](Connection& connection) {
    const auto rows = connection.ask("SELECT min(no), max(no) FROM event");
    return std::pair<EventNo, EventNo>(rows[0].integer(0), rows[0].integer(1));
  });
}

// ---- the small tables

std::vector<StoredBatch> PostgresReads::batches(const BatchFilter& filter, std::optional<Uuid> after, std::size_t max) {
  return read([&](Connection& connection) {
    std::vector<StoredBatch> found;
    const auto add = [&](model::Batch batch) {
      if (found.size() < max && fits(filter, batch)) found.push_back(with_counts(connection, std::move(batch)));
    };
    if (!after) add(*find_batch(connection, model::kDefaultBatch));
    Uuid from = after.value_or(model::kDefaultBatch);
    constexpr std::size_t kSlice = 1'000;
    while (found.size() < max) {
      auto slice = select(connection, tables::batch, " WHERE id > $1 AND ($2 = '' OR name = $2) ORDER BY id LIMIT $3",
                          GERES_READ(batch), Values(from, filter.name, kSlice));
      for (auto& batch : slice) add(batch);
      if (slice.size() < kSlice) break;
      from = slice.back().id;
    }
    return found;
  });
}

std::optional<StoredBatch> PostgresReads::batch(Uuid id) {
  return read([&](Connection& connection) -> std::optional<StoredBatch> {
    auto batch = find_batch(connection, id);
    if (!batch) return std::nullopt;
    return with_counts(connection, std::move(*batch));
  });
}

Totals PostgresReads::totals() {
  return read([](Connection& connection) {
    Totals totals;
    for (const auto& [batch, tenant, counts] : read_counts(connection)) {
      auto& sum = totals.by_tenant[tenant];
      for (std::size_t i = 0; i < counts.size(); ++i) sum[i] += counts[i];
    }
    return totals;
  });
}

bool PostgresReads::has_tenant(const std::string& name) {
  return read([&](Connection& connection) {
    return !connection.ask("SELECT 1 FROM tenant WHERE name = $1", Values(name)).empty();
  });
}

std::vector<model::Tenant> PostgresReads::tenants() {
  return read([](Connection& c) { return select(c, tables::tenant, " ORDER BY name", GERES_READ(tenant)); });
}

std::vector<model::PackageVersion> PostgresReads::packages() {
  return read(
      [](Connection& c) { return select(c, tables::package, " ORDER BY tenant, name, version", GERES_READ(package)); });
}

std::vector<model::Token> PostgresReads::tokens() {
  return read([](Connection& c) { return select(c, tables::token, " ORDER BY id", GERES_READ(token)); });
}

std::vector<model::JoinToken> PostgresReads::join_tokens() {
  return read([](Connection& c) { return select(c, tables::join_token, " ORDER BY id", GERES_READ(join_token)); });
}

std::vector<model::Enrolment> PostgresReads::enrolments() {
  return read([](Connection& c) { return select(c, tables::enrolment, " ORDER BY id", GERES_READ(enrolment)); });
}

std::vector<model::Host> PostgresReads::hosts() {
  return read([](Connection& c) { return select(c, tables::host, " ORDER BY id", GERES_READ(host)); });
}

std::optional<model::Host> PostgresReads::host(Uuid id) {
  return read(
      [&](Connection& c) { return select_one(c, tables::host, " WHERE id = $1", GERES_READ(host), Values(id)); });
}

std::vector<LeaseRow> PostgresReads::leases() {
  return read([](Connection& c) { return select(c, tables::lease, " ORDER BY seq", GERES_READ(lease)); });
}

std::vector<model::Webhook> PostgresReads::webhooks() {
  return read([](Connection& c) { return select(c, tables::webhook, " ORDER BY id", GERES_READ(webhook)); });
}

std::optional<CursorRow> PostgresReads::cursor(const std::string& name) {
  return read([&](Connection& c) {
    return select_one(c, tables::cursor, " WHERE name = $1", GERES_READ(cursor), Values(name));
  });
}

std::vector<ToldDelivery> PostgresReads::deliveries(Uuid webhook, DeliveryState state, EventNo after, std::size_t max) {
  return read([&](Connection& connection) {
    const auto rows = connection.ask(
        "SELECT d.webhook, d.event, d.url, d.state, d.attempts, d.due, d.at, d.tried_at, d.status, d.error, e.type,"
        " e.seq, e.lo FROM webhook_delivery d LEFT JOIN event e ON e.no = d.event"
        " WHERE d.webhook = $1 AND d.state = $2 AND d.event > $3 ORDER BY d.event LIMIT $4",
        Values(webhook, state, after, max));
    return rows.all([](Reader row) { return shapes::read_told_delivery(row); });
  });
}

std::vector<DeliveryRow> PostgresReads::pending_deliveries(const std::optional<DeliveryRow>& after, std::size_t max) {
  return read([&](Connection& connection) {
    const auto from = after.value_or(DeliveryRow{.due = -1});
    return select(connection, tables::webhook_delivery,
                  " WHERE state = 0 AND (due, webhook, event) > ($1, $2, $3) ORDER BY due, webhook, event LIMIT $4",
                  GERES_READ(delivery), Values(from.due, from.key.webhook, from.key.event, max));
  });
}

// ---- the fleet

std::vector<model::Pool> PostgresReads::pools() {
  return read([](Connection& c) { return select(c, tables::pool, " ORDER BY name", GERES_READ(pool)); });
}

std::optional<model::Pool> PostgresReads::pool(const std::string& name) {
  return read(
      [&](Connection& c) { return select_one(c, tables::pool, " WHERE name = $1", GERES_READ(pool), Values(name)); });
}

std::vector<MachineRow> PostgresReads::machines(const std::string& pool, bool gone,
                                                const std::pair<std::string, std::string>& after, std::size_t max) {
  return read([&](Connection& c) {
    return select(c, tables::machine,
                  " WHERE (pool, instance) > ($1, $2) AND ($3 = '' OR pool = $3) AND ($4 OR gone_at IS NULL)"
                  " ORDER BY pool, instance LIMIT $5",
                  GERES_READ(machine), Values(after.first, after.second, pool, gone, max));
  });
}

std::vector<IntentRow> PostgresReads::open_intents(const std::string& pool) {
  return read([&](Connection& connection) { return read_open_intents(connection, pool); });
}

std::vector<DecisionRow> PostgresReads::decisions(const DecisionFilter& filter, std::int64_t before, std::size_t max) {
  constexpr auto kAll = std::numeric_limits<std::int64_t>::max();
  return read([&](Connection& c) {
    return select(c, tables::scaler_decision,
                  " WHERE id < $1 AND last_at >= $2 AND at < $3 AND ($4 = '' OR pool = $4)"
                  " AND (NOT $5 OR changes IS NOT NULL) ORDER BY id DESC LIMIT $6",
                  GERES_READ(decision),
                  Values(before > 0 ? before : kAll, filter.from.value_or(0), filter.to.value_or(kAll), filter.pool,
                         filter.changed, max));
  });
}

std::vector<LoadSample> PostgresReads::load_samples(const std::string& pool, Millis from, Millis to, std::size_t max) {
  return read([&](Connection& c) {
    return select(c, tables::load_sample,
                  " WHERE pool = $1 AND at >= coalesce((SELECT max(at) FROM load_sample WHERE pool = $1 AND at <= $2),"
                  " $2) AND at < $3 ORDER BY at LIMIT $4",
                  GERES_READ(load_sample), Values(pool, from, to, max));
  });
}

std::vector<DueJobs> PostgresReads::due_soon(Millis engine, Millis wall, Millis near, Millis far, std::size_t max) {
  return read([&](Connection& connection) {
    const auto rows = connection.ask(
        "SELECT j.batch, j.tenant, j.type, coalesce(j.package, '') <> '', (j.extras::json -> 'requires')::text,"
        " s.memory, count(*) FILTER (WHERE d.near), count(*) FROM ("
        " (SELECT seq, due <= $1 + $3 AS near FROM scheduled WHERE NOT by_wall AND due <= $1 + $4 ORDER BY due LIMIT "
        "$5)"
        " UNION ALL"
        " (SELECT seq, due <= $2 + $3 FROM scheduled WHERE by_wall AND due <= $2 + $4 ORDER BY due LIMIT $5)) d"
        " JOIN job j ON j.seq = d.seq LEFT JOIN job_status s ON s.seq = d.seq GROUP BY 1, 2, 3, 4, 5, 6",
        Values(engine, wall, near, far, max));
    return rows.all([](Reader row) {
      DueJobs jobs;
      jobs.key.batch = row.uuid();
      jobs.key.tenant = row.text();
      jobs.key.type = row.text();
      jobs.key.packaged = row.flag();
      jobs.key.requirements = requirements_from(row.text());
      jobs.key.requirements.memory = std::max(jobs.key.requirements.memory, row.integer());
      jobs.near = row.integer();
      jobs.far = row.integer();
      return jobs;
    });
  });
}

ScalerRow PostgresReads::scaler() {
  return read(read_scaler);
}

// ---- and the rest

std::string PostgresReads::log() {
  return read([](Connection& connection) {
    return connection.ask("SELECT log FROM meta").first([](Reader row) { return row.text(); }).value_or("");
  });
}

bool PostgresReads::blob_named(const std::string& tenant, const std::string& sha256) {
  return read([&](Connection& connection) { return postgres::blob_named(connection, {tenant, sha256}); });
}

std::vector<std::optional<BlobRow>> PostgresReads::blobs(std::span<const BlobKey> keys) {
  return read([&](Connection& connection) {
    std::vector<std::optional<BlobRow>> found(keys.size());
    if (keys.empty()) return found;
    Column tenant(Kind::text), digest(Kind::bytes);
    for (const auto& key : keys) tenant.add(key.tenant), digest.add(digest_bytes(key.sha256));
    const auto rows = connection.ask(
        "SELECT u.no, b.tenant, b.sha256, b.size, b.state, b.at FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY"
        " u(tenant, sha256, no) JOIN blob b ON b.tenant = u.tenant AND b.sha256 = u.sha256",
        Values(tenant, digest));
    for (int at = 0; at < rows.size(); ++at) {
      const auto row = rows[at];
      found[std::size_t(row.integer(0) - 1)] = shapes::read_blob(Reader(row, 1));
    }
    return found;
  });
}

std::map<model::Reason, std::int64_t> PostgresReads::dead_letters(const std::vector<std::string>& tenants) {
  return read([&](Connection& connection) {
    Values values;
    if (!tenants.empty()) values.add_list(tenants);
    const auto rows = connection.ask("SELECT reason, sum(n)::int8 FROM dead_letter WHERE " + whose(tenants, "$1") +
                                         " GROUP BY reason HAVING sum(n) <> 0",
                                     values);
    std::map<model::Reason, std::int64_t> counts;
    for (int at = 0; at < rows.size(); ++at) counts[model::Reason(rows[at].integer(0))] = rows[at].integer(1);
    return counts;
  });
}

std::optional<model::Job> PostgresReads::oldest_ready(std::vector<ReadyRow> first, std::span<const LaneNo> lanes) {
  return read([&](Connection& connection) -> std::optional<model::Job> {
    Column lane(Kind::number), priority(Kind::number), seq(Kind::number);
    for (const auto& row : first) lane.add(row.lane), priority.add(row.priority), seq.add(row.seq);
    std::vector<LaneNo> all(lanes.begin(), lanes.end());
    std::optional<Seq> oldest;
    if (!first.empty()) {  // where one is gone, the next is another
      const auto rows = connection.ask(
          "SELECT u.lane, r.seq FROM unnest($1::int8[], $2::int8[], $3::int8[]) u(lane, priority, seq)"
          " LEFT JOIN ready r ON r.lane = u.lane AND r.priority = u.priority AND r.seq = u.seq",
          Values(lane, priority, seq));
      for (int at = 0; at < rows.size(); ++at) {
        if (rows[at].is_null(1))
          all.push_back(rows[at].integer(0));
        else if (const Seq there = rows[at].integer(1); !oldest || there < *oldest)
          oldest = there;
      }
    }
    if (!all.empty()) {  // a look at each priority, however many wait
      Values values;
      values.add_list(all);
      const auto rows = connection.ask(
          "WITH RECURSIVE p AS ((SELECT f.lane, f.priority, f.seq FROM unnest($1) u(lane) CROSS JOIN LATERAL (SELECT"
          "  lane, priority, seq FROM ready r WHERE r.lane = u.lane ORDER BY r.priority, r.seq LIMIT 1) f) UNION ALL"
          " SELECT n.lane, n.priority, n.seq FROM p CROSS JOIN LATERAL (SELECT lane, priority, seq FROM ready r"
          "  WHERE r.lane = p.lane AND r.priority > p.priority ORDER BY r.priority, r.seq LIMIT 1) n)"
          " SELECT min(seq) FROM p",
          values);
      if (!rows[0].is_null(0) && (!oldest || rows[0].integer(0) < *oldest)) oldest = rows[0].integer(0);
    }
    if (!oldest) return std::nullopt;
    auto jobs = jobs_by_seq(connection, std::span(&*oldest, 1));
    if (jobs.empty()) return std::nullopt;
    return std::move(jobs.front());
  });
}

std::int64_t PostgresReads::ready_before(const std::vector<ReadyRow>& rows, std::int64_t max) {
  return read([&](Connection& connection) {
    std::int64_t before = 0;
    for (const auto& row : rows) {
      if (before >= max) break;
      before += connection
                    .ask(
                        "SELECT count(*) FROM (SELECT 1 FROM ready WHERE lane = $1 AND (priority, seq) < ($2, $3)"
                        " LIMIT $4) r",
                        Values(row.lane, row.priority, row.seq, max - before))[0]
                    .integer(0);
    }
    return before;
  });
}

std::vector<EndedCount> PostgresReads::ended_since(Millis from) {
  return read([&](Connection& connection) {
    std::vector<EndedCount> counts;
    for (const auto state : {model::JobState::finished, model::JobState::failed, model::JobState::cancelled}) {
      const auto rows =
          connection.ask("SELECT tenant, finished_at / 60000, count(*) FROM job_status WHERE state >= 5 AND state = " +
                             std::to_string(int(state)) + " AND finished_at >= $1 GROUP BY 1, 2 ORDER BY 1, 2",
                         Values(from));
      for (int at = 0; at < rows.size(); ++at)
        counts.push_back({std::string(rows[at].view(0)), state, rows[at].integer(1), rows[at].integer(2)});
    }
    return counts;
  });
}

std::int64_t PostgresReads::size_bytes() {
  return read([](Connection& connection) {
    return connection
        .ask(
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::int8 FROM pg_class"
            " WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'")[0]
        .integer(0);
  });
}

}  // namespace geres::hub::store::postgres
