// SPDX-License-Identifier: Apache-2.0
// How a job, its lease and its attempts become rows, and rows a job. One copy of each list of columns.
#pragma once

#include "hub/store/rows.h"
#include "hub/store/sqlite/connection.h"

namespace geres::hub::store::sqlite {

// `SELECT` + kJobColumns + ` FROM job j LEFT JOIN lease l ON l.seq = j.seq …` gives rows for read_job. The first two
// are seq and lo. GERES_JOB_COLUMNS_SLIM leaves out parameters, result and files left out.
#define GERES_JOB_COLUMNS_FIXED                                                                                       \
  "j.seq, j.lo, j.state, j.tenant, j.batch, j.type, j.name, j.reason, j.submitted_at, j.host, j.priority, j.version," \
  " j.attempt, j.failures, j.host_losses, j.ready_at, j.due_at, j.started_at, j.finished_at, j.cancel_requested_at,"  \
  " j.exit_code, j.exit_signal, j.cpu_seconds, j.max_rss, j.cause, j.progressed, j.percent, j.result_truncated, "     \
  "j.redrive_of,"                                                                                                     \
  " j.redriven_as, j.settled_at, j.package, j.package_sha256, j.not_before, j.delay, j.timeout, j.queue_timeout, "    \
  "j.lease,"                                                                                                          \
  " j.max_attempts, j.key, j.key_digest, j.submitted_by, j.tags, j.extras, j.message, j.error, j.trouble, j.memory,"  \
  " l.seq, l.attempt, l.version, l.host_name, l.started_at, l.progressed, l.percent, l.message, l.cancel_requested_at"
#define GERES_JOB_COLUMNS GERES_JOB_COLUMNS_FIXED ", j.result, j.parameters, j.files_left_out"
#define GERES_JOB_COLUMNS_SLIM GERES_JOB_COLUMNS_FIXED ", NULL, NULL, NULL"
#define GERES_JOB_FROM " FROM job j LEFT JOIN lease l ON l.seq = j.seq "
constexpr int kJobColumnCount = 60;

model::Job read_job(const Statement& row);

#define GERES_LEASE_COLUMNS                                                                                    \
  "l.seq, l.lo, l.name, l.lane, l.host, l.host_name, l.attempt, l.version, l.ttl, l.granted_at, l.started_at," \
  " l.progressed, l.percent, l.message, l.cancel_requested_at, l.cancel_grace, l.cancel_reason, l.fetch_id"

LeaseRow read_lease(Columns& row);

#define GERES_ATTEMPT_COLUMNS                                                                                      \
  "attempt, host, leased_at, started_at, ended_at, outcome, error, exit_code, exit_signal, cpu_seconds, max_rss, " \
  "cause, memory"

model::Attempt read_attempt(Columns& row);

// `sha256` is the package's digest as bytes, which the caller needs too.
void insert_job(Statement& insert, const model::Job& job, const std::string& sha256);
Sql insert_job_sql();
void update_job(Statement& update, const JobUpdate& change);
Sql update_job_sql();
void put_lease(Statement& insert, const LeaseRow& lease);
Sql put_lease_sql();

std::optional<model::Job> find_job(Database& database, Uuid id);
bool job_exists(Database& database, Uuid id);

}  // namespace geres::hub::store::sqlite
