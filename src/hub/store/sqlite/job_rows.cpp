// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/job_rows.h"

#include "hub/store/sqlite/json_columns.h"

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
  job.id.high = std::uint64_t(row.integer());
  job.id.low = std::uint64_t(row.integer());
  status.state = row.as<model::JobState>();
  spec.tenant = row.text();
  spec.batch = row.uuid();
  spec.type = row.text();
  spec.name = row.text();
  status.reason = row.as<model::Reason>();
  status.submitted_at = row.integer();
  status.host = row.text();
  spec.priority = row.integer();
  status.version = row.integer();
  status.attempt = int(row.integer());
  status.failures = int(row.integer());
  status.host_losses = int(row.integer());
  status.ready_at = row.integer();
  status.due_at = row.maybe<Millis>();
  status.started_at = row.maybe<Millis>();
  status.finished_at = row.maybe<Millis>();
  status.cancel_requested_at = row.maybe<Millis>();
  read_outcome(row, status);
  const bool progressed = row.integer() != 0;
  const auto percent = row.maybe<int>();
  status.result_truncated = row.flag();
  status.redrive_of = row.maybe<Uuid>();
  status.redriven_as = row.maybe<Uuid>();
  status.settled_at = row.maybe<Millis>();
  spec.package = row.text();
  spec.package_sha256 = digest_hex(row.text());
  spec.not_before = row.maybe<Millis>();
  spec.delay = row.integer();
  spec.timeout = row.integer();
  spec.queue_timeout = row.integer();
  spec.lease = row.integer();
  spec.max_attempts = int(row.integer_or(5));
  spec.key = row.text();
  spec.key_digest = digest_hex(row.text());
  spec.submitted_by = row.text();
  spec.tags = tags_from(row.text());
  read_extras(row.text(), spec);
  std::string message = row.text();
  if (progressed) status.progress = model::Progress{percent, std::move(message)};
  status.error = row.text();
  read_trouble(row.text(), status.trouble);
  apply_lease(row, status);
  status.result = row.maybe<std::string>();
  spec.parameters = row.text();
  status.files_left_out = files_left_out_from(row.text());
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
  return attempt;
}

Sql insert_job_sql() {
  return "INSERT INTO job(seq, lo, state, tenant, batch, type, name, reason, submitted_at, host, priority, version,"
         " attempt, failures, host_losses, ready_at, due_at, started_at, finished_at, cancel_requested_at, exit_code,"
         " exit_signal, cpu_seconds, max_rss, progressed, percent, result_truncated, redrive_of, redriven_as, package,"
         " package_sha256, not_before, delay, timeout, queue_timeout, lease, max_attempts, key, key_digest, "
         "submitted_by,"
         " tags, extras, message, error, result, parameters, files_left_out, trouble, cause, settled_at)"
         " VALUES(?,?,?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?,?,?, "
         "?,?,?,?,?,?,?,?,?,?)";
}

void insert_job(Statement& insert, const model::Job& job, const std::string& sha256) {
  const auto& spec = job.spec;
  const auto& status = job.status;
  const std::optional<Uuid> batch = spec.batch ? std::optional(spec.batch) : std::nullopt;
  const std::string key_sha256 = digest_bytes(spec.key_digest), tags = tags_text(spec.tags), extras = extras_text(spec),
                    left_out = files_left_out_text(status.files_left_out), trouble = trouble_text(status.trouble);
  const std::optional<Blob> digest = sha256.empty() ? std::nullopt : std::optional(Blob{sha256});
  const std::optional<Blob> key_digest = key_sha256.empty() ? std::nullopt : std::optional(Blob{key_sha256});
  insert
      .bind(job.id.seq(), std::int64_t(job.id.low), status.state, spec.tenant, batch, spec.type, OrNull{spec.name},
            status.reason, status.submitted_at, OrNull{status.host}, spec.priority, status.version, status.attempt,
            status.failures, status.host_losses, Unless{0, status.ready_at}, status.due_at, status.started_at,
            status.finished_at, status.cancel_requested_at, exit_code(status.exit), exit_signal(status.exit),
            cpu_of(status.usage), rss_of(status.usage), Unless{0, status.progress.has_value()},
            percent_of(status.progress), Unless{0, status.result_truncated}, status.redrive_of, status.redriven_as,
            OrNull{spec.package}, digest, spec.not_before, Unless{0, spec.delay}, Unless{0, spec.timeout},
            Unless{0, spec.queue_timeout}, Unless{0, spec.lease}, Unless{5, spec.max_attempts}, OrNull{spec.key},
            key_digest, OrNull{spec.submitted_by}, OrNull{tags}, OrNull{extras}, message_of(status.progress),
            OrNull{status.error}, status.result, OrNull{spec.parameters}, OrNull{left_out}, OrNull{trouble},
            status.cause, status.settled_at)
      .run();
}

Sql update_job_sql() {
  return "UPDATE job SET state=?2, reason=?3, host=?4, version=?5, attempt=?6, failures=?7, host_losses=?8, "
         "ready_at=?9, due_at=?10, started_at=?11, finished_at=?12, cancel_requested_at=?13, exit_code=?14, "
         "exit_signal=?15, cpu_seconds=?16, max_rss=?17, progressed=?18, percent=?19, result_truncated=?20, "
         "redrive_of=?21, redriven_as=?22, message=?23, error=?24, result=?25, files_left_out=?26, "
         "trouble=?27, cause=?28, settled_at=?29 WHERE seq=?1";
}

void update_job(Statement& update, const JobUpdate& change) {
  const auto& status = change.status;
  const std::string left_out = files_left_out_text(status.files_left_out);
  const std::string trouble = trouble_text(status.trouble);
  update
      .bind(change.id.seq(), status.state, status.reason, OrNull{status.host}, status.version, status.attempt,
            status.failures, status.host_losses, Unless{0, status.ready_at}, status.due_at, status.started_at,
            status.finished_at, status.cancel_requested_at, exit_code(status.exit), exit_signal(status.exit),
            cpu_of(status.usage), rss_of(status.usage), Unless{0, status.progress.has_value()},
            percent_of(status.progress), Unless{0, status.result_truncated}, status.redrive_of, status.redriven_as,
            message_of(status.progress), OrNull{status.error}, status.result, OrNull{left_out}, OrNull{trouble},
            status.cause, status.settled_at)
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
