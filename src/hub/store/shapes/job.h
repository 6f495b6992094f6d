// SPDX-License-Identifier: Apache-2.0
// A job, its lease and its attempts as rows; see small.h.
#pragma once

#include "hub/store/shapes/small.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::store::shapes {

template <class Row>
std::optional<model::Progress> read_progress(RowReader<Row>& row) {
  const bool there = row.integer() != 0;
  auto percent = row.template maybe<int>();
  std::string message = row.text();
  if (!there) return std::nullopt;
  return model::Progress{percent, std::move(message)};
}

// Columns of a job that has a lease stand in the lease's row.
template <class Row>
void apply_lease(RowReader<Row>& row, model::JobStatus& status) {
  const bool leased = row.template maybe<std::int64_t>().has_value();
  const auto attempt = int(row.integer());
  const std::int64_t version = row.integer();
  std::string host = row.text();
  const auto started_at = row.template maybe<Millis>();
  auto progress = read_progress(row);
  const auto cancel_requested_at = row.template maybe<Millis>();
  if (!leased) return;
  status.state = started_at ? model::JobState::running : model::JobState::leased;
  status.attempt = attempt;
  status.version = version;
  status.host = std::move(host);
  status.started_at = started_at;
  status.progress = std::move(progress);
  status.cancel_requested_at = cancel_requested_at;
}

template <class Row>
void read_outcome(RowReader<Row>& row, model::JobStatus& status) {
  const auto code = row.template maybe<int>(), signal = row.template maybe<int>();
  if (code || signal) status.exit = model::Exit{code, signal};
  const auto cpu = row.template maybe<double>();
  const std::int64_t rss = row.integer();
  if (cpu) status.usage = model::Usage{*cpu, rss};
  status.cause = row.template maybe<model::Cause>();
}

inline std::optional<std::int64_t> exit_code(const std::optional<model::Exit>& exit) {
  return exit && exit->code ? std::optional<std::int64_t>(*exit->code) : std::nullopt;
}

inline std::optional<std::int64_t> exit_signal(const std::optional<model::Exit>& exit) {
  return exit && exit->signal ? std::optional<std::int64_t>(*exit->signal) : std::nullopt;
}

inline std::optional<std::int64_t> percent_of(const std::optional<model::Progress>& progress) {
  return progress && progress->percent ? std::optional<std::int64_t>(*progress->percent) : std::nullopt;
}

inline OrNull message_of(const std::optional<model::Progress>& progress) {
  return OrNull{progress ? std::string_view(progress->message) : std::string_view()};
}

inline std::optional<double> cpu_of(const std::optional<model::Usage>& usage) {
  return usage ? std::optional<double>(usage->cpu_seconds) : std::nullopt;
}

inline std::optional<std::int64_t> rss_of(const std::optional<model::Usage>& usage) {
  return usage ? std::optional<std::int64_t>(usage->max_rss_bytes) : std::nullopt;
}

template <class Row>
model::Job read_job(RowReader<Row> row) {
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
  state = row.template as<model::JobState>();
  tenant = row.text();
  batch = row.uuid();
  type = row.text();
  name = row.text();
  reason = row.template as<model::Reason>();
  submitted_at = row.integer();
  host = row.text();
  priority = row.integer();
  version = row.integer();
  attempt = int(row.integer());
  failures = int(row.integer());
  host_losses = int(row.integer());
  ready_at = row.integer();
  due_at = row.template maybe<Millis>();
  started_at = row.template maybe<Millis>();
  finished_at = row.template maybe<Millis>();
  cancel_requested_at = row.template maybe<Millis>();
  read_outcome(row, status);
  const bool progressed = row.integer() != 0;
  const auto percent = row.template maybe<int>();
  result_truncated = row.flag();
  redrive_of = row.template maybe<Uuid>();
  redriven_as = row.template maybe<Uuid>();
  settled_at = row.template maybe<Millis>();
  package = row.text();
  package_sha256 = digest_hex(row.text());
  not_before = row.template maybe<Millis>();
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
  result = row.template maybe<std::string>();
  parameters = row.text();
  files_left_out = files_left_out_from(row.text());
  return job;
}

template <class Row>
LeaseRow read_lease(RowReader<Row>& row) {
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
  lease.started_at = row.template maybe<Millis>();
  lease.progress = read_progress(row);
  lease.cancel_requested_at = row.template maybe<Millis>();
  lease.cancel_grace = row.integer();
  lease.cancel_reason = row.text();
  lease.fetch_id = row.text();
  return lease;
}

template <class Row>
model::Attempt read_attempt(RowReader<Row>& row) {
  model::Attempt attempt;
  attempt.attempt = int(row.integer());
  attempt.host = row.text();
  attempt.leased_at = row.integer();
  attempt.started_at = row.template maybe<Millis>();
  attempt.ended_at = row.template maybe<Millis>();
  attempt.outcome = row.template maybe<model::Outcome>();
  attempt.error = row.text();
  const auto code = row.template maybe<int>(), signal = row.template maybe<int>();
  if (code || signal) attempt.exit = model::Exit{code, signal};
  const auto cpu = row.template maybe<double>();
  const std::int64_t rss = row.integer();
  if (cpu) attempt.usage = model::Usage{*cpu, rss};
  attempt.cause = row.template maybe<model::Cause>();
  attempt.memory = row.integer();
  return attempt;
}

// `sha256` is the package's digest as bytes, which the caller needs too.
template <class Put>
void job_columns(const model::Job& job, const std::string& sha256, Put&& put) {
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
  put(job.id.seq(), std::int64_t(job.id.low), state, tenant, batch, type, OrNull{name}, reason, submitted_at,
      OrNull{host}, priority, version, attempt, failures, host_losses, Unless{0, ready_at}, due_at, started_at,
      finished_at, cancel_requested_at, exit_code(exit), exit_signal(exit), cpu_of(usage), rss_of(usage),
      Unless{0, progress.has_value()}, percent_of(progress), Unless{0, result_truncated}, redrive_of, redriven_as,
      OrNull{package}, digest, not_before, Unless{0, delay}, Unless{0, timeout}, Unless{0, queue_timeout},
      Unless{0, lease}, Unless{5, max_attempts}, OrNull{key}, key_digest, OrNull{submitted_by}, OrNull{tags},
      OrNull{extras}, message_of(progress), OrNull{error}, result, OrNull{parameters}, OrNull{left_out},
      OrNull{trouble}, cause, settled_at, Unless{0, memory});
}

// What changes of a job; first the first half of its id.
template <class Put>
void status_columns(const JobUpdate& change, Put&& put) {
  const auto& [state, reason, error, attempt, failures, host_losses, version, progress, result, result_truncated, exit,
               cause, usage, files_left_out, host, submitted_at, ready_at, due_at, started_at, finished_at,
               cancel_requested_at, redrive_of, redriven_as, settled_at, host_trouble, memory] = change.status;
  static_cast<void>(submitted_at);  // stays what it was
  const std::string left_out = files_left_out_text(files_left_out);
  const std::string trouble = trouble_text(host_trouble);
  put(change.id.seq(), state, reason, OrNull{host}, version, attempt, failures, host_losses, Unless{0, ready_at},
      due_at, started_at, finished_at, cancel_requested_at, exit_code(exit), exit_signal(exit), cpu_of(usage),
      rss_of(usage), Unless{0, progress.has_value()}, percent_of(progress), Unless{0, result_truncated}, redrive_of,
      redriven_as, message_of(progress), OrNull{error}, result, OrNull{left_out}, OrNull{trouble}, cause, settled_at,
      Unless{0, memory});
}

template <class Put>
void lease_columns(const LeaseRow& lease, Put&& put) {
  put(lease.job.seq(), std::int64_t(lease.job.low), lease.name, lease.lane, lease.host, lease.host_name, lease.attempt,
      lease.version, lease.ttl, lease.granted_at, lease.started_at, Unless{0, lease.progress.has_value()},
      percent_of(lease.progress), message_of(lease.progress), lease.cancel_requested_at, Unless{0, lease.cancel_grace},
      OrNull{lease.cancel_reason}, OrNull{lease.fetch_id});
}

template <class Put>
void attempt_columns(const AttemptRow& row, Put&& put) {
  const auto& a = row.attempt;
  const auto code = a.exit ? a.exit->code : std::nullopt, signal = a.exit ? a.exit->signal : std::nullopt;
  put(row.job.seq(), a.attempt, std::int64_t(row.lease.low), OrNull{a.host}, a.leased_at, a.started_at, a.ended_at,
      a.outcome, OrNull{a.error}, code, signal, cpu_of(a.usage), rss_of(a.usage), a.cause, Unless{0, a.memory});
}

}  // namespace geres::hub::store::shapes
