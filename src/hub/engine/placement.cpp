// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/placement.h"

#include <algorithm>
#include <functional>

namespace geres::hub::engine {
namespace {

bool contains(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool serves_type(const store::LaneKey& lane, const model::Host& host) {
  return host.types ? contains(*host.types, lane.type) : lane.packaged;
}

bool has_labels(const store::LaneKey& lane, const model::Host& host) {
  for (const auto& [name, value] : lane.requirements.labels) {
    auto found = host.labels.find(name);
    if (found == host.labels.end() || found->second != value) return false;
  }
  return true;
}

bool enough_memory(const store::LaneKey& lane, const model::Host& host, std::int64_t memory) {
  return host.memory == 0 || lane.requirements.memory <= memory;
}

double share_of_need(const store::LaneKey& lane, const model::Host& host, const Room& room) {
  const auto& need = lane.requirements;
  double share = need.slots > 0 ? std::clamp(double(room.free_slots) / need.slots, 0.0, 1.0) : 1.0;
  if (host.memory > 0 && need.memory > 0)
    share = std::min(share, std::clamp(double(room.free_memory) / double(need.memory), 0.0, 1.0));
  return share;
}

}  // namespace

std::optional<Nearness> nearness(const Claim& claim, bool starving, const HostView& view, const Room& room) {
  if (!view.alive || !view.well || room.held || claim.avoids(*view.host) || bar(*claim.key, *view.host) != Bar::none)
    return std::nullopt;
  bool has_room = hurdle(claim, *view.host, room) == Hurdle::none;
  bool own = claim.owns(room) && !room.mixed;
  if (claim.dedicated && !own) return Nearness{has_room, false, 0, -room.running};
  if (claim.dedicated && !starving && !has_room) return std::nullopt;  // it is theirs already
  if (!claim.dedicated && room.running > 0 && room.dedicated_to) return Nearness{false, false, -1, -room.running};
  return Nearness{has_room, own, share_of_need(*claim.key, *view.host, room), 0};
}

bool is_among(std::string_view name, std::string_view names) {
  for (std::size_t from = 0; from <= names.size();) {
    const auto to = std::min(names.find(' ', from), names.size());
    if (names.substr(from, to - from) == name) return true;
    from = to + 1;
  }
  return false;
}

Bar bar(const store::LaneKey& lane, const model::Host& host) {
  if (host.tenants && !contains(*host.tenants, lane.tenant)) return Bar::tenant;
  if (lane.packaged && !host.packages) return Bar::packages;
  if (!serves_type(lane, host)) return Bar::type;
  if (!has_labels(lane, host)) return Bar::labels;
  if (lane.requirements.slots > host.slots) return Bar::slots;
  if (!enough_memory(lane, host, host.memory)) return Bar::memory;
  if (host.mode != model::HostMode::run) return Bar::draining;
  return Bar::none;
}

model::Host host_like(const model::PoolTemplate& like) {
  model::Host host;
  host.slots = like.slots;
  host.memory = like.memory;
  host.labels = like.labels;
  host.types = like.types;
  host.tenants = like.tenants;
  return host;
}

bool Needs::operator==(const Needs& other) const {
  return tenant_matters == other.tenant_matters && key->type == other.key->type &&
         key->packaged == other.key->packaged && dedicated == other.dedicated && flag == other.flag &&
         (avoid != nullptr ? *avoid : "") == (other.avoid != nullptr ? *other.avoid : "") &&
         key->requirements == other.key->requirements && (!tenant_matters || key->tenant == other.key->tenant);
}

std::size_t NeedsHash::operator()(const Needs& needs) const {
  std::size_t hash = std::hash<std::string>{}(needs.key->type);
  auto mix = [&hash](std::size_t value) { hash = (hash ^ value) * 0x9E3779B97F4A7C15u; };
  mix(std::size_t(needs.key->requirements.slots));
  mix(std::size_t(needs.key->requirements.memory));
  mix(needs.dedicated ? *needs.dedicated + 1 : 0);
  mix(std::size_t(needs.key->packaged) + 2 * std::size_t(needs.flag));
  for (const auto& [name, value] : needs.key->requirements.labels) mix(std::hash<std::string>{}(value));
  if (needs.avoid != nullptr) mix(std::hash<std::string>{}(*needs.avoid));
  if (needs.tenant_matters) mix(std::hash<std::string>{}(needs.key->tenant));
  return hash;
}

Room room_of(const HostView& host) {
  Room room{host.free_slots, host.free_memory, host.running, host.dedicated_to, host.has_other_batches, false};
  if (room.running <= 0) room.dedicated_to.reset(), room.mixed = false;
  return room;
}

Hurdle hurdle(const Claim& claim, const model::Host& host, const Room& room) {
  if (claim.avoids(host)) return Hurdle::avoided;
  bool ours = claim.dedicated ? room.running <= 0 || (claim.owns(room) && !room.mixed)
                              : room.running <= 0 || !room.dedicated_to;
  if (!ours) return Hurdle::dedicated;
  if (room.held) return Hurdle::held;
  if (room.free_slots < claim.key->requirements.slots) return Hurdle::slots_busy;
  if (!enough_memory(*claim.key, host, room.free_memory)) return Hurdle::memory_busy;
  return Hurdle::none;
}

PlaceRank place_rank(bool packed, int free_slots, int slots) {
  const double share = double(free_slots) / std::max(1, slots);
  return {packed, packed ? share : -share};
}

bool has_done(const RecentWork& done, Work work) {
  return work != 0 && std::find(done.begin(), done.end(), work) != done.end();
}

Work work_of(const store::LaneKey& lane) {
  if (!lane.packaged) return 0;
  const auto mixed =
      (std::hash<std::string>{}(lane.tenant) * 0x9E3779B97F4A7C15u) ^ std::hash<std::string>{}(lane.type);
  return std::max<Work>(1, Work(mixed ^ (mixed >> 32)));
}

void occupy(const Claim& claim, Room& room) {
  room.free_slots -= claim.key->requirements.slots;
  room.free_memory -= claim.key->requirements.memory;
  ++room.running;
  if (claim.dedicated) room.dedicated_to = claim.dedicated;
}

std::optional<Index> host_to_hold(const Claim& claim, bool starving, std::span<const HostView> hosts,
                                  std::span<const Room> rooms) {
  std::optional<Index> best;
  std::optional<Nearness> best_nearness;
  for (Index i = 0; i < hosts.size(); ++i) {
    auto candidate = nearness(claim, starving, hosts[i], rooms[i]);
    if (!candidate || (best && !(*candidate > *best_nearness))) continue;
    best = i;
    best_nearness = candidate;
  }
  return best;
}

}  // namespace geres::hub::engine
