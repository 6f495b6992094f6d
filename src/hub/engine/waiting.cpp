// SPDX-License-Identifier: Apache-2.0
// Jobs that wait, and what their owners do to jobs: change, cancel, run again; and what becomes due by itself.
#include <fmt/format.h>

#include "base/duration.h"
#include "base/log.h"
#include "hub/engine/tick.h"

namespace geres::hub::engine {

using model::JobState;
using model::Reason;
using model::Trigger;
using store::EventType;

namespace {

Error no_job(Uuid id) {
  return fail(Code::unknownJob, fmt::format("there is no job {}", id.str()));
}

}  // namespace

// ---- change ---------------------------------------------------------------------------------------------------------

Result<model::Job> Tick::patch_job(const Caller& caller, Uuid id, const JobPatch& patch) {
  auto job = visible_job(caller, id);
  if (!job) return no_job(id);
  auto& status = job->status;
  if (status.state != JobState::scheduled && status.state != JobState::ready)
    return fail(Code::notWaiting,
                fmt::format("job {} is {}: priority, notBefore and tags can change only until it starts", id.str(),
                            model::state_name(status.state)));
  const bool now_due = patch.not_before && (!*patch.not_before || **patch.not_before <= now_.wall);
  const bool later = patch.not_before && !now_due;
  const auto scheduled = status.state == JobState::scheduled ? store_.scheduled_row(id) : std::nullopt;
  if (patch.priority || patch.not_before) {
    LaneState* where = nullptr;
    if (!later && (!scheduled || now_due)) {
      auto found = lane_of(*job);
      if (!found) return found.error();
      where = *found;
    }
    take_out(*job);
    flush();  // additions are applied before removals: the old place must be gone before the new one comes
    if (patch.priority) job->spec.priority = *patch.priority;
    if (patch.not_before) job->spec.not_before = *patch.not_before;
    if (later) {
      if (status.state == JobState::ready) move(*job, Trigger::delay);
      status.due_at = **patch.not_before;
      make_scheduled(*job, **patch.not_before, true, 0);
    } else if (scheduled && !now_due) {  // only its priority changed
      make_scheduled(*job, scheduled->due, scheduled->by_wall, scheduled->duration);
    } else {
      if (scheduled) {
        move(*job, Trigger::due);
        emit(EventType::job_ready, *job);
      }
      make_ready(*job, *where);
    }
  }
  if (patch.tags) job->spec.tags = *patch.tags;
  ++status.version;
  changes_.edits.push_back({id, job->spec.priority, job->spec.not_before, job->spec.tags});
  update(*job);
  return *job;
}

// ---- cancel ---------------------------------------------------------------------------------------------------------

void Tick::cancel_waiting(model::Job& job, const CancelWhat& what) {
  take_out(job);
  job.status.cancel_requested_at = now_.wall;
  job.status.error = what.reason;
  move(job, Trigger::cancel);
  update(job);
  emit(EventType::job_cancelled, job);
  emit_if_completed(state_.batches.at(job.spec.batch));
}

void Tick::request_cancel(LeaseState& lease, const CancelWhat& what) {
  // A second request may only shorten the grace.
  if (lease.row.cancel_requested_at && what.grace >= lease.row.cancel_grace) return;
  if (!lease.row.cancel_requested_at) {
    lease.row.cancel_requested_at = now_.wall;
    lease.row.cancel_reason = what.reason;
    lease.job.status.cancel_requested_at = now_.wall;
  }
  lease.row.cancel_grace = what.grace;
  lease.row.version = ++lease.job.status.version;
  lease.cancel_confirmed = false;
  if (const auto host = state_.hosts.find(lease.row.host); host != state_.hosts.end())
    host->second.cancels_told.erase(lease.row.job.seq());
  state_.news.insert(lease.row.host);
  changes_.leases.push_back(lease.row);
}

// True when the request changed something.
bool Tick::cancel_any(model::Job& job, const CancelWhat& what) {
  if (model::ended(job.status.state)) return false;
  if (const auto lease = state_.leases.find(job.id.seq()); lease != state_.leases.end()) {
    const bool first = !lease->second.row.cancel_requested_at;
    request_cancel(lease->second, what);
    job.status = lease->second.job.status;
    return first;
  }
  cancel_waiting(job, what);
  return true;
}

Result<model::Job> Tick::cancel_job(const Caller& caller, Uuid id, const CancelWhat& what) {
  auto job = visible_job(caller, id);
  if (!job) return no_job(id);
  cancel_any(*job, what);
  return *job;
}

// ---- run again ------------------------------------------------------------------------------------------------------

// A new job with the same spec, linked both ways. The old one stays as it ended.
Result<model::Job> Tick::redrive(model::Job old, const std::string& by) {
  if (state_.batches.at(old.spec.batch).row.state == model::BatchState::cancelled)
    return fail(Code::batchClosed, fmt::format("the batch of job {} is cancelled", old.id.str()), {},
                "submit it anew to an open batch");
  auto spec = old.spec;
  spec.key.clear();
  spec.key_digest.clear();
  spec.not_before.reset();
  spec.delay = 0;
  spec.submitted_by = by;
  if (auto ok = check_room(spec.tenant, 1); !ok) return ok.error();
  auto where = lane(store::lane_key(spec));
  if (!where) return where.error();
  auto made = insert(spec, **where, old.id);
  old.status.redriven_as = made.id;
  ++old.status.version;
  update(old);
  return made;
}

Result<model::Job> Tick::redrive_job(const Caller& caller, Uuid id) {
  auto job = visible_job(caller, id);
  if (!job) return no_job(id);
  if (!model::ended(job->status.state))
    return fail(Code::notEnded, fmt::format("job {} is {}: only an ended job can be run again", id.str(),
                                            model::state_name(job->status.state)));
  // A repeat of the call finds the job that the first one made, as long as that has not ended.
  if (job->status.redriven_as) {
    auto again = std::move(store_.jobs(std::span(&*job->status.redriven_as, 1)).front());
    if (again && !model::ended(again->status.state)) return std::move(*again);
  }
  return redrive(std::move(*job), caller.name);
}

// ---- dead letters ---------------------------------------------------------------------------------------------------

// True: it was an open dead letter until now.
bool Tick::settle(model::Job& job) {
  if (!model::is_open_dead_letter(job.status)) return false;
  count_dead_letter(job, -1);
  job.status.settled_at = now_.wall;
  ++job.status.version;
  update(job);
  return true;
}

// A redrive of it has succeeded: it is settled, and so is what it was itself a redrive of.
void Tick::settle_redriven(Uuid id) {
  constexpr int kChainMax = 1'000;
  for (int i = 0; i < kChainMax; ++i) {
    flush();
    auto job = std::move(store_.jobs(std::span(&id, 1)).front());
    if (!job || !settle(*job) || !job->status.redrive_of) return;
    id = *job->status.redrive_of;
  }
}

Result<model::Job> Tick::dismiss_job(const Caller& caller, Uuid id) {
  auto job = visible_job(caller, id);
  if (!job) return no_job(id);
  const auto state = job->status.state;
  auto why = fmt::format("job {} is {}: only a dead letter can be dismissed", id.str(), model::state_name(state));
  if (!model::ended(state)) return fail(Code::notEnded, std::move(why));
  if (state != JobState::failed) return fail(Code::conflict, std::move(why), {}, "leave it as it is");
  settle(*job);
  return *job;
}

// ---- due ------------------------------------------------------------------------------------------------------------

void Tick::promote_due() {
  const bool due = (state_.next_due_engine && *state_.next_due_engine <= now_.engine) ||
                   (state_.next_due_wall && *state_.next_due_wall <= now_.wall);
  if (!due) return;
  flush();
  const auto rows = store_.due(now_.engine, now_.wall, options_.slice);
  std::vector<store::Seq> seqs;
  for (const auto& row : rows) seqs.push_back(row.seq);
  for (auto& job : store_.jobs_by_seq(seqs)) {
    if (job.status.state != JobState::scheduled) {
      log::error("job {} is {} and stood among those that wait for their time: taken out of there", job.id.str(),
                 model::state_name(job.status.state));
      changes_.scheduled_removed.push_back(job.id.seq());
      continue;
    }
    auto where = lane_of(job);
    if (!where) {  // the tenant has too many lanes: look again in a second
      make_scheduled(job, now_.engine + 1'000, false, 1'000);
      continue;
    }
    changes_.scheduled_removed.push_back(job.id.seq());
    move(job, Trigger::due);
    make_ready(job, **where);
    update(job);
    emit(EventType::job_ready, job);
  }
  flush();
  state_.next_due_engine = store_.next_due(false);
  state_.next_due_wall = store_.next_due(true);
  if (rows.size() == options_.slice) more = true;
}

void Tick::expire_queued() {
  if (!state_.next_queue_deadline || *state_.next_queue_deadline > now_.engine) return;
  flush();
  const auto rows = store_.deadlines_due(now_.engine, options_.slice);
  std::vector<store::Seq> seqs;
  for (const auto& row : rows) seqs.push_back(row.seq);
  for (auto& job : store_.jobs_by_seq(seqs)) {
    if (job.status.state != JobState::ready) {  // a leftover of an earlier wait
      changes_.deadlines_removed.push_back(job.id.seq());
      continue;
    }
    take_out(job);
    job.status.reason = Reason::queueTimeout;
    job.status.error = fmt::format("waited longer than {} for a host", format_duration(job.spec.queue_timeout));
    move(job, Trigger::expire_queue);
    update(job);
    emit(EventType::job_failed, job, R"("reason":"queueTimeout")");
    emit_if_completed(state_.batches.at(job.spec.batch));
  }
  flush();
  state_.next_queue_deadline = store_.next_deadline();
  if (rows.size() == options_.slice) more = true;
}

}  // namespace geres::hub::engine
