// SPDX-License-Identifier: Apache-2.0
// A lane's row is written when it is made; what waits in it is counted in memory and read from the store at a start.
#include "hub/engine/lanes.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace geres::hub::engine {

TenantState& Lanes::tenant(const std::string& name) {
  auto& tenant = state_.tenants[name];
  if (tenant.row.name.empty()) {
    tenant.row.name = name;
    store_.changes().tenants.push_back(tenant.row);
  }
  return tenant;
}

Result<void> Lanes::has_room(const std::string& tenant, const std::set<store::LaneKey>& wanted) const {
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
void Lanes::make_room(const TenantState& owner) {
  if (owner.lanes < std::size_t(options_.lanes_per_tenant_max)) return;
  drop_idle([&](const LaneState& lane) { return lane.tenant == &owner && lane.idle_since < now_.monotonic; });
}

Result<LaneState*> Lanes::lane(const store::LaneKey& key) {
  if (const auto found = state_.lanes.find(key); found != state_.lanes.end()) {
    found->second.idle_since = now_.monotonic;
    return &found->second;
  }
  if (auto room = has_room(key.tenant, {key}); !room) return room.error();
  auto& owner = tenant(key.tenant);
  make_room(owner);
  auto& lane = state_.lanes[key];
  lane.row = {++state_.last_lane, key};
  lane.tenant = &owner;
  lane.batch = &state_.batches.at(key.batch);
  lane.idle_since = now_.monotonic;
  lane.work = work_of(key);
  ++owner.lanes;
  state_.lanes_by_no[lane.row.no] = &lane;
  store_.changes().lanes.push_back(lane.row);
  return &lane;
}

// ---- what waits in them ---------------------------------------------------------------------------------------------

void Lanes::note_use(LaneState& lane) {
  const bool busy = lane.ready > 0 || lane.leases > 0;
  if (busy == lane.busy) return;
  lane.busy = busy;
  lane.idle_since = now_.monotonic;
  busy ? ++lane.tenant->busy_lanes : --lane.tenant->busy_lanes;
}

void Lanes::gained(LaneState& lane, const store::ReadyRow& row) {
  state_.set_ready(lane, lane.ready + 1);
  note_use(lane);
  round_.newcomers |= lane.ready == 1 && !lane.tenant->place.contended;
  if (lane.ready == 1)
    lane.one_priority = row.priority;
  else if (lane.one_priority != row.priority)
    lane.one_priority.reset();
  // An unknown head stays unknown until the scheduler looks it up.
  if (lane.ready == 1 || (lane.head && row < *lane.head)) lane.head = row;
}

void Lanes::lost(LaneState& lane, const store::ReadyRow& row) {
  if (lane.ready == 0) return;  // its row was not there
  state_.set_ready(lane, lane.ready - 1);
  note_use(lane);
  if (lane.ready == 0 || lane.head == row) lane.head.reset();
}

// Written when the mean has changed enough to matter, and each time that twice as many are known of.
void Lanes::learn_duration(LaneState& lane, Millis took) {
  auto& known = lane.row.duration;
  known.add(took);
  lane.tenant->duration.add(took);
  const bool twice_as_many = std::has_single_bit(std::uint64_t(known.ends));
  if (!twice_as_many && std::abs(known.ms - lane.duration_written) <= lane.duration_written / 10) return;
  lane.duration_written = known.ms;
  store_.changes().lane_durations.push_back({lane.row.no, known});
}

// ---- forgetting them ------------------------------------------------------------------------------------------------

void Lanes::drop_idle(const std::function<bool(const LaneState&)>& wanted) {
  for (auto lane = state_.lanes.begin(); lane != state_.lanes.end();)
    lane = !lane->second.busy && wanted(lane->second) ? drop(lane) : std::next(lane);
}

void Lanes::drop_of(Uuid batch) {
  for (auto lane = state_.lanes.lower_bound({.batch = batch});
       lane != state_.lanes.end() && lane->first.batch == batch;)
    lane = drop(lane);
}

Lanes::Place Lanes::drop(Place lane) {
  const auto no = lane->second.row.no;
  store_.changes().lanes_removed.push_back(no);
  state_.lanes_by_no.erase(no);
  state_.board.forget(lane->second);
  --lane->second.tenant->lanes;
  return state_.lanes.erase(lane);
}

}  // namespace geres::hub::engine
