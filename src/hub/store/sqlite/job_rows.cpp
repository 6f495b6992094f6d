// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/job_rows.h"

#include "hub/store/sqlite/json_columns.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::store::sqlite {
namespace {

std::optional<model::Progress> read_progress(Columns& row) {
  const bool there = row.integer() != 0;
  auto percent = row.maybe<int>();
  std::string message = row.text();
  if (!there) return std::nullopt;
  return model::Progress{percent, std::move(message)};
}

// Columns of a job that has a lease stand in the lease's row.
void apply_lease(Columns& row, model::JobStatus& status) {
  const bool leased = row.maybe<std::int64_t>().has_value();
  const auto attempt = int(row.integer());
  const std::int64_t version = row.integer();
  std::string host = row.text();
  const auto started_at = row.maybe<Millis>();
  auto progress = read_progress(row);
  const auto cancel_requested_at = row.maybe<Millis>();
  if (!leased) return;
  status.state = started_at ? model::JobState::running : model::JobState::leased;
  status.attempt = attempt;
  status.version = version;
  status.host = std::move(host);
  status.started_at = started_at;
  status.progress = std::move(progress);
  status.cancel_requested_at = cancel_requested_at;
}

void read_outcome(Columns& row, model::JobStatus& status) {
  const auto code = row.maybe<int>(), signal = row.maybe<int>();
  if (code || signal) status.exit = model::Exit{code, signal};
  const auto cpu = row.maybe<double>();
  const std::int64_t rss = row.integer();
  if (cpu) status.usage = model::Usage{*cpu, rss};
  status.cause = row.maybe<model::Cause>();
}

std::optional<std::int64_t> exit_code(const std::optional<model::Exit>& exit) {
  return exit && exit->code ? std::optional<std::int64_t>(*exit->code) : std::nullopt;
}

std::optional<std::int64_t> exit_signal(const std::optional<model::Exit>& exit) {
  return exit && exit->signal ? std::optional<std::int64_t>(*exit->signal) : std::nullopt;
}

std::optional<std::int64_t> percent_of(const std::optional<model::Progress>& progress) {
  return progress && progress->percent ? std::optional<std::int64_t>(*progress->percent) : std::nullopt;
}

OrNull message_of(const std::optional<model::Progress>& progress) {
  return OrNull{progress ? std::string_view(progress->message) : std::string_view()};
}

std::optional<double> cpu_of(const std::optional<model::Usage>& usage) {
  return usage ? std::optional<double>(usage->cpu_seconds) : std::nullopt;
}

std::optional<std::int64_t> rss_of(const std::optional<model::Usage>& usage) {
  return usage ? std::optional<std::int64_t>(usage->max_rss_bytes) : std::nullopt;
}

}  // namespace

model::Job read_job(const Statement& statement) {
  Columns row(statement);
  model::Job job;
  auto& spec = job.spec;
  auto& status = job.status;
  // Named each, so that a new member does not compile until it has a column, or a place in one.
  auto& [tenant, type, package, package_sha256, name, parameters, inputs, batch, priority, not_before, delay, timeout,
         queue_timeout, lease, max_attempts, backoff, requirements, tags, webhook, key, key_digest, ref, submitted_by] =
      spec;
  auto& [state, reason, error, attempt, failures, host_losses, version, progress, result, result_truncated, exit, cause,
         usage, files_left_out, host, submitted_at, ready_at, due_at, started_at, finished_at, cancel_requested_at,
         redrive_of, redriven_as, settled_at, trouble, memory] = status;
  static_cast<void>(inputs), static_cast<void>(backoff), static_cast<void>(requirements);  // in `extras`, as are these
  static_cast<void>(webhook), static_cast<void>(ref);
  static_cast<void>(exit), static_cast<void>(cause), static_cast<void>(usage);  // read_outcome()
  job.id.high = std::uint64_t(row.integer());
  job.id.low = std::uint64_t(row.integer());
  state = row.as<model::JobState>();
  tenant = row.text();
  batch = row.uuid();
  type = row.text();
  name = row.text();
  reason = row.as<model::Reason>();
  submitted_at = row.integer();
  host = row.text();
  priority = row.integer();
  version = row.integer();
  attempt = int(row.integer());
  failures = int(row.integer());
  host_losses = int(row.integer());
  ready_at = row.integer();
  due_at = row.maybe<Millis>();
  started_at = row.maybe<Millis>();
  finished_at = row.maybe<Millis>();
  cancel_requested_at = row.maybe<Millis>();
  read_outcome(row, status);
  const bool progressed = row.integer() != 0;
  const auto percent = row.maybe<int>();
  result_truncated = row.flag();
  redrive_of = row.maybe<Uuid>();
  redriven_as = row.maybe<Uuid>();
  settled_at = row.maybe<Millis>();
  package = row.text();
  package_sha256 = digest_hex(row.text());
  not_before = row.maybe<Millis>();
  delay = row.integer();
  timeout = row.integer();
  queue_timeout = row.integer();
  lease = row.integer();
  max_attempts = int(row.integer_or(5));
  key = row.text();
  key_digest = digest_hex(row.text());
  submitted_by = row.text();
  tags = tags_from(row.text());
  read_extras(row.text(), spec);
  std::string message = row.text();
  if (progressed) progress = model::Progress{percent, std::move(message)};
  error = row.text();
  read_trouble(row.text(), trouble);
  memory = row.integer();
  apply_lease(row, status);
  result = row.maybe<std::string>();
  parameters = row.text();
  files_left_out = files_left_out_from(row.text());
  return job;
}

LeaseRow read_lease(Columns& row) {
  LeaseRow lease;
  lease.job.high = std::uint64_t(row.integer());
  lease.job.low = std::uint64_t(row.integer());
  lease.name = row.uuid();
  lease.lane = row.integer();
  lease.host = row.uuid();
  lease.host_name = row.text();
  lease.attempt = int(row.integer());
  lease.version = row.integer();
  lease.ttl = row.integer();
  lease.granted_at = row.integer();
  lease.started_at = row.maybe<Millis>();
  lease.progress = read_progress(row);
  lease.cancel_requested_at = row.maybe<Millis>();
  lease.cancel_grace = row.integer();
  lease.cancel_reason = row.text();
  lease.fetch_id = row.text();
  return lease;
}

model::Attempt read_attempt(Columns& row) {
  model::Attempt attempt;
  attempt.attempt = int(row.integer());
  attempt.host = row.text();
  attempt.leased_at = row.integer();
  attempt.started_at = row.maybe<Millis>();
  attempt.ended_at = row.maybe<Millis>();
  attempt.outcome = row.maybe<model::Outcome>();
  attempt.error = row.text();
  const auto code = row.maybe<int>(), signal = row.maybe<int>();
  if (code || signal) attempt.exit = model::Exit{code, signal};
  const auto cpu = row.maybe<double>();
  const std::int64_t rss = row.integer();
  if (cpu) attempt.usage = model::Usage{*cpu, rss};
  attempt.cause = row.maybe<model::Cause>();
  attempt.memory = row.integer();
  return attempt;
}

Sql insert_job_sql() {
  return "INSERT INTO job(seq, lo, state, tenant, batch, type, name, reason, submitted_at, host, priority, version,"
         " attempt, failures, host_losses, ready_at, due_at, started_at, finished_at, cancel_requested_at, exit_code,"
         " exit_signal, cpu_seconds, max_rss, progressed, percent, result_truncated, redrive_of, redriven_as, package,"
         " package_sha256, not_before, delay, timeout, queue_timeout, lease, max_attempts, key, key_digest, "
         "submitted_by,"
         " tags, extras, message, error, result, parameters, files_left_out, trouble, cause, settled_at, memory)"
         " VALUES(?,?,?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?,?,?, "
         "?,?,?,?,?,?,?,?,?,?,?)";
}

void insert_job(Statement& insert, const model::Job& job, const std::string& sha256) {
  const auto& spec = job.spec;
  const auto& status = job.status;
  const auto& [tenant, type, package, package_sha256, name, parameters, inputs, batch_id, priority, not_before, delay,
               timeout, queue_timeout, lease, max_attempts, backoff, requirements, tag_map, webhook, key,
               key_digest_text, ref, submitted_by] = spec;
  const auto& [state, reason, error, attempt, failures, host_losses, version, progress, result, result_truncated, exit,
               cause, usage, left_out_files, host, submitted_at, ready_at, due_at, started_at, finished_at,
               cancel_requested_at, redrive_of, redriven_as, settled_at, host_trouble, memory] = status;
  static_cast<void>(inputs), static_cast<void>(backoff), static_cast<void>(requirements);  // in `extras`, as are these
  static_cast<void>(webhook), static_cast<void>(ref), static_cast<void>(package_sha256);   // … and this as `digest`
  const std::optional<Uuid> batch = batch_id ? std::optional(batch_id) : std::nullopt;
  const std::string key_sha256 = digest_bytes(key_digest_text), tags = tags_text(tag_map), extras = extras_text(spec),
                    left_out = files_left_out_text(left_out_files), trouble = trouble_text(host_trouble);
  const std::optional<Blob> digest = sha256.empty() ? std::nullopt : std::optional(Blob{sha256});
  const std::optional<Blob> key_digest = key_sha256.empty() ? std::nullopt : std::optional(Blob{key_sha256});
  insert
      .bind(job.id.seq(), std::int64_t(job.id.low), state, tenant, batch, type, OrNull{name}, reason, submitted_at,
            OrNull{host}, priority, version, attempt, failures, host_losses, Unless{0, ready_at}, due_at, started_at,
            finished_at, cancel_requested_at, exit_code(exit), exit_signal(exit), cpu_of(usage), rss_of(usage),
            Unless{0, progress.has_value()}, percent_of(progress), Unless{0, result_truncated}, redrive_of, redriven_as,
            OrNull{package}, digest, not_before, Unless{0, delay}, Unless{0, timeout}, Unless{0, queue_timeout},
            Unless{0, lease}, Unless{5, max_attempts}, OrNull{key}, key_digest, OrNull{submitted_by}, OrNull{tags},
            OrNull{extras}, message_of(progress), OrNull{error}, result, OrNull{parameters}, OrNull{left_out},
            OrNull{trouble}, cause, settled_at, Unless{0, memory})
      .run();
}

Sql update_job_sql() {
  return "UPDATE job SET state=?2, reason=?3, host=?4, version=?5, attempt=?6, failures=?7, host_losses=?8, "
         "ready_at=?9, due_at=?10, started_at=?11, finished_at=?12, cancel_requested_at=?13, exit_code=?14, "
         "exit_signal=?15, cpu_seconds=?16, max_rss=?17, progressed=?18, percent=?19, result_truncated=?20, "
         "redrive_of=?21, redriven_as=?22, message=?23, error=?24, result=?25, files_left_out=?26, "
         "trouble=?27, cause=?28, settled_at=?29, memory=?30 WHERE seq=?1";
}

void update_job(Statement& update, const JobUpdate& change) {
  const auto& [state, reason, error, attempt, failures, host_losses, version, progress, result, result_truncated, exit,
               cause, usage, files_left_out, host, submitted_at, ready_at, due_at, started_at, finished_at,
               cancel_requested_at, redrive_of, redriven_as, settled_at, host_trouble, memory] = change.status;
  static_cast<void>(submitted_at);  // stays what it was
  const std::string left_out = files_left_out_text(files_left_out);
  const std::string trouble = trouble_text(host_trouble);
  update
      .bind(change.id.seq(), state, reason, OrNull{host}, version, attempt, failures, host_losses, Unless{0, ready_at},
            due_at, started_at, finished_at, cancel_requested_at, exit_code(exit), exit_signal(exit), cpu_of(usage),
            rss_of(usage), Unless{0, progress.has_value()}, percent_of(progress), Unless{0, result_truncated},
            redrive_of, redriven_as, message_of(progress), OrNull{error}, result, OrNull{left_out}, OrNull{trouble},
            cause, settled_at, Unless{0, memory})
      .run();
}

Sql put_lease_sql() {
  return "INSERT OR REPLACE INTO lease(seq, lo, name, lane, host, host_name, attempt, version, ttl, granted_at,"
         " started_at, progressed, percent, message, cancel_requested_at, cancel_grace, cancel_reason, fetch_id)"
         " VALUES(?,?,?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?)";
}

void put_lease(Statement& insert, const LeaseRow& lease) {
  insert
      .bind(lease.job.seq(), std::int64_t(lease.job.low), lease.name, lease.lane, lease.host, lease.host_name,
            lease.attempt, lease.version, lease.ttl, lease.granted_at, lease.started_at,
            Unless{0, lease.progress.has_value()}, percent_of(lease.progress), message_of(lease.progress),
            lease.cancel_requested_at, Unless{0, lease.cancel_grace}, OrNull{lease.cancel_reason},
            OrNull{lease.fetch_id})
      .run();
}

std::optional<model::Job> find_job(Database& database, Uuid id) {
  auto find = database.cached("SELECT " GERES_JOB_COLUMNS GERES_JOB_FROM "WHERE j.seq = ? AND j.lo = ?");
  if (!find.bind(id.seq(), std::int64_t(id.low)).step()) return std::nullopt;
  return read_job(find);
}

bool job_exists(Database& database, Uuid id) {
  return database.cached("SELECT 1 FROM job WHERE seq=? AND lo=?").bind(id.seq(), std::int64_t(id.low)).step();
}

}  // namespace geres::hub::store::sqlite
