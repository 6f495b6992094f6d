// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/charging.h"

#include <algorithm>
#include <cmath>

namespace geres::hub::engine {

namespace {

void expect_end(State& state, const LeaseState& lease) {
  state.overruns.emplace(lease.charge.begun + lease.charge.expected, lease.row.job.seq(), lease.row.name);
}

TenantState* counterpart(State& state, const TenantState* tenant) {
  if (tenant == nullptr) return nullptr;
  const auto found = state.tenants.find(tenant->row.name);
  return found != state.tenants.end() ? &found->second : nullptr;
}

// The new state's accounts become those of the one before, with the leases that there are now.
void take_over(State& state, State& before, Millis now, Millis guess) {
  for (auto& [seq, old] : before.leases) {
    const auto found = state.leases.find(seq);
    if (found == state.leases.end() || found->second.row.name != old.row.name)
      settle_charge(old, now);
    else
      found->second.charge = old.charge;
  }
  for (auto& [id, old] : before.hosts) {
    const auto found = state.hosts.find(id);
    auto* payer = counterpart(state, old.payer);
    if (found == state.hosts.end() || payer == nullptr) {
      forget_charges(old, now);
    } else {
      found->second.payer = payer;
      found->second.idle_slots = old.idle_slots;
    }
  }
  for (auto& [name, tenant] : state.tenants) {
    const auto old = before.tenants.find(name);
    if (old == before.tenants.end()) continue;
    tenant.account = old->second.account;
    tenant.duration = old->second.duration;
    tenant.place.contended = old->second.place.contended;
  }
  for (const auto& [rank, tenant] : before.last_served)
    if (auto* same = counterpart(state, tenant)) state.last_served[rank] = same;
  for (auto& [seq, lease] : state.leases) {
    if (lease.charge.slots == 0)
      charge_lease(state, lease, now, guess);
    else if (!lease.charge.overrun)
      expect_end(state, lease);
  }
}

}  // namespace

Millis expected_duration(const LaneState& lane, Millis guess) {
  const auto& known = lane.row.duration.ends > 0 ? lane.row.duration : lane.tenant->duration;
  return known.ends > 0 ? std::max<Millis>(1, std::llround(known.ms)) : guess;
}

Millis expected_p90(const LaneState& lane, Millis guess) {
  const auto& known = lane.row.duration.ends > 0 ? lane.row.duration : lane.tenant->duration;
  return std::max<Millis>(expected_duration(lane, guess), std::llround(known.p90_ms));
}

void charge_lease(State& state, LeaseState& lease, Millis now, Millis guess) {
  lease.charge = lease.lane->tenant->account.begin(lease.lane->row.key.requirements.slots,
                                                   expected_duration(*lease.lane, guess), now);
  expect_end(state, lease);
}

void settle_charge(LeaseState& lease, Millis now) {
  lease.lane->tenant->account.end(lease.charge, now);
}

void charge_overruns(State& state, Millis now) {
  while (!state.overruns.empty() && state.overruns.top().at <= now) {
    const auto due = state.overruns.top();
    state.overruns.pop();
    const auto lease = state.leases.find(due.job);
    if (lease == state.leases.end() || lease->second.row.name != due.lease) continue;
    lease->second.lane->tenant->account.overrun(lease->second.charge);
  }
}

void charge_idle_slots(State& state, HostState& host, Millis now) {
  auto* payer = host.kept_free_for;
  for (const auto seq : host.leases)
    if (const auto& lane = *state.leases.at(seq).lane; lane.batch->row.dedicated) payer = lane.tenant;
  const int idle = payer != nullptr ? std::max(0, host.row.slots - host.slots_used) : 0;
  if (payer == host.payer && idle == host.idle_slots) return;
  if (host.payer != nullptr) host.payer->account.keep_idle(-host.idle_slots, now);
  if (payer != nullptr) payer->account.keep_idle(idle, now);
  host.payer = payer;
  host.idle_slots = idle;
}

void keep_free(State& state, const std::vector<std::pair<HostState*, TenantState*>>& kept, Millis now) {
  const auto before = std::exchange(state.kept_free, {});
  for (const auto& [host, tenant] : kept) {
    host->kept_free_for = tenant;
    state.kept_free.insert(host->row.id);
    charge_idle_slots(state, *host, now);
  }
  for (const auto id : before) {
    const auto host = state.hosts.find(id);
    if (host == state.hosts.end() || state.kept_free.contains(id)) continue;
    host->second.kept_free_for = nullptr;
    charge_idle_slots(state, host->second, now);
  }
}

void forget_charges(HostState& host, Millis now) {
  if (host.payer != nullptr) host.payer->account.keep_idle(-host.idle_slots, now);
  host.payer = nullptr;
  host.idle_slots = 0;
}

void open_accounts(State& state, State* before, Millis now, Millis guess) {
  for (const auto& [key, lane] : state.lanes) {
    const auto ends = std::min<std::int64_t>(lane.row.duration.ends, 200);
    auto& known = lane.tenant->duration;
    known.ends += ends;
    if (ends > 0) known.ms += (lane.row.duration.ms - known.ms) * double(ends) / double(known.ends);
  }
  if (before != nullptr)
    take_over(state, *before, now, guess);
  else
    for (auto& [seq, lease] : state.leases) charge_lease(state, lease, now, guess);
  for (auto& [id, host] : state.hosts) charge_idle_slots(state, host, now);
}

}  // namespace geres::hub::engine
