// SPDX-License-Identifier: Apache-2.0
// Everything that is in memory stands in the store, but for what was seen of hosts and what tenants have spent.
#include "hub/engine/load.h"

#include <algorithm>

#include "hub/store/with_jobs.h"

namespace geres::hub::engine {

using model::JobState;
using store::Seq;

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
    state.set_ready(lane, row.ready);
    lane.head = row.head;
    if (row.one_priority) lane.one_priority = row.head->priority;
    lane.idle_since = now.monotonic;
    lane.work = work_of(lane.row.key);
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
    if (row.enrolment) state.enrolled_hosts[row.enrolment] = row.id;
    host.row = std::move(row);
  }
  for (auto& token : image.join_tokens) state.join_tokens[token.id] = std::move(token);
  for (auto& enrolment : image.enrolments) {
    state.enrolled_names[{enrolment.name, enrolment.tenants}] = enrolment.id;
    state.enrolments[enrolment.id] = std::move(enrolment);
  }
  for (auto& drain : image.host_drains) {
    if (drain.tenants) std::sort(drain.tenants->begin(), drain.tenants->end());
    state.host_drains[{drain.name, drain.tenants}] = drain.at;
  }
  for (auto& [id, host] : state.hosts) {
    host.idle_since = now.wall;
    if (!host.row.instance.empty()) state.machine_hosts[{host.row.pool, host.row.instance}].insert(id);
  }
  std::map<Uuid, Millis> newest_grant;
  // Every lease gets its full time again: while no hub lived, nobody could renew one.
  for (auto& row : image.leases) {
    const Seq seq = row.lease.job.seq();
    auto& lease = state.leases[seq];
    lease.row = std::move(row.lease);
    *lease.job = std::move(row.job);
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
      host->second.does(lease.lane->work);
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

void load_pools(State& state, store::Image& image, store::Store& store, const Now& now) {
  for (auto& row : image.pools) {
    const auto name = row.name;
    state.pools[name].row = std::move(row);
  }
  for (auto& [name, pool] : state.pools)
    if (const auto last = store.last_decision(name)) pool.trouble.note(last->outcome, last->times);
  for (auto& row : image.machines) state.machines.emplace(State::MachineKey(row.pool, row.instance), std::move(row));
  for (const auto& row : image.intents)
    if (const auto pool = state.pools.find(row.pool); pool != state.pools.end())
      pool->second.open_intents.insert(row.request);
  state.scaler = image.scaler;
  state.scaler_until = now.monotonic + kScalerLease;
  state.last_decision = image.last_decision;
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
  load_pools(*state, image, store, now);
  for (auto& [name, tenant] : state->tenants) state->board.touch(tenant);
  for (auto& [id, batch] : state->batches) state->board.touch(batch);
  for (auto& [id, host] : state->hosts) state->board.touch(host);
  state->next_due_engine = store.next_due(false);
  state->next_due_wall = store.next_due(true);
  state->next_queue_deadline = store.next_deadline();
  return state;
}

}  // namespace geres::hub::engine
