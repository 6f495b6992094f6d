// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/sqlite_reads.h"
#include "hub/store/sqlite/blob_rows.h"

#include <algorithm>
#include <chrono>

#include "base/bytes.h"
#include "hub/store/filter_parts.h"
#include "hub/store/shapes/job.h"
#include "hub/store/sqlite/audit.h"
#include "hub/store/sqlite/enrolment_rows.h"
#include "hub/store/sqlite/filter_sql.h"
#include "hub/store/sqlite/job_rows.h"
#include "hub/store/sqlite/scaler_rows.h"
#include "hub/store/sqlite/small_rows.h"
#include "hub/store/sqlite/webhook_rows.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::store::sqlite {
namespace {

std::vector<EventRow> all_events(Statement& rows) {
  return all(std::move(rows), [](Columns row) { return shapes::read_event(row); });
}

std::optional<model::Batch> find_batch(Database& database, Uuid id) {
  auto rows = database.cached("SELECT " GERES_BATCH_COLUMNS " FROM batch WHERE id=?");
  rows.bind(id);
  if (rows.step()) return read_batch(rows);
  if (id == model::kDefaultBatch) return usual_default_batch();
  return std::nullopt;
}

StoredBatch with_counts(Database& database, model::Batch batch) {
  StoredBatch stored{std::move(batch), {}};
  auto rows = database.cached("SELECT tenant, s0, s1, s2, s3, s4, s5, s6, s7 FROM batch_count WHERE batch=?");
  rows.bind(stored.batch.id);
  while (rows.step()) {
    Columns row(rows);
    auto& counts = stored.counts[row.text()];
    for (auto& n : counts) n = row.integer();
  }
  return stored;
}

std::string in_order(const Page& page) {
  return std::string(" ORDER BY j.seq ") + (page.ascending ? "ASC" : "DESC");
}

// The rows after ?1, and up to ?2 if there is a last one.
std::string within(const FilterSql& sql, const Page& page, Seq last) {
  const std::string up_to = last != 0 ? "?2" : "";
  if (page.ascending) return sql.range(page.after != 0 ? "?1 + 1" : "", up_to);
  return sql.range(up_to, page.after != 0 ? "?1 - 1" : "");
}

// The last row of a walk that looks at no more than it may; 0 if it comes to its end before.
Seq last_looked_at(Database& database, const FilterSql& sql, const Page& page) {
  if (page.looked_max == 0 || !sql.selective()) return 0;
  auto rows = database.prepare("SELECT j.seq" + sql.walk_from() + "WHERE " + sql.walk() + within(sql, page, 0) +
                               in_order(page) + " LIMIT 1 OFFSET ?3");
  rows.put(1, page.after);
  rows.put(3, page.looked_max - 1);
  sql.bind(rows);
  return rows.step() ? rows.integer(0) : 0;
}

// ---- unique ids by their first or last digits

void add_ids(Statement& rows, const std::vector<std::string>& tenants, std::int64_t a, std::int64_t b, std::size_t max,
             std::vector<Uuid>& ids) {
  const std::string who = tenants_value(tenants);
  rows.bind(who, a, b, max);
  while (rows.step()) ids.push_back({std::uint64_t(rows.integer(0)), std::uint64_t(rows.integer(1))});
}

void ids_starting(Database& database, const std::string& hex, const std::vector<std::string>& tenants, std::size_t max,
                  std::vector<Uuid>& ids) {
  const std::size_t n = std::min<std::size_t>(hex.size(), 16);
  const std::uint64_t span = n == 0 ? ~0ull : n == 16 ? 0 : ~0ull >> (4 * n);
  const std::uint64_t first = n == 0 ? 0 : digits_value(hex, 0, n) << (64 - 4 * n);
  if (std::int64_t(first) < 0) return;  // no id made here starts so
  const auto last = std::int64_t(std::min<std::uint64_t>(first + span, INT64_MAX));
  auto rows =
      database.prepare("SELECT seq, lo FROM job NOT INDEXED WHERE " + tenants_condition(tenants, "tenant", "?1") +
                       " AND seq BETWEEN ?2 AND ?3 ORDER BY seq DESC LIMIT ?4");
  add_ids(rows, tenants, std::int64_t(first), last, max, ids);
}

// Walks an index that holds the digits beside the tenant, newest last: no other order helps.
void ids_ending(Database& database, const std::string& hex, const std::vector<std::string>& tenants, std::size_t max,
                std::vector<Uuid>& ids) {
  const std::size_t n = std::min<std::size_t>(hex.size(), 16);
  if (n == 0) return;
  const std::uint64_t mask = n == 16 ? ~0ull : (1ull << (4 * n)) - 1;
  const std::uint64_t wanted = digits_value(hex, hex.size() - n, n);
  auto rows =
      database.prepare("SELECT seq, lo FROM job INDEXED BY job_tenant WHERE " +
                       tenants_condition(tenants, "tenant", "?1") + " AND (lo & ?2) = ?3 ORDER BY seq DESC LIMIT ?4");
  add_ids(rows, tenants, std::int64_t(mask), std::int64_t(wanted), max, ids);
}

}  // namespace

// ---- the pool

std::unique_ptr<Database> ReadPool::take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !closed_ && busy_ < most_; });
  ++busy_;
  std::unique_ptr<Database> connection;
  if (!idle_.empty()) {
    connection = std::move(idle_.back());
    idle_.pop_back();
  }
  lock.unlock();
  try {
    if (!connection) connection = open_();
    connection->limit_time(limit_);
  } catch (...) {
    give(nullptr);
    throw;
  }
  return connection;
}

void ReadPool::give(std::unique_ptr<Database> connection) {
  const std::lock_guard lock(mutex_);
  --busy_;
  if (connection) idle_.push_back(std::move(connection));
  changed_.notify_all();
}

bool ReadPool::quiet(Millis wait) {
  std::unique_lock lock(mutex_);
  closed_ = true;
  return changed_.wait_for(lock, std::chrono::milliseconds(wait), [&] { return busy_ == 0; });
}

void ReadPool::resume() {
  const std::lock_guard lock(mutex_);
  closed_ = false;
  changed_.notify_all();
}

template <class F>
auto SqliteReads::read(F&& work) {
  if (single_ != nullptr) {
    const ReadTransaction transaction(*single_);
    return work(*single_);
  }
  auto connection = pool_.take();
  struct Return {
    ReadPool& pool;
    std::unique_ptr<Database>& connection;
    ~Return() { pool.give(std::move(connection)); }
  } back{pool_, connection};
  const ReadTransaction transaction(*connection);
  return work(*connection);
}

// ---- jobs

std::optional<model::Job> SqliteReads::job(Uuid id) {
  return read([&](Database& database) { return find_job(database, id); });
}

std::optional<JobAsOf> SqliteReads::job_as_of(Uuid id) {
  return read([&](Database& database) -> std::optional<JobAsOf> {
    auto job = find_job(database, id);
    if (!job) return std::nullopt;
    auto last = database.cached("SELECT max(no) FROM event");
    last.step();
    return JobAsOf{std::move(*job), last.integer(0)};
  });
}

JobPage SqliteReads::jobs(const JobFilter& filter, const Page& page) {
  return read([&](Database& database) {
    const FilterSql sql(database, filter, true);
    const Seq last = last_looked_at(database, sql, page);
    auto rows = database.prepare((page.slim ? "SELECT " GERES_JOB_COLUMNS_SLIM : "SELECT " GERES_JOB_COLUMNS) +
                                 sql.from() + "WHERE " + sql.walk() + " AND " + sql.fits() + within(sql, page, last) +
                                 in_order(page) + " LIMIT ?3");
    rows.put(1, page.after);
    rows.put(2, last);
    rows.put(3, page.limit + 1);
    sql.bind(rows);
    JobPage found;
    std::size_t bytes = 0;
    while (rows.step()) {
      if (found.jobs.size() == page.limit || (page.bytes_max > 0 && bytes >= page.bytes_max)) {
        found.next = found.jobs.back().id.seq();
        return found;
      }
      found.jobs.push_back(read_job(rows));
      bytes += held_bytes(found.jobs.back());
    }
    found.next = last;
    return found;
  });
}

Counted SqliteReads::count(const JobFilter& filter, const Page& page) {
  return read([&](Database& database) {
    const FilterSql sql(database, filter, true);
    const Seq last = last_looked_at(database, sql, page);
    auto rows = database.prepare("SELECT CASE WHEN j.state = 6 THEN j.reason END, count(*)" + sql.from() + "WHERE " +
                                 sql.walk() + " AND " + sql.fits() + within(sql, page, last) + " GROUP BY 1");
    rows.put(1, page.after);
    rows.put(2, last);
    sql.bind(rows);
    Counted counted;
    while (rows.step()) {
      Columns row(rows);
      const auto reason = row.maybe<int>();
      const std::int64_t n = row.integer();
      counted.count += n;
      if (reason) counted.by_reason[model::Reason(*reason)] += n;
    }
    counted.next = last;
    return counted;
  });
}

std::vector<Uuid> SqliteReads::ids_like(const std::string& hex, const std::vector<std::string>& tenants,
                                        std::size_t max) {
  const auto digits = id_digits(hex);
  if (!digits) return {};
  return read([&](Database& database) {
    std::vector<Uuid> ids;
    ids_starting(database, *digits, tenants, max, ids);
    ids_ending(database, *digits, tenants, max, ids);
    keep_matching(ids, *digits, max);
    return ids;
  });
}

std::vector<model::Attempt> SqliteReads::attempts(Uuid job) {
  return read([&](Database& database) {
    std::vector<model::Attempt> attempts;
    if (!job_exists(database, job)) return attempts;
    auto rows = database.cached(
        "SELECT " GERES_ATTEMPT_COLUMNS
        " FROM attempt WHERE seq=?1 UNION ALL SELECT attempt, host_name, granted_at, started_at, NULL, NULL,"
        " NULL, NULL, NULL, NULL, NULL, NULL,"
        " (SELECT json_extract(nullif(l.requirements, ''), '$.memory') FROM lane l WHERE l.no = lease.lane)"
        " FROM lease WHERE seq=?1 ORDER BY attempt");
    rows.bind(job.seq());
    while (rows.step()) {
      Columns row(rows);
      attempts.push_back(read_attempt(row));
    }
    return attempts;
  });
}

std::vector<model::JobFile> SqliteReads::files(Uuid job) {
  return read([&](Database& database) {
    std::vector<model::JobFile> files;
    if (!job_exists(database, job)) return files;
    auto rows = database.cached("SELECT path, size, sha256 FROM job_file WHERE seq=? ORDER BY path");
    rows.bind(job.seq());
    while (rows.step()) files.push_back({std::string(rows.view(0)), rows.integer(1), digest_hex(rows.view(2))});
    return files;
  });
}

// ---- events

std::vector<EventRow> SqliteReads::job_events(Uuid job, EventNo after, std::size_t max) {
  return read([&](Database& database) {
    auto rows = database.cached(
        "SELECT no, type, seq, lo, tenant, batch, at, data FROM event WHERE seq=? AND lo=? AND no>? ORDER BY no"
        " LIMIT ?");
    return all_events(rows.bind(job.seq(), std::int64_t(job.low), after, max));
  });
}

std::vector<EventRow> SqliteReads::events(EventNo after, std::size_t max) {
  return read([&](Database& database) {
    auto rows =
        database.cached("SELECT no, type, seq, lo, tenant, batch, at, data FROM event WHERE no>? ORDER BY no LIMIT ?");
    return all_events(rows.bind(after, max));
  });
}

std::pair<EventNo, EventNo> SqliteReads::event_range() {
  return read([](Database& database) {
    auto rows = database.cached("SELECT (SELECT min(no) FROM event), (SELECT max(no) FROM event)");
    rows.step();
    return std::pair<EventNo, EventNo>(rows.integer(0), rows.integer(1));
  });
}

// ---- the small tables

std::vector<StoredBatch> SqliteReads::batches(const BatchFilter& filter, std::optional<Uuid> after, std::size_t max) {
  return read([&](Database& database) {
    std::vector<StoredBatch> found;
    const auto add = [&](model::Batch batch) {
      if (found.size() < max && fits(filter, batch)) found.push_back(with_counts(database, std::move(batch)));
    };
    if (!after) add(*find_batch(database, model::kDefaultBatch));
    const Uuid from = after.value_or(model::kDefaultBatch);
    auto rows = filter.name.empty()
                    ? database.cached("SELECT " GERES_BATCH_COLUMNS " FROM batch WHERE id>? ORDER BY id")
                    : database.cached("SELECT " GERES_BATCH_COLUMNS
                                      " FROM batch INDEXED BY batch_name WHERE id>? AND name=? ORDER BY id");
    if (filter.name.empty())
      rows.bind(from);
    else
      rows.bind(from, filter.name);
    while (found.size() < max && rows.step()) add(read_batch(rows));
    return found;
  });
}

std::optional<StoredBatch> SqliteReads::batch(Uuid id) {
  return read([&](Database& database) -> std::optional<StoredBatch> {
    auto batch = find_batch(database, id);
    if (!batch) return std::nullopt;
    return with_counts(database, std::move(*batch));
  });
}

Totals SqliteReads::totals() {
  return read([](Database& database) {
    Totals totals;
    for (const auto& [batch, tenant, counts] : read_counts(database)) {
      auto& sum = totals.by_tenant[tenant];
      for (std::size_t i = 0; i < counts.size(); ++i) sum[i] += counts[i];
    }
    return totals;
  });
}

bool SqliteReads::has_tenant(const std::string& name) {
  return read(
      [&](Database& database) { return database.cached("SELECT 1 FROM tenant WHERE name = ?").bind(name).step(); });
}

std::vector<model::Tenant> SqliteReads::tenants() {
  return read(read_tenants);
}

std::vector<model::PackageVersion> SqliteReads::packages() {
  return read(read_packages);
}

std::vector<model::Token> SqliteReads::tokens() {
  return read(read_tokens);
}

std::vector<model::JoinToken> SqliteReads::join_tokens() {
  return read(read_join_tokens);
}

std::vector<model::Enrolment> SqliteReads::enrolments() {
  return read(read_enrolments);
}

std::vector<model::Host> SqliteReads::hosts() {
  return read(read_hosts);
}

std::optional<model::Host> SqliteReads::host(Uuid id) {
  return read([&](Database& database) { return read_host(database, id); });
}

std::vector<LeaseRow> SqliteReads::leases() {
  return read([](Database& database) {
    auto rows = database.cached("SELECT " GERES_LEASE_COLUMNS " FROM lease l ORDER BY l.seq");
    std::vector<LeaseRow> leases;
    while (rows.step()) {
      Columns row(rows);
      leases.push_back(read_lease(row));
    }
    return leases;
  });
}

std::vector<model::Webhook> SqliteReads::webhooks() {
  return read(read_webhooks);
}

std::optional<CursorRow> SqliteReads::cursor(const std::string& name) {
  return read([&](Database& database) { return find_cursor(database, name); });
}

std::vector<ToldDelivery> SqliteReads::deliveries(Uuid webhook, DeliveryState state, EventNo after, std::size_t max) {
  return read([&](Database& database) { return told_deliveries(database, webhook, state, after, max); });
}

std::vector<DeliveryRow> SqliteReads::pending_deliveries(const std::optional<DeliveryRow>& after, std::size_t max) {
  return read([&](Database& database) { return sqlite::pending_deliveries(database, after, max); });
}

std::vector<model::Pool> SqliteReads::pools() {
  return read(read_pools);
}

std::optional<model::Pool> SqliteReads::pool(const std::string& name) {
  return read([&](Database& database) { return find_pool(database, name); });
}

std::vector<MachineRow> SqliteReads::machines(const std::string& pool, bool gone,
                                              const std::pair<std::string, std::string>& after, std::size_t max) {
  return read([&](Database& database) { return read_machines(database, pool, gone, after, max); });
}

std::vector<IntentRow> SqliteReads::open_intents(const std::string& pool) {
  return read([&](Database& database) { return sqlite::open_intents(database, pool); });
}

std::vector<LoadSample> SqliteReads::load_samples(const std::string& pool, Millis from, Millis to, std::size_t max) {
  return read([&](Database& database) { return read_load_samples(database, pool, from, to, max); });
}

std::vector<DueJobs> SqliteReads::due_soon(Millis engine, Millis wall, Millis near, Millis far, std::size_t max) {
  return read([&](Database& database) {
    auto rows = database.cached(
        "SELECT j.batch, j.tenant, j.type, coalesce(j.package, '') <> '', json_extract(j.extras, '$.requires'),"
        " j.memory, sum(d.near), count(*) FROM ("
        " SELECT seq, due <= ?1 + ?3 AS near FROM (SELECT seq, due FROM scheduled WHERE by_wall = 0"
        "  AND due <= ?1 + ?4 ORDER BY due LIMIT ?5) UNION ALL"
        " SELECT seq, due <= ?2 + ?3 FROM (SELECT seq, due FROM scheduled WHERE by_wall = 1"
        "  AND due <= ?2 + ?4 ORDER BY due LIMIT ?5)) d JOIN job j ON j.seq = d.seq GROUP BY 1, 2, 3, 4, 5, 6");
    rows.bind(engine, wall, near, far, max);
    std::vector<DueJobs> all;
    while (rows.step()) {
      Columns row(rows);
      auto& jobs = all.emplace_back();
      jobs.key.batch = row.uuid();
      jobs.key.tenant = row.text();
      jobs.key.type = row.text();
      jobs.key.packaged = row.flag();
      jobs.key.requirements = requirements_from(row.text());
      jobs.key.requirements.memory = std::max(jobs.key.requirements.memory, row.integer());
      jobs.near = row.integer();
      jobs.far = row.integer();
    }
    return all;
  });
}

std::vector<DecisionRow> SqliteReads::decisions(const DecisionFilter& filter, std::int64_t before, std::size_t max) {
  return read([&](Database& database) { return read_decisions(database, filter, before, max); });
}

ScalerRow SqliteReads::scaler() {
  return read(read_scaler);
}

std::string SqliteReads::log() {
  return read([](Database& database) {
    auto row = database.cached("SELECT log FROM meta");
    return row.step() ? std::string(row.view(0)) : std::string();
  });
}

bool SqliteReads::blob_named(const std::string& tenant, const std::string& sha256) {
  return read([&](Database& database) { return sqlite::blob_named(database, {tenant, sha256}); });
}

std::vector<std::optional<BlobRow>> SqliteReads::blobs(std::span<const BlobKey> keys) {
  return read([&](Database& database) {
    std::vector<std::optional<BlobRow>> blobs;
    for (const auto& key : keys) blobs.push_back(find_blob(database, key));
    return blobs;
  });
}

std::map<model::Reason, std::int64_t> SqliteReads::dead_letters(const std::vector<std::string>& tenants) {
  return read([&](Database& database) {
    const std::string who = tenants_value(tenants);
    auto rows = database.prepare("SELECT reason, sum(n) FROM dead_letter WHERE " +
                                 tenants_condition(tenants, "tenant", "?1") + " GROUP BY reason HAVING sum(n) <> 0");
    rows.bind(who);
    std::map<model::Reason, std::int64_t> counts;
    while (rows.step()) counts[model::Reason(rows.integer(0))] = rows.integer(1);
    return counts;
  });
}

namespace {

// The table of ready jobs is in the order of lanes and priorities, so it is a look at each priority, however many wait.
std::optional<Seq> oldest_in(Statement& next, LaneNo lane) {
  std::optional<Seq> oldest;
  for (auto priority = std::numeric_limits<std::int64_t>::min();; priority = next.integer(0)) {
    next.reset();
    if (!next.bind(lane, priority).step()) return oldest;
    if (!oldest || next.integer(1) < *oldest) oldest = next.integer(1);
  }
}

}  // namespace

std::optional<model::Job> SqliteReads::oldest_ready(std::vector<ReadyRow> first, std::span<const LaneNo> lanes) {
  std::sort(first.begin(), first.end(), [](const auto& a, const auto& b) { return a.seq < b.seq; });
  return read([&](Database& database) -> std::optional<model::Job> {
    auto next = database.cached(
        "SELECT priority, seq FROM ready WHERE lane = ? AND priority > ? ORDER BY priority, seq LIMIT 1");
    std::optional<Seq> oldest;
    const auto take = [&](std::optional<Seq> seq) {
      if (seq && (!oldest || *seq < *oldest)) oldest = seq;
    };
    for (const auto lane : lanes) take(oldest_in(next, lane));
    auto there = database.cached("SELECT 1 FROM ready WHERE lane = ? AND priority = ? AND seq = ?");
    for (const auto& row : first) {
      if (oldest && *oldest < row.seq) break;
      if (there.bind(row.lane, row.priority, row.seq).step())
        take(row.seq);
      else
        take(oldest_in(next, row.lane));  // it is gone, and the next is another
      there.reset();
    }
    if (!oldest) return std::nullopt;
    auto rows = database.cached("SELECT " GERES_JOB_COLUMNS GERES_JOB_FROM "WHERE j.seq = ?");
    if (!rows.bind(*oldest).step()) return std::nullopt;
    return read_job(rows);
  });
}

std::int64_t SqliteReads::ready_before(const std::vector<ReadyRow>& rows, std::int64_t max) {
  return read([&](Database& database) {
    auto count =
        database.cached("SELECT count(*) FROM (SELECT 1 FROM ready WHERE lane=? AND (priority, seq) < (?, ?) LIMIT ?)");
    std::int64_t before = 0;
    for (const auto& row : rows) {
      if (before >= max) break;
      count.bind(row.lane, row.priority, row.seq, max - before).step();
      before += count.integer(0);
      count.reset();
    }
    return before;
  });
}

std::vector<EndedCount> SqliteReads::ended_since(Millis from) {
  return read([&](Database& database) {
    std::vector<EndedCount> counts;
    for (const auto state : {model::JobState::finished, model::JobState::failed, model::JobState::cancelled}) {
      auto rows = database.prepare(
          "SELECT tenant, finished_at / 60000, count(*) FROM job INDEXED BY job_ended WHERE state >= 5 AND state = " +
          std::to_string(int(state)) + " AND finished_at >= ?1 GROUP BY tenant, finished_at / 60000");
      rows.bind(from);
      while (rows.step()) counts.push_back({std::string(rows.view(0)), state, rows.integer(1), rows.integer(2)});
    }
    return counts;
  });
}

Audit SqliteReads::audit(const AuditOptions& options) {
  return read([&](Database& database) {
    database.limit_time(0);
    return sqlite::audit(database, options);
  });
}

std::int64_t SqliteReads::size_bytes() {
  const std::int64_t pages = read(
      [](Database& database) { return database.number("PRAGMA page_count") * database.number("PRAGMA page_size"); });
  std::error_code absent;
  const auto log = std::filesystem::file_size(file_.string() + "-wal", absent);
  return pages + (absent ? 0 : std::int64_t(log));
}

}  // namespace geres::hub::store::sqlite
