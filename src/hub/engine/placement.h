// SPDX-License-Identifier: Apache-2.0
// Whether one lane fits one host: what the scheduler asks when it places a job and when it explains why it did not.
// `bar` looks at what a host is, `hurdle` at what it does just now.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "hub/engine/scheduler.h"
#include "model/pool.h"

namespace geres::hub::engine {

// The first rule that rules a host out for good, in the order they are asked.
enum class Bar { none, tenant, packages, type, labels, slots, memory, draining };

Bar bar(const store::LaneKey& lane, const model::Host& host);

// A host as a pool would make it.
model::Host host_like(const model::PoolTemplate& like);

// Is `name` one of `names`, between which there are spaces?
bool is_among(std::string_view name, std::string_view names);

// What is left of a host while grants are made.
struct Room {
  int free_slots = 0;
  std::int64_t free_memory = 0;
  std::int64_t running = 0;
  std::optional<Index> dedicated_to;
  bool mixed = false;  // dedicated, but other batches' leases have not ended yet
  bool held = false;
};

Room room_of(const HostView& host);

// Works on a lane's behalf: the lane's needs and, where its batch is dedicated, which one.
struct Claim {
  const store::LaneKey* key = nullptr;
  std::optional<Index> dedicated;
  const std::string* avoid = nullptr;
  Work work = 0;

  bool avoids(const model::Host& host) const { return avoid != nullptr && is_among(host.name, *avoid); }
  bool owns(const Room& room) const { return room.running > 0 && dedicated && room.dedicated_to == dedicated; }
};

// All that decides where a lane finds a place: lanes of equal needs find one or none alike, and many have equal needs.
struct Needs {
  const store::LaneKey* key = nullptr;
  std::optional<Index> dedicated;
  bool tenant_matters = true;  // some host serves certain tenants only
  bool flag = false;           // whatever else the asker's question depends on
  const std::string* avoid = nullptr;

  bool operator==(const Needs& other) const;
};

struct NeedsHash {
  std::size_t operator()(const Needs& needs) const;
};

// The first thing that keeps a lane from a host that is not barred, in the order they are asked.
enum class Hurdle { none, avoided, dedicated, held, slots_busy, memory_busy };

Hurdle hurdle(const Claim& claim, const model::Host& host, const Room& room);

// Rule 9 of scheduler.h, but for what the host has done and for the list: the lesser goes first. Never changes its mind
// about two hosts as long as neither's free slots do.
struct PlaceRank {
  bool packed = false;
  double share = 0;  // free, of its slots; negative where the largest goes first
  auto operator<=>(const PlaceRank&) const = default;
};
PlaceRank place_rank(bool packed, int free_slots, int slots);

bool has_done(const RecentWork& done, Work work);

// Takes one job's needs out of a room.
void occupy(const Claim& claim, Room& room);

// How near a host is to having room; the greatest wins, in the first place that differs.
struct Nearness {
  bool has_room = false;
  bool own = false;
  double share = 0;  // of what the lane needs, at most 1; -1: dedicated to others, has to become empty
  std::int64_t leases_less = 0;
  auto operator<=>(const Nearness&) const = default;
};

// nullopt: not to be held.
std::optional<Nearness> nearness(const Claim& claim, bool starving, const HostView& view, const Room& room);

// The host to hold for a lane that found no place (rules 6 and 7): the one that is nearest to having room. A host that
// has room and only is not open comes first. Asked again with the same views it names the same host, and the one it
// names only gets nearer while it is held, so nothing has to be remembered between calls.
std::optional<Index> host_to_hold(const Claim& claim, bool starving, std::span<const HostView> hosts,
                                  std::span<const Room> rooms);

}  // namespace geres::hub::engine
