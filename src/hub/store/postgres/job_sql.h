// SPDX-License-Identifier: Apache-2.0
// How a whole job is read: what was asked for, how it stands, and its lease, in the order that shapes::read_job reads.
#pragma once

#include "hub/store/postgres/connection.h"
#include "hub/store/shapes/job.h"

namespace geres::hub::store::postgres {

// A status row stands in place of what the job's own row says.
#define GERES_PG_JOB_COLUMNS_FIXED                                                                                    \
  "j.seq, j.lo, coalesce(s.state, j.state), j.tenant, j.batch, j.type, j.name, coalesce(s.reason, 0),"                \
  " j.submitted_at, s.host, j.priority, coalesce(s.version, 1), s.attempt, s.failures, s.host_losses,"                \
  " CASE WHEN s.seq IS NULL THEN j.ready_at ELSE s.ready_at END, CASE WHEN s.seq IS NULL THEN j.due_at ELSE s.due_at" \
  " END, s.started_at, s.finished_at, s.cancel_requested_at, s.exit_code, s.exit_signal, s.cpu_seconds, s.max_rss,"   \
  " s.cause, s.progressed, s.percent, s.result_truncated, j.redrive_of, s.redriven_as, s.settled_at, j.package,"      \
  " j.package_sha256, j.not_before, j.delay, j.timeout, j.queue_timeout, j.lease, j.max_attempts, j.key,"             \
  " j.key_digest, j.submitted_by, j.tags, j.extras, s.message, s.error, s.trouble, s.memory, l.seq, l.attempt,"       \
  " l.version, l.host_name, l.started_at, l.progressed, l.percent, l.message, l.cancel_requested_at"
#define GERES_PG_JOB_COLUMNS GERES_PG_JOB_COLUMNS_FIXED ", s.result, j.parameters, s.files_left_out"
#define GERES_PG_JOB_COLUMNS_SLIM GERES_PG_JOB_COLUMNS_FIXED ", NULL::bytea, NULL::text, NULL::text"
#define GERES_PG_JOB_JOINS " LEFT JOIN job_status s ON s.seq = j.seq LEFT JOIN lease l ON l.seq = j.seq "
#define GERES_PG_JOB_FROM " FROM job j" GERES_PG_JOB_JOINS

constexpr int kJobColumns = 60;

#define GERES_PG_LEASE_COLUMNS                                                                                 \
  "l.seq, l.lo, l.name, l.lane, l.host, l.host_name, l.attempt, l.version, l.ttl, l.granted_at, l.started_at," \
  " l.progressed, l.percent, l.message, l.cancel_requested_at, l.cancel_grace, l.cancel_reason, l.fetch_id"

#define GERES_PG_ATTEMPT_COLUMNS                                                                                   \
  "attempt, host, leased_at, started_at, ended_at, outcome, error, exit_code, exit_signal, cpu_seconds, max_rss, " \
  "cause, memory"

std::optional<model::Job> find_job(Connection& connection, Uuid id);

}  // namespace geres::hub::store::postgres
