// SPDX-License-Identifier: Apache-2.0
// Who runs next, and where: a pure function of lanes and offers. The rules, in order:
//
//   1. Lower rank first, over all tenants: an operator's batch ranks by its priority, all others by the same number. A
//      lane that cannot be placed blocks no other.
//   2. Within a rank, the tenant with the least virtual time: slot time so far / weight, each job that runs taken for
//      as long as it is expected to (account.h). Between equals the one that uses fewer slots / weight, then by name.
//   3. Within a tenant, lower batch priority first, then the lane with the better head: job priority, then age.
//   4. Limits are exact and count leases: batch and tenant max_running, a host's slots and memory.
//   5. A host runs a lane when its labels, tenants and types fit. A packaged lane needs a host that runs packages; a
//      lane without package one that names the type (an application's own worker).
//   6. A dedicated batch's jobs run on hosts that run nothing else meanwhile. It takes an empty host; where there is
//      none, one fitting host is held for it, and gets no other job until it is empty. It gives a host back when it
//      has nothing ready for it. A host that is dedicated to another batch may be held too: that is how two dedicated
//      batches take turns on one host.
//   7. A lane that has waited long for more slots or memory than any host has free (`starving`) may hold one host:
//      lanes after it get nothing there until it fits. It holds a host dedicated to others only where it has no better.
//   8. A host that is not well gets nothing, one that is tried anew one job. A lane whose jobs a host has given back
//      or lost avoids that host while another one that is well fits.
//   9. Among hosts that fit, those first that stay, the one with the largest free share; then those that may go when
//      they are not needed (`packed`), the one with the smallest, so that others become empty. Of equals one that has
//      done such work lately (`has_done`), for it has its package; then the first in the list. A dedicated batch fills
//      the hosts it has before it takes another.
//
// A hold lasts for one call and is found anew by the next, from the views alone: the host nearest to having room is
// chosen, which a hold only brings nearer. Only lanes after the holder are kept away, so a better lane that comes
// later still gets the host.
//
// The same rules explain: why() says what holds one lane back.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hub/engine/account.h"
#include "hub/store/rows.h"
#include "model/batch.h"

namespace geres::hub::engine {

using Index = std::size_t;

struct TenantView {
  std::string name;
  double weight = 1;
  int max_running = 0;       // 0: no limit
  std::int64_t running = 0;  // leases
  std::int64_t slots = 0;    // slots those leases use
  SlotTime slot_time = 0;    // charged to it so far
};

struct BatchView {
  std::string name;
  std::int64_t rank = 500;      // over all tenants
  std::int64_t priority = 500;  // within a tenant
  bool dedicated = false;
  int max_running = 0;
  std::int64_t running = 0;
  bool stopped = false;  // paused or cancelled: starts nothing
};

// What a host has at hand once it has done it: which package, near enough. Two that share a number do no harm. 0: none.
using Work = std::uint32_t;
Work work_of(const store::LaneKey& lane);
using RecentWork = std::array<Work, 8>;  // the newest first

struct LaneView {
  const store::LaneKey* key = nullptr;
  Index tenant = 0;
  Index batch = 0;
  std::int64_t ready = 0;
  Millis expected = 1;    // so long a job of it holds its slots
  store::ReadyRow head;   // valid while ready > 0
  bool starving = false;  // rule 7: the head has waited long, for whatever reason; used only where it finds no place
  const std::string* avoid = nullptr;  // rule 8: names of hosts, a space between
  Work work = 0;
  Millis expected_p90 = 1;  // nine in ten take no longer
  std::int64_t ends = 0;    // how many are known of
};

// A live host. One whose fetch is open with free slots is an offer; the others matter for why() and for rule 6.
struct HostView {
  const model::Host* host = nullptr;
  bool open = false;  // may be granted to now
  bool alive = true;
  int free_slots = 0;
  std::int64_t free_memory = 0;       // bytes; ignored where host->memory is 0
  std::int64_t running = 0;           // leases
  std::optional<Index> dedicated_to;  // batch whose dedicated jobs run here (rule 6), kept while one runs
  bool has_other_batches = false;     // of the leases here, some are not of `dedicated_to`
  bool well = true;                   // rule 8
  bool on_trial = false;              // likewise
  bool packed = false;                // rule 9
  RecentWork has_done{};              // likewise
};

// The i-th ready row of a lane (0 is the head), as asked for; nullopt when there are fewer.
using Peek = std::function<std::optional<store::ReadyRow>(Index lane, std::size_t i)>;

struct Grant {
  Index lane = 0;
  Index host = 0;
  bool operator==(const Grant&) const = default;
};

struct Held {  // a host that gets nothing else meanwhile: rules 6 and 7
  Index host = 0;
  Index lane = 0;
};

struct Schedule {
  std::vector<Grant> grants;  // in order; the k-th grant of a lane is its k-th ready row
  std::vector<Held> held;     // those made before the last open host was full or `max` was reached
};

// At most `max` grants. O(lanes + tenants + hosts + grants × (log tenants + open hosts)). `peek` is asked only where a
// tenant has several lanes of one rank left, and only for rows after the head.
Schedule schedule(std::span<const TenantView> tenants, std::span<const BatchView> batches,
                  std::span<const LaneView> lanes, std::span<const HostView> hosts, const Peek& peek, std::size_t max);

// Rule 2, but for the name.
struct Standing {
  double virtual_time = 0;
  double use = 0;  // slots / weight
  auto operator<=>(const Standing&) const = default;
};
Standing standing_of(const TenantView& tenant);

// One thing that holds a lane back, in words for people and a stable code for tools. Names only what the lane's own
// tenant may know: no other tenant, no other batch.
struct Hindrance {
  std::string code;        // batchPaused batchLimit tenantLimit noHosts labels tenantNotServed typeNotServed packages
                           // slotsTooFew memoryTooFew slotsBusy memoryBusy dedicated held draining hostsUnfit avoided
                           // priority share queue; noPool: see demand.h
  std::string message;     // "2 of 3 hosts lack label gpu=a100"
  std::int64_t hosts = 0;  // how many hosts it rules out, where it is about hosts
};

// What holds `lane` back now, the nearest cause first; empty: it is served as soon as a host with room for it asks.
// Hosts are counted once, under the first rule that rules them out, and not at all while one of them has room.
// Priority, share and queue mean that lanes come first which want the same hosts.
std::vector<Hindrance> why(std::span<const TenantView> tenants, std::span<const BatchView> batches,
                           std::span<const LaneView> lanes, std::span<const HostView> hosts, Index lane);

}  // namespace geres::hub::engine
