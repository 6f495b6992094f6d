// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/pool_load.h"

#include <algorithm>

#include "hub/engine/placement.h"

namespace geres::hub::engine {

namespace {

constexpr Millis kPause = 10'000;

PoolState* first_that_fits(State& state, const LaneState& lane) {
  PoolState* best = nullptr;
  for (auto& [name, pool] : state.pools) {
    if (pool.row.removing || bar(lane.row.key, host_like(pool.row.settings.like)) != Bar::none) continue;
    if (best == nullptr || pool.row.settings.limits.cost < best->row.settings.limits.cost) best = &pool;
  }
  return best;
}

}  // namespace

PoolState* pool_of(State& state, LaneState& lane) {
  if (state.pools.empty()) return nullptr;
  if (lane.pool_as_of != state.pools_version) {
    lane.pool = first_that_fits(state, lane);
    lane.pool_as_of = state.pools_version;
  }
  return lane.pool;
}

void pools_changed(State& state) {
  ++state.pools_version;
}

void note_arrival(State& state, LaneState& lane, Millis monotonic) {
  if (auto* pool = pool_of(state, lane)) {
    pool->arrivals.add(1, monotonic);
    ++pool->arrived;
  }
}

void sample_load(Round& round) {
  auto& state = round.state;
  if (state.pools.empty() || round.now.monotonic < state.next_load_sample) return;
  state.next_load_sample = round.now.monotonic + kPause;
  std::map<std::string, store::LoadSample> samples;
  for (const auto& [name, pool] : state.pools) samples[name].arrived = pool.arrived;
  for (auto* lane : state.waiting) {
    const auto* pool = pool_of(state, *lane);
    if (pool == nullptr) continue;
    auto& sample = samples[pool->row.name];
    sample.ready += lane->ready;
    sample.ready_slots += lane->ready * lane->row.key.requirements.slots;
  }
  for (const auto& [id, host] : state.hosts) {
    const auto found = samples.find(host.row.pool);
    if (found == samples.end()) continue;
    found->second.running += std::int64_t(host.leases.size());
    found->second.running_slots += host.slots_used;
    found->second.hosts += !host.lost && host.row.mode == model::HostMode::run;
  }
  for (const auto& [key, machine] : state.machines)
    if (machine.state == model::MachineState::ordered || machine.state == model::MachineState::booting)
      if (const auto found = samples.find(key.first); found != samples.end()) ++found->second.booting;
  for (auto& [name, sample] : samples) {
    auto& pool = state.pools.at(name);
    pool.arrived = 0;
    sample.pool = name;
    sample.at = pool.sampled.at;
    if (sample == pool.sampled) continue;  // a fleet at rest costs no sync
    sample.at = round.now.wall;
    pool.sampled = sample;
    round.store.changes().load_samples.push_back(sample);
  }
}

}  // namespace geres::hub::engine
