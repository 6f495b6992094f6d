// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/job_rows.h"

#include "hub/store/shapes/job.h"

namespace geres::hub::store::sqlite {
model::Job read_job(const Statement& statement) {
  return shapes::read_job(Columns(statement));
}

LeaseRow read_lease(Columns& row) {
  return shapes::read_lease(row);
}

model::Attempt read_attempt(Columns& row) {
  return shapes::read_attempt(row);
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
  shapes::job_columns(job, sha256, run(insert));
}

Sql update_job_sql() {
  return "UPDATE job SET state=?2, reason=?3, host=?4, version=?5, attempt=?6, failures=?7, host_losses=?8, "
         "ready_at=?9, due_at=?10, started_at=?11, finished_at=?12, cancel_requested_at=?13, exit_code=?14, "
         "exit_signal=?15, cpu_seconds=?16, max_rss=?17, progressed=?18, percent=?19, result_truncated=?20, "
         "redrive_of=?21, redriven_as=?22, message=?23, error=?24, result=?25, files_left_out=?26, "
         "trouble=?27, cause=?28, settled_at=?29, memory=?30 WHERE seq=?1";
}

void update_job(Statement& update, const JobUpdate& change) {
  shapes::status_columns(change, run(update));
}

Sql put_lease_sql() {
  return "INSERT OR REPLACE INTO lease(seq, lo, name, lane, host, host_name, attempt, version, ttl, granted_at,"
         " started_at, progressed, percent, message, cancel_requested_at, cancel_grace, cancel_reason, fetch_id)"
         " VALUES(?,?,?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?)";
}

void put_lease(Statement& insert, const LeaseRow& lease) {
  shapes::lease_columns(lease, run(insert));
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
