// SPDX-License-Identifier: Apache-2.0
// Work on many rows: stored as an operation, done a slice a tick, resumed after a crash. And retention, which is the
// same without an end.
#include <fmt/format.h>

#include <algorithm>

#include "hub/engine/tick.h"

namespace geres::hub::engine {

using model::JobState;
using store::OperationKind;

void BulkDone::add(Uuid id, model::Reason reason) {
  ++count;
  if (reason != model::Reason::none) ++by_reason[reason];
  if (ids.size() < kIdsMax) ids.push_back(id);
}

void BulkDone::add(const BulkDone& more) {
  count += more.count;
  for (const auto& [reason, n] : more.by_reason) by_reason[reason] += n;
  const auto room = std::min(more.ids.size(), kIdsMax - ids.size());
  ids.insert(ids.end(), more.ids.begin(), more.ids.begin() + std::ptrdiff_t(room));
}

Result<Uuid> Tick::start_operation(const Caller& caller, OperationKind kind, const store::JobFilter& filter,
                                   const CancelWhat& what) {
  store::OperationRow operation;
  operation.id = ids_.next(now_.wall);  // sorts after every job that is there, so it is the bound too
  operation.kind = kind;
  operation.filter = filter;
  operation.bound = operation.id.seq();
  operation.grace = what.grace;
  operation.text = kind == OperationKind::redrive_filter ? caller.name : what.reason;
  if (!caller.all_tenants) {
    auto& tenants = operation.filter.tenants;
    if (tenants.empty()) tenants = caller.tenants;
    std::erase_if(tenants, [&](const auto& tenant) { return !caller.sees(tenant); });
    if (tenants.empty()) tenants = {""};  // nobody's: matches nothing
  }
  if (kind == OperationKind::cancel_batch || kind == OperationKind::cancel_filter) cancel_leased(operation);
  changes_.operations.push_back(operation);
  state_.operations.emplace(operation.id, operation);
  return operation.id;
}

// Jobs that run are told at once, from memory: however many ended ones the slices have to pass, or others wait for.
void Tick::cancel_leased(const store::OperationRow& operation) {
  const std::size_t most = options_.slice * 4;  // the slices reach the rest
  SliceDone done{operation.id, {}, false};
  for (auto& [seq, lease] : state_.leases) {
    if (std::size_t(done.done.count) >= most) break;
    if (lease.row.cancel_requested_at || seq > operation.bound || !store::matches(operation.filter, lease.job))
      continue;
    request_cancel(lease, {operation.grace, operation.text});
    done.done.add(lease.row.job, model::Reason::none);
  }
  slices_done.push_back(std::move(done));
}

// A slice of each of a few. Cancels come first, but leave something to what makes new jobs; of each kind one begins
// after the last one served, so that none waits for the end of another.
void Tick::run_operations(bool growing) {
  constexpr std::size_t kSlices = 4, kOfCancels = 3;
  std::size_t left = kSlices;
  for (const bool cancels : {true, false}) {
    if (!cancels && !growing) break;  // waits until there is space
    std::vector<Uuid> mine;
    for (const auto& [id, operation] : state_.operations)
      if ((operation.kind != OperationKind::redrive_filter) == cancels) mine.push_back(id);
    auto& last = cancels ? state_.last_cancel : state_.last_redrive;
    std::rotate(mine.begin(), std::upper_bound(mine.begin(), mine.end(), last), mine.end());
    const std::size_t many = std::min(mine.size(), cancels ? kOfCancels : left);
    for (std::size_t i = 0; i < many; ++i) {
      last = mine[i];
      more |= !run_slice(state_.operations.at(mine[i]));
    }
    more |= mine.size() > many;
    left -= many;
  }
}

// True: that was its last.
bool Tick::run_slice(store::OperationRow& operation) {
  if (operation.kind == OperationKind::replay_dead) return replay_slice(operation);
  flush();
  const auto slice = store_.slice(operation.filter, operation.cursor, operation.bound, options_.slice);
  const CancelWhat what{operation.grace, operation.text};
  SliceDone done{operation.id, {}, slice.last};
  for (auto& job : store_.jobs(slice.ids)) {
    if (!job) continue;
    const auto reason = job->status.reason;
    if (operation.kind == OperationKind::delete_batch) {
      if (!model::ended(job->status.state)) continue;  // run again meanwhile
      purge(*job);
      done.done.add(job->id, model::Reason::none);
    } else if (operation.kind == OperationKind::dismiss_filter) {
      if (settle(*job)) done.done.add(job->id, reason);
    } else if (operation.kind == OperationKind::redrive_filter) {
      if (!model::ended(job->status.state) || job->status.redriven_as || job->status.settled_at) continue;
      if (const auto made = redrive(std::move(*job), operation.text)) done.done.add(made->id, reason);
    } else if (cancel_any(*job, what)) {
      done.done.add(job->id, model::Reason::none);
    }
  }
  operation.cursor = slice.cursor;
  return settle_slice(operation, std::move(done));
}

bool Tick::settle_slice(store::OperationRow& operation, SliceDone done) {
  const bool last = done.last;
  operation.done += done.done.count;
  slices_done.push_back(std::move(done));
  if (!last) {
    changes_.operations.push_back(operation);
    return false;
  }
  const bool deletes = operation.kind == OperationKind::delete_batch;
  const auto batch = operation.filter.batch;
  changes_.operations_removed.push_back(operation.id);
  state_.operations.erase(operation.id);
  if (const auto left = deletes ? state_.batches.find(*batch) : state_.batches.end(); left != state_.batches.end())
    forget_if_empty(left->second);
  return true;
}

// ---- retention ------------------------------------------------------------------------------------------------------

// For jobs in this state: tenants with a wish of their own, then everybody else.
void Tick::add_retention_rules(JobState job_state) {
  const bool good = job_state == JobState::finished;
  auto& rules = state_.retention;
  for (const auto& [name, tenant] : state_.tenants) {
    const auto& own = good ? tenant.row.keep_finished : tenant.row.keep_failed;
    if (own) rules.push_back({name, job_state, *own});
  }
  rules.push_back({"", job_state, good ? options_.keep_finished : options_.keep_failed});
}

void Tick::purge(const model::Job& job) {
  changes_.jobs_purged.push_back(job.id);
  purged.push_back(job.id);
  if (model::is_open_dead_letter(job.status)) count_dead_letter(job, -1);
  count(state_.batches.at(job.spec.batch), job.spec.tenant, job.status.state, -1);
}

// A batch goes with its last job; this is for those that never had one, once they are as old as jobs get.
void Tick::forget_empty_batches() {
  std::size_t gone = 0;
  for (auto next = state_.batches.begin(); next != state_.batches.end() && gone < options_.slice;) {
    const auto& batch = (next++)->second;
    const auto owner = state_.tenants.find(batch.row.tenant);
    const auto own = owner == state_.tenants.end() ? std::nullopt : owner->second.row.keep_finished;
    if (batch.row.created_at >= now_.ages - std::max(own.value_or(options_.keep_finished), options_.keep_key_min))
      continue;
    gone += forget_if_empty(batch);
  }
}

// A slice of: jobs past their time (a step a rule), events past theirs, lanes and hosts nobody needs.
void Tick::sweep() {
  if (!state_.sweeping) return;
  const auto& all = state_.retention;
  if (all.empty())
    for (const auto job_state : {JobState::finished, JobState::failed, JobState::cancelled})
      add_retention_rules(job_state);
  flush();
  if (state_.sweep_step < all.size()) {
    const auto& rule = all[state_.sweep_step];
    std::vector<std::string> others;
    if (rule.tenant.empty())
      for (const auto& other : all)
        if (other.state == rule.state && !other.tenant.empty()) others.push_back(other.tenant);
    // A key must answer for at least a day, however short a tenant keeps its jobs.
    const Millis keep = std::max(rule.keep, options_.keep_key_min);
    const auto ids = store_.ended_before(rule.state, now_.ages - keep, rule.tenant, others, options_.slice);
    for (const auto& job : store_.jobs(ids)) {
      if (!job) continue;
      purge(*job);
      forget_if_empty(state_.batches.at(job->spec.batch));
    }
    if (ids.size() < options_.slice) ++state_.sweep_step;
  } else {
    const auto keep_from = std::max<store::EventNo>(0, state_.last_event - options_.events_max);
    const auto gone = store_.purge_events(keep_from, now_.ages - options_.keep_events, now_.ages, options_.slice * 10);
    const auto keys = store_.purge_list_keys(now_.ages - options_.keep_key_min, state_.swept_keys, options_.slice);
    state_.swept_keys = keys.last ? store::Store::KeyPlace{} : keys.next;
    if (gone > 0 || keys.forgotten > 0) wrote_ = true;
    const bool webhooks_swept = sweep_webhooks();
    if (webhooks_swept && gone < options_.slice * 10 && (keys.last || keys.forgotten * 2 < keys.seen)) {
      drop_lanes([&](const LaneState& lane) { return now_.monotonic - lane.idle_since >= 600'000; });
      forget_empty_batches();
      state_.sweeping = false;
      state_.sweep_step = 0;
      state_.retention.clear();
    }
  }
  if (state_.sweeping) more = true;
}

void Tick::drop_lanes(const std::function<bool(const LaneState&)>& wanted) {
  for (auto lane = state_.lanes.begin(); lane != state_.lanes.end();)
    lane = !lane->second.busy && wanted(lane->second) ? drop_lane(lane) : std::next(lane);
}

std::map<store::LaneKey, LaneState>::iterator Tick::drop_lane(std::map<store::LaneKey, LaneState>::iterator lane) {
  const auto no = lane->second.row.no;
  changes_.lanes_removed.push_back(no);
  state_.lanes_by_no.erase(no);
  --lane->second.tenant->lanes;
  return state_.lanes.erase(lane);
}

}  // namespace geres::hub::engine
