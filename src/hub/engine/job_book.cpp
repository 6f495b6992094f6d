// SPDX-License-Identifier: Apache-2.0
// Each move: take the job from its old place, change its state and the counters, give it its new place, tell it.
#include "hub/engine/job_book.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "base/log.h"
#include "hub/engine/pool_load.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::engine {

using model::JobState;
using model::Reason;
using model::Trigger;
using store::EventType;
using store::ReadyRow;

namespace {

store::LastFailure last_failure(const model::Job& job) {
  return {job.status.failures, job.status.host_losses, job.status.error};
}

// Where the trigger leads from any state.
JobState usual_end(Trigger trigger) {
  for (const auto& move : model::transitions())
    if (move.trigger == trigger) return move.to;
  return JobState::ready;
}

}  // namespace

// ---- looking things up ----------------------------------------------------------------------------------------------

std::optional<model::Job> JobBook::visible_job(const Caller& caller, Uuid id) {
  auto job = store_.job(id);
  if (job && !caller.sees(job->spec.tenant)) return std::nullopt;
  return job;
}

Result<void> JobBook::has_room(const std::string& tenant, std::int64_t jobs) const {
  const auto found = state_.tenants.find(tenant);
  if (found == state_.tenants.end() || found->second.row.max_queued == 0) return {};
  const auto& own = found->second;
  if (own.live + jobs <= own.row.max_queued) return {};
  return fail(Code::tooManyQueued,
              fmt::format("tenant {} has {} unfinished jobs of at most {}", tenant, own.live, own.row.max_queued),
              "/tenant", "try again when some have ended");
}

// ---- counters -------------------------------------------------------------------------------------------------------

void JobBook::count(BatchState& batch, const std::string& tenant, JobState state, std::int64_t by) {
  batch.counts[tenant][std::size_t(state)] += by;
  store_.count(batch.row.id, tenant, state, by);
}

void JobBook::count_dead_letter(const model::Job& job, std::int64_t by) {
  store_.changes().dead_letters.push_back({job.spec.tenant, job.status.reason, by});
}

void JobBook::move(model::Job& job, Trigger trigger) {
  auto to = model::next_state(job.status.state, trigger);
  if (!to) {
    // Only a store in which rows contradict each other can bring us here. One job must not stop the hub for all.
    log::error("job {} is {}, which its place in the store contradicts: put right", job.id.str(),
               model::state_name(job.status.state));
    if (model::ended(job.status.state)) return;
    to = usual_end(trigger);
  }
  auto& batch = state_.batches.at(job.spec.batch);
  count(batch, job.spec.tenant, job.status.state, -1);
  count(batch, job.spec.tenant, *to, +1);
  job.status.state = *to;
  ++job.status.version;
  if (*to == JobState::ready) job.status.ready_at = now_.wall;
  if (*to != JobState::scheduled) job.status.due_at.reset();
  if (!model::ended(*to)) return;
  job.status.finished_at = now_.wall;
  --batch.live;
  --lanes_.tenant(job.spec.tenant).live;
  out_.observed.push_back({.what = Observed::What::job_ended, .state = *to, .reason = job.status.reason});
  if (*to == JobState::finished) ++stats_.jobs_finished;
  if (*to == JobState::failed) ++stats_.jobs_failed, count_dead_letter(job, +1);
  if (*to == JobState::cancelled) ++stats_.jobs_cancelled;
}

// ---- places ---------------------------------------------------------------------------------------------------------

void JobBook::make_ready(const model::Job& job, LaneState& lane) {
  const ReadyRow row{lane.row.no, job.spec.priority, job.id.seq()};
  store_.put(row);
  lanes_.gained(lane, row);
  if (job.spec.queue_timeout == 0) return;
  const Millis due = now_.engine + job.spec.queue_timeout;
  store_.put(store::QueueDeadlineRow{job.id.seq(), due});
  if (!state_.next_queue_deadline || due < *state_.next_queue_deadline) state_.next_queue_deadline = due;
}

void JobBook::make_scheduled(const store::ScheduledRow& row) {
  store_.put(row);
  auto& next = row.by_wall ? state_.next_due_wall : state_.next_due_engine;
  if (!next || row.due < *next) next = row.due;
}

void JobBook::take_out(const model::Job& job) {
  if (job.status.state == JobState::scheduled) return store_.remove_scheduled(job.id.seq());
  if (const auto lane = state_.lanes.find(store::lane_key(job)); lane != state_.lanes.end()) {
    const ReadyRow row{lane->second.row.no, job.spec.priority, job.id.seq()};
    store_.remove(row);
    lanes_.lost(lane->second, row);
  } else {
    log::error("job {} is ready, but waits in no lane", job.id.str());
  }
  if (job.spec.queue_timeout > 0) store_.remove_deadline(job.id.seq());
}

// ---- jobs that come -------------------------------------------------------------------------------------------------

model::Job JobBook::insert(const model::JobSpec& spec, LaneState& lane, std::optional<Uuid> redrive_of) {
  model::Job job;
  job.id = ids_.next(now_.wall);
  job.spec = spec;
  auto& status = job.status;
  status.submitted_at = now_.wall;
  status.redrive_of = redrive_of;
  const bool later = spec.delay > 0 || (spec.not_before && *spec.not_before > now_.wall);
  status.state = *model::next_state(std::nullopt, later ? Trigger::delay : Trigger::submit);
  if (later) {
    const bool by_wall = spec.delay == 0;
    status.due_at = by_wall ? *spec.not_before : now_.wall + spec.delay;
    make_scheduled({job.id.seq(), by_wall ? *spec.not_before : now_.engine + spec.delay, by_wall, spec.delay});
  } else {
    status.ready_at = now_.wall;
    make_ready(job, lane);
    note_arrival(state_, lane, now_.monotonic);
  }
  auto& batch = *lane.batch;
  count(batch, spec.tenant, status.state, +1);
  ++batch.live;
  ++lane.tenant->live;
  batch.completed = false;
  store_.insert(job);
  events_.emit(EventType::job_submitted, job);
  ++stats_.jobs_submitted;
  return job;
}

bool JobBook::is_being_deleted(Uuid batch) const {
  return std::any_of(state_.operations.begin(), state_.operations.end(), [&](const auto& entry) {
    return entry.second.kind == store::OperationKind::delete_batch && entry.second.filter.batch == batch;
  });
}

Result<model::Job> JobBook::redrive(model::Job old, const std::string& by) {
  if (state_.batches.at(old.spec.batch).row.state == model::BatchState::cancelled)
    return fail(Code::batchClosed, fmt::format("the batch of job {} is cancelled", old.id.str()), {},
                "submit it anew to an open batch");
  if (is_being_deleted(old.spec.batch))
    return fail(Code::batchClosed, fmt::format("the batch of job {} is being deleted", old.id.str()), {},
                "submit it anew to an open batch");
  auto spec = old.spec;
  spec.key.clear();
  spec.key_digest.clear();
  spec.not_before.reset();
  spec.delay = 0;
  spec.submitted_by = by;
  if (auto ok = has_room(spec.tenant, 1); !ok) return ok.error();
  auto where = lanes_.lane(store::lane_key(spec));
  if (!where) return where.error();
  auto made = insert(spec, **where, old.id);
  old.status.redriven_as = made.id;
  ++old.status.version;
  update(old);
  return made;
}

// ---- jobs that wait -------------------------------------------------------------------------------------------------

void JobBook::delay(model::Job& job, Millis until) {
  if (job.status.state == JobState::ready) move(job, Trigger::delay);
  job.status.due_at = until;
  make_scheduled({job.id.seq(), until, true, 0});
}

void JobBook::make_due(model::Job& job, LaneState& lane) {
  move(job, Trigger::due);
  make_ready(job, lane);
  if (job.status.attempt == 0) note_arrival(state_, lane, now_.monotonic);
  events_.emit(EventType::job_ready, job);
}

void JobBook::cancel_waiting(model::Job& job, const CancelWhat& what) {
  take_out(job);
  job.status.cancel_requested_at = now_.wall;
  job.status.error = what.reason;
  cancel(job);
  update(job);
  events_.emit_if_completed(state_.batches.at(job.spec.batch));
}

void JobBook::expire_queued(model::Job& job) {
  take_out(job);
  job.status.reason = Reason::queueTimeout;
  job.status.error = fmt::format("waited longer than {} for a host", format_duration(job.spec.queue_timeout));
  move(job, Trigger::expire_queue);
  update(job);
  events_.emit(EventType::job_failed, job, store::FailedForGood{Reason::queueTimeout, {}});
  events_.emit_if_completed(state_.batches.at(job.spec.batch));
}

Result<LaneState*> JobBook::lane_of(model::Job& job) {
  auto where = lanes_.lane(store::lane_key(job));
  if (!where && !job.status.trouble.avoid.empty()) {
    job.status.trouble.avoid.clear();
    where = lanes_.lane(store::lane_key(job));
  }
  if (!where && job.status.memory > 0) {
    job.status.memory = 0;
    where = lanes_.lane(store::lane_key(job));
  }
  return where;
}

// ---- jobs at work ---------------------------------------------------------------------------------------------------

// Its row among the ready ones has been taken with others of its lane.
void JobBook::grant(model::Job& job, const HostState& host) {
  auto& status = job.status;
  ++status.attempt;
  status.host = host.row.name;
  status.started_at.reset();
  status.progress.reset();
  move(job, Trigger::grant);
  if (job.spec.queue_timeout > 0) store_.remove_deadline(job.id.seq());
  events_.emit(EventType::job_leased, job, store::AtHost{status.host});
}

void JobBook::start(model::Job& job) {
  move(job, Trigger::start);
  job.status.started_at = now_.wall;
  events_.emit(EventType::job_started, job, store::AtHost{job.status.host});
}

void JobBook::requeue(model::Job& job, LaneState& lane) {
  move(job, Trigger::requeue);
  make_ready(job, lane);
  events_.emit(EventType::job_ready, job);
}

void JobBook::retry(model::Job& job, Millis pause, std::int64_t more_memory) {
  move(job, Trigger::retry);
  job.status.due_at = now_.wall + pause;
  make_scheduled({job.id.seq(), now_.engine + pause, false, pause});
  events_.emit(EventType::job_retrying, job, store::Retrying{*job.status.due_at, last_failure(job), more_memory});
}

void JobBook::finish(model::Job& job) {
  job.status.error.clear();
  move(job, Trigger::finish);
  events_.emit(EventType::job_finished, job);
  if (job.status.redrive_of) settle_redriven(*job.status.redrive_of);
}

void JobBook::fail_for_good(model::Job& job, Reason reason) {
  job.status.reason = reason;
  move(job, Trigger::fail);
  events_.emit(EventType::job_failed, job, store::FailedForGood{reason, last_failure(job)});
}

void JobBook::cancel(model::Job& job) {
  move(job, Trigger::cancel);
  events_.emit(EventType::job_cancelled, job);
}

void JobBook::update(const model::Job& job) {
  store_.changes().updates.push_back({job.id, job.status});
}

// ---- jobs that have ended -------------------------------------------------------------------------------------------

bool JobBook::settle(model::Job& job) {
  if (!model::is_open_dead_letter(job.status)) return false;
  count_dead_letter(job, -1);
  job.status.settled_at = now_.wall;
  ++job.status.version;
  update(job);
  return true;
}

// A redrive of it has succeeded: it is settled, and so is what it was itself a redrive of.
void JobBook::settle_redriven(Uuid id) {
  constexpr int kChainMax = 1'000;
  for (int i = 0; i < kChainMax; ++i) {
    auto job = store_.job(id);
    if (!job || !settle(*job) || !job->status.redrive_of) return;
    id = *job->status.redrive_of;
  }
}

void JobBook::purge(const model::Job& job) {
  store_.changes().jobs_purged.push_back(job.id);
  out_.purged.push_back(job.id);
  if (model::is_open_dead_letter(job.status)) count_dead_letter(job, -1);
  count(state_.batches.at(job.spec.batch), job.spec.tenant, job.status.state, -1);
}

bool JobBook::forget_if_empty(const BatchState& batch) {
  const Uuid id = batch.row.id;
  if (id == model::kDefaultBatch || batch.row.state == model::BatchState::open) return false;
  for (const auto& [owner, counts] : batch.counts)
    if (std::any_of(counts.begin(), counts.end(), [](auto n) { return n != 0; })) return false;
  for (const auto& [operation, row] : state_.operations)
    if (row.filter.batch == id) return false;
  store_.flush();  // its last counts before itself
  lanes_.drop_of(id);
  store_.changes().batches_removed.push_back(id);
  state_.batch_names.erase({batch.row.tenant, batch.row.name});
  state_.board.forget(state_.batches.at(id));
  state_.batches.erase(id);
  return true;
}

}  // namespace geres::hub::engine
