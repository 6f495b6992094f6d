// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/board_hosts.h"

#include <algorithm>

#include "hub/engine/board_lanes.h"
#include "hub/engine/desk.h"
#include "hub/engine/state.h"

namespace geres::hub::engine {

bool Earlier::operator()(const HostState* a, const HostState* b) const {
  if (a->place.rank != b->place.rank) return a->place.rank < b->place.rank;
  return a->row.id < b->row.id;
}

bool Earlier::operator()(const HostState* a, const PlaceRank& b) const {
  return a->place.rank < b;
}

bool is_packed(const State& state, const model::Host& host) {
  if (host.instance.empty()) return false;
  const auto found = state.pools.find(host.pool);
  if (found == state.pools.end()) return false;
  const auto& [acts, like, provider, policy, limits] = found->second.row.settings;
  return acts && limits.minimum < limits.maximum && limits.idle_time != model::PoolLimits::kNever;
}

bool ById::operator()(const HostState* a, const HostState* b) const {
  return a->row.id < b->row.id;
}

HostView view_of(const HostState& host, const State& state, const Desk& desk, Millis now,
                 const std::function<Index(BatchState&)>& number) {
  HostView view;
  view.host = &host.row;
  view.alive = !host.lost;
  const auto fetch = desk.fetches.find(host.row.id);
  view.open = fetch != desk.fetches.end() && fetch->second.call.fetch_id == host.fetch_id &&
              fetch->second.call.slots > 0 && host.row.mode == model::HostMode::run && !host.lost &&
              !host.let_a_lease_run_out && !host.fetch_heard;
  // One that has just rested is tried with one job, and with the next when that has started.
  view.well = host.health.grants(now);
  view.on_trial = host.health.on_trial(now);
  if (view.on_trial && std::any_of(host.leases.begin(), host.leases.end(),
                                   [&](auto seq) { return !state.leases.at(seq).row.started_at; }))
    view.well = false;
  view.free_slots = host.row.slots - host.slots_used;
  if (view.open) view.free_slots = std::min(view.free_slots, fetch->second.call.slots);
  view.free_memory = host.row.memory - host.memory_used;
  view.running = std::int64_t(host.leases.size());
  view.packed = is_packed(state, host.row);
  view.has_done = host.has_done;
  for (const auto seq : host.leases) {
    auto& batch = *state.leases.at(seq).lane->batch;
    const bool first = batch.row.dedicated && !view.dedicated_to;
    if (first) view.dedicated_to = number(batch);
    if (!batch.row.dedicated || (!first && number(batch) != view.dedicated_to)) view.has_other_batches = true;
  }
  return view;
}

void HostBoard::touch(HostState& host) {
  if (!std::exchange(host.place.touched, true)) touched_.push_back(&host);
}

void HostBoard::forget(HostState& host) {
  if (host.place.touched) std::erase(touched_, &host);
  unwell_.erase(&host);
  leave_kind(host);
}

void HostBoard::catch_up(const State& state, const Desk& desk, Millis now) {
  for (auto* host : unwell_) touch(*host);
  for (auto* host : std::exchange(touched_, {})) refresh(*host, state, desk, now);
}

void HostBoard::refresh(HostState& host, const State& state, const Desk& desk, Millis now) {
  auto& place = host.place;
  place.touched = false;
  set_open(host, false);
  find_kind(host, is_packed(state, host.row));
  set_alive(host, !host.lost);
  if (host.health.state() != model::Health::well)
    unwell_.insert(&host);
  else
    unwell_.erase(&host);
  place.view = view_of(host, state, desk, now, LaneBoard::number);
  place.room = room_of(place.view);
  const auto& view = place.view;
  place.rank = place_rank(view.packed, place.room.free_slots, host.row.slots);
  if (!view.open || !view.well || view.free_slots <= 0) return;
  set_open(host, true);
  lanes_.has_room(host);
}

HostBoard::Key HostBoard::key_of(const model::Host& host, bool packed) {
  return {host.tenants, host.types, host.labels, host.packages, host.slots, host.memory, host.mode, packed};
}

void HostBoard::find_kind(HostState& host, bool packed) {
  auto& place = host.place;
  // Of a host's row only the mode changes.
  if (place.kind != nullptr && place.kind->like.mode == host.row.mode && place.kind->packed == packed) return;
  leave_kind(host);
  const auto [found, added] = kinds_.try_emplace(key_of(host.row, packed));
  place.kind = &found->second;
  place.kind->packed = packed;
  place.kind->hosts.insert(&host);
  if (!added) return;
  place.kind->like = host.row;
  lanes_.kind_added(*place.kind);
}

void HostBoard::leave_kind(HostState& host) {
  auto& place = host.place;
  if (place.kind == nullptr) return;
  set_open(host, false);
  set_alive(host, false);
  auto& kind = *std::exchange(place.kind, nullptr);
  kind.hosts.erase(&host);
  if (!kind.hosts.empty()) return;
  lanes_.kind_removed(kind);
  kinds_.erase(key_of(kind.like, kind.packed));
}

void HostBoard::set_alive(HostState& host, bool alive) {
  if (std::exchange(host.place.alive, alive) == alive) return;
  auto& kind = *host.place.kind;
  alive ? ++kind.alive : --kind.alive;
  if (kind.alive == std::size_t(alive)) lanes_.kind_has_hosts(kind, alive);
}

void HostBoard::set_open(HostState& host, bool open) {
  if (std::exchange(host.place.open, open) == open) return;
  auto& kind = *host.place.kind;
  open ? static_cast<void>(kind.open.insert(&host)) : static_cast<void>(kind.open.erase(&host));
  for (const auto work : host.place.view.has_done) {
    if (work == 0) break;
    if (open) {
      kind.have_done[work].insert(&host);
      continue;
    }
    const auto others = kind.have_done.find(work);
    others->second.erase(&host);
    if (others->second.empty()) kind.have_done.erase(others);
  }
  open ? ++open_ : --open_;
}

void HostBoard::occupy(HostState& host, const Claim& claim) {
  auto& place = host.place;
  set_open(host, false);
  engine::occupy(claim, place.room);
  place.rank = place_rank(place.view.packed, place.room.free_slots, host.row.slots);
  set_open(host, place.room.free_slots > 0 && !place.view.on_trial);
  touch(host);
}

void HostBoard::hold(HostState& host) {
  set_open(host, false);
  host.place.room.held = true;
  touch(host);
}

}  // namespace geres::hub::engine
