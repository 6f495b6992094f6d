// SPDX-License-Identifier: Apache-2.0
// What all verbs share: moving a job from state to state, its place in the hot tables, counters, events; and how the
// state is built from the store.
#include "hub/engine/tick.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace geres::hub::engine {

using model::JobState;
using store::ReadyRow;
using store::Seq;

bool Caller::sees(const std::string& tenant) const {
  return all_tenants || std::find(tenants.begin(), tenants.end(), tenant) != tenants.end();
}

namespace {

constexpr JobState kLiveStates[] = {JobState::scheduled, JobState::blocked, JobState::ready, JobState::leased,
                                    JobState::running};

std::int64_t live_jobs(const model::StateCounts& counts) {
  std::int64_t live = 0;
  for (const auto state : kLiveStates) live += counts[std::size_t(state)];
  return live;
}

model::Batch default_batch() {
  model::Batch batch;
  batch.id = model::kDefaultBatch;
  batch.name = "batch0";
  batch.priority = model::kDefaultBatchPriority;
  return batch;
}

void load_catalogue(State& state, store::Image& image) {
  for (auto& row : image.tenants) {
    const std::string name = row.name;
    state.tenants[name].row = std::move(row);
  }
  state.batches[model::kDefaultBatch].row = default_batch();
  for (auto& row : image.batches) {
    if (row.id != model::kDefaultBatch) state.batch_names[{row.tenant, row.name}] = row.id;
    state.batches[row.id].row = std::move(row);
  }
  state.batch_names[{"", "batch0"}] = model::kDefaultBatch;
  for (const auto& row : image.counts) {
    auto& batch = state.batches[row.batch];
    batch.counts[row.tenant] = row.counts;
    batch.live += live_jobs(row.counts);
    auto& tenant = state.tenants[row.tenant];
    tenant.row.name = row.tenant;
    tenant.live += live_jobs(row.counts);
  }
  for (auto& [id, batch] : state.batches)
    batch.completed = batch.row.state != model::BatchState::open && batch.live == 0;
  for (auto& row : image.packages) state.packages[{row.tenant, row.name}].push_back(std::move(row));
  for (auto& [name, versions] : state.packages)
    std::sort(versions.begin(), versions.end(), [](const auto& a, const auto& b) { return a.version < b.version; });
  for (auto& row : image.webhooks) {
    if (row.for_jobs && !row.removed) state.job_webhooks[row.tenant] = row.id;
    state.webhooks.emplace(row.id, std::move(row));
  }
  for (auto& row : image.operations) state.operations.emplace(row.id, std::move(row));
}

void load_lanes(State& state, store::Image& image, const Now& now) {
  for (auto& row : image.lanes) {
    auto& lane = state.lanes[row.lane.key];
    lane.row = std::move(row.lane);
    lane.ready = row.ready;
    lane.head = row.head;
    lane.idle_since = now.monotonic;
    lane.busy = lane.ready > 0;
    lane.tenant = &state.tenants[lane.row.key.tenant];
    lane.tenant->row.name = lane.row.key.tenant;
    ++lane.tenant->lanes;
    lane.tenant->busy_lanes += lane.busy;
    lane.batch = &state.batches[lane.row.key.batch];
    state.lanes_by_no[lane.row.no] = &lane;
  }
}

void load_hosts(State& state, store::Image& image, const Now& now) {
  for (auto& row : image.hosts) {
    auto& host = state.hosts[row.id];
    host.last_seen = host.last_took = now.monotonic;
    host.last_seen_wall = now.wall;
    host.just_registered = false;
    if (row.tenants) std::sort(row.tenants->begin(), row.tenants->end());
    state.host_names[{row.name, row.tenants}] = row.id;
    host.row = std::move(row);
  }
  std::map<Uuid, Millis> newest_grant;
  // Every lease gets its full time again: while no hub lived, nobody could renew one.
  for (auto& row : image.leases) {
    const Seq seq = row.lease.job.seq();
    auto& lease = state.leases[seq];
    lease.row = std::move(row.lease);
    lease.job = std::move(row.job);
    lease.deadline = now.lease + lease.row.ttl;
    lease.lane = state.lanes_by_no.at(lease.row.lane);
    const int slots = lease.lane->row.key.requirements.slots;
    ++lease.lane->leases;
    if (!std::exchange(lease.lane->busy, true)) ++lease.lane->tenant->busy_lanes;
    ++lease.lane->tenant->running;
    lease.lane->tenant->slots += slots;
    ++lease.lane->batch->running;
    state.deadlines.emplace(lease.deadline, lease.row.name);
    if (const auto host = state.hosts.find(lease.row.host); host != state.hosts.end()) {
      host->second.leases.insert(seq);
      host->second.slots_used += slots;
      host->second.memory_used += lease.lane->row.key.requirements.memory;
      // The newest answer may not have arrived: a repeat of its fetch gets it again.
      auto& newest = newest_grant[lease.row.host];
      if (lease.row.granted_at >= newest) {
        newest = lease.row.granted_at;
        host->second.fetch_id = lease.row.fetch_id;
      }
      if (lease.row.cancel_requested_at) state.news.insert(lease.row.host);
    }
  }
}

}  // namespace

std::unique_ptr<State> load_state(store::Store& store, const Now& now, IdSource& ids) {
  auto image = store.load();
  auto state = std::make_unique<State>();
  state->log = image.log;
  state->tick = image.tick;
  state->last_event = image.last_event;
  state->newest_time = image.last_event_at > 0 ? image.last_event_at : Millis(image.last_id >> 16);
  state->last_lane = image.last_lane;
  ids.start_after(image.last_id);
  load_catalogue(*state, image);
  load_lanes(*state, image, now);
  load_hosts(*state, image, now);
  state->next_due_engine = store.next_due(false);
  state->next_due_wall = store.next_due(true);
  state->next_queue_deadline = store.next_deadline();
  return state;
}

// ---- looking things up ----------------------------------------------------------------------------------------------

std::optional<model::Job> Tick::visible_job(const Caller& caller, Uuid id) {
  flush();
  auto job = std::move(store_.jobs(std::span(&id, 1)).front());
  if (job && !caller.sees(job->spec.tenant)) return std::nullopt;
  return job;
}

LeaseState* Tick::current_lease(Uuid name) {
  const auto found = state_.leases.find(name.seq());
  return found != state_.leases.end() && found->second.row.name == name ? &found->second : nullptr;
}

TenantState& Tick::tenant(const std::string& name) {
  auto& tenant = state_.tenants[name];
  if (tenant.row.name.empty()) {
    tenant.row.name = name;
    changes_.tenants.push_back(tenant.row);
  }
  return tenant;
}

// Whether these lanes of one tenant may all be there. Those in which nothing waits or runs do not count.
Result<void> Tick::has_room(const std::string& tenant, const std::set<store::LaneKey>& wanted) const {
  const auto found = state_.tenants.find(tenant);
  if (found == state_.tenants.end()) return {};
  const auto busy = found->second.busy_lanes;
  const auto more = std::size_t(std::count_if(wanted.begin(), wanted.end(), [&](const auto& key) {
    const auto lane = state_.lanes.find(key);
    return lane == state_.lanes.end() || !lane->second.busy;
  }));
  if (busy + more <= std::size_t(options_.lanes_per_tenant_max)) return {};
  return fail(
      Code::tooManyLanes,
      fmt::format("tenant {} has jobs with {} different combinations of batch, type and requirements", tenant, busy),
      "/requires", "use fewer batches, types or labels at a time");
}

// Idle ones give way, but for those that became so or were asked for in this tick: somebody is about to use them.
void Tick::make_room(const TenantState& owner, std::size_t lanes) {
  if (owner.lanes + lanes <= std::size_t(options_.lanes_per_tenant_max)) return;
  drop_lanes([&](const LaneState& lane) { return lane.tenant == &owner && lane.idle_since < now_.monotonic; });
}

Result<LaneState*> Tick::lane(const store::LaneKey& key) {
  if (const auto found = state_.lanes.find(key); found != state_.lanes.end()) {
    found->second.idle_since = now_.monotonic;
    return &found->second;
  }
  if (auto room = has_room(key.tenant, {key}); !room) return room.error();
  auto& owner = tenant(key.tenant);
  make_room(owner, 1);
  auto& lane = state_.lanes[key];
  lane.row = {++state_.last_lane, key};
  lane.tenant = &owner;
  lane.batch = &state_.batches.at(key.batch);
  lane.idle_since = now_.monotonic;
  ++owner.lanes;
  state_.lanes_by_no[lane.row.no] = &lane;
  changes_.lanes.push_back(lane.row);
  return &lane;
}

// Where there is no room for one more lane the job avoids nobody.
Result<LaneState*> Tick::lane_of(model::Job& job) {
  auto where = lane(store::lane_key(job));
  if (where || job.status.trouble.avoid.empty()) return where;
  job.status.trouble.avoid.clear();
  return lane(store::lane_key(job));
}

namespace {

// Where the trigger leads from any state.
JobState usual_end(model::Trigger trigger) {
  for (const auto& move : model::transitions())
    if (move.trigger == trigger) return move.to;
  return JobState::ready;
}

}  // namespace

// ---- moving jobs ----------------------------------------------------------------------------------------------------

void Tick::count(BatchState& batch, const std::string& tenant, JobState state, std::int64_t by) {
  batch.counts[tenant][std::size_t(state)] += by;
  deltas_[{batch.row.id, tenant}][std::size_t(state)] += by;
}

void Tick::count_dead_letter(const model::Job& job, std::int64_t by) {
  changes_.dead_letters.push_back({job.spec.tenant, job.status.reason, by});
}

void Tick::move(model::Job& job, model::Trigger trigger) {
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
  --tenant(job.spec.tenant).live;
  observed.push_back({.what = Observed::What::job_ended, .state = *to, .reason = job.status.reason});
  if (*to == JobState::finished) ++stats_.jobs_finished;
  if (*to == JobState::failed) ++stats_.jobs_failed, count_dead_letter(job, +1);
  if (*to == JobState::cancelled) ++stats_.jobs_cancelled;
}

void Tick::update(const model::Job& job) {
  changes_.updates.push_back({job.id, job.status});
}

// To be called when a lane's ready jobs or leases have become more or fewer.
void Tick::note_use(LaneState& lane) {
  const bool busy = lane.ready > 0 || lane.leases > 0;
  if (busy == lane.busy) return;
  lane.busy = busy;
  lane.idle_since = now_.monotonic;
  busy ? ++lane.tenant->busy_lanes : --lane.tenant->busy_lanes;
}

void Tick::lane_gained(LaneState& lane, const ReadyRow& row) {
  ++lane.ready;
  note_use(lane);
  newcomers_ |= lane.ready == 1 && lane.tenant->contended_in != state_.pass;
  // An unknown head stays unknown until grant() looks it up.
  if (lane.ready == 1 || (lane.head && row < *lane.head)) lane.head = row;
}

void Tick::lane_lost(LaneState& lane, const ReadyRow& row) {
  if (lane.ready == 0) return;  // its row was not there
  --lane.ready;
  note_use(lane);
  if (lane.ready == 0 || lane.head == row) lane.head.reset();
}

void Tick::make_ready(model::Job& job, LaneState& lane) {
  const ReadyRow row{lane.row.no, job.spec.priority, job.id.seq()};
  changes_.ready.push_back(row);
  lane_gained(lane, row);
  if (job.spec.queue_timeout > 0) {
    const Millis due = now_.engine + job.spec.queue_timeout;
    changes_.deadlines.push_back({job.id.seq(), due});
    if (!state_.next_queue_deadline || due < *state_.next_queue_deadline) state_.next_queue_deadline = due;
  }
}

void Tick::make_scheduled(const model::Job& job, Millis due, bool by_wall, Millis duration) {
  changes_.scheduled.push_back({job.id.seq(), due, by_wall, duration});
  auto& next = by_wall ? state_.next_due_wall : state_.next_due_engine;
  if (!next || due < *next) next = due;
}

void Tick::take_out(const model::Job& job) {
  if (job.status.state == JobState::scheduled) {
    changes_.scheduled_removed.push_back(job.id.seq());
    return;
  }
  if (const auto lane = state_.lanes.find(store::lane_key(job)); lane != state_.lanes.end()) {
    const ReadyRow row{lane->second.row.no, job.spec.priority, job.id.seq()};
    changes_.ready_removed.push_back(row);
    lane_lost(lane->second, row);
  } else {
    log::error("job {} is ready, but waits in no lane", job.id.str());
  }
  if (job.spec.queue_timeout > 0) changes_.deadlines_removed.push_back(job.id.seq());
}

// ---- events ---------------------------------------------------------------------------------------------------------

void Tick::emit(store::EventType type, const model::Job& job, std::string extra) {
  store::EventRow event;
  event.no = ++state_.last_event;
  event.type = type;
  event.subject = job.id;
  event.tenant = job.spec.tenant;
  event.batch = job.spec.batch;
  event.at = now_.wall;
  event.data = fmt::format(R"({{"state":"{}","version":{},"attempt":{}{}{}}})", model::state_name(job.status.state),
                           job.status.version, job.status.attempt, extra.empty() ? "" : ",", extra);
  changes_.events.push_back(event);
  if (!job.spec.webhook.url.empty()) deliver(job, event);
  events.push_back(std::move(event));
}

void Tick::emit(store::EventType type, Uuid subject, const std::string& tenant, std::string data) {
  store::EventRow event;
  event.no = ++state_.last_event;
  event.type = type;
  event.subject = subject;
  event.tenant = tenant;
  event.at = now_.wall;
  event.data = std::move(data);
  changes_.events.push_back(event);
  events.push_back(std::move(event));
}

void Tick::emit_if_completed(BatchState& batch) {
  if (batch.completed || batch.row.state == model::BatchState::open || batch.live > 0) return;
  batch.completed = true;
  emit(store::EventType::batch_completed, batch.row.id, batch.row.tenant,
       fmt::format(R"({{"name":"{}"}})", batch.row.name));
}

// ---- writing --------------------------------------------------------------------------------------------------------

void Tick::flush() {
  flushed_ += changes_.size();  // the counters below are of rows that are counted already
  for (const auto& [key, counts] : deltas_)
    for (std::size_t i = 0; i < counts.size(); ++i)
      if (counts[i] != 0) changes_.counts.push_back({key.first, key.second, JobState(i), counts[i]});
  deltas_.clear();
  if (changes_.empty()) return;
  wrote_ = true;
  store_.apply(changes_);
  changes_.clear();
}

}  // namespace geres::hub::engine
