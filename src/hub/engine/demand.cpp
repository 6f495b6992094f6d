// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/demand.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/duration.h"
#include "hub/engine/placement.h"

namespace geres::hub::engine {

namespace {

constexpr std::size_t kGrantsMax = 1'000'000;

HostView empty_one(const model::Host& like) {
  HostView view;
  view.host = &like;
  view.open = true;
  view.free_slots = like.slots;
  view.free_memory = like.memory;
  return view;
}

// What is left of the views while hosts that there are not get what they would be granted.
class Rest {
 public:
  explicit Rest(const Snapshot& fleet) : tenants(fleet.tenants), batches(fleet.batches), lanes(fleet.lane_views) {}

  Schedule plan(std::span<const HostView> hosts) const {
    // Which row comes next decides between a tenant's lanes alone: one after the other is near enough.
    const Peek peek = [this](Index lane, std::size_t i) -> std::optional<store::ReadyRow> {
      const auto& view = lanes[lane];
      if (std::int64_t(i) >= view.ready) return std::nullopt;
      return store::ReadyRow{view.head.lane, view.head.priority, view.head.seq + store::Seq(i)};
    };
    return schedule(tenants, batches, lanes, hosts, peek, kGrantsMax);
  }

  void take(const Schedule& plan) {
    for (const auto& grant : plan.grants) {
      auto& lane = lanes[grant.lane];
      const int slots = lane.key->requirements.slots;
      --lane.ready;
      ++batches[lane.batch].running;
      auto& tenant = tenants[lane.tenant];
      ++tenant.running;
      tenant.slots += slots;
      tenant.slot_time += slots * lane.expected;
    }
  }

  std::vector<TenantView> tenants;
  std::vector<BatchView> batches;
  std::vector<LaneView> lanes;
};

std::int64_t slots_of(const Rest& rest, const Schedule& plan) {
  std::int64_t slots = 0;
  for (const auto& grant : plan.grants) slots += rest.lanes[grant.lane].key->requirements.slots;
  return slots;
}

// The scheduler spreads jobs over the hosts that it has. So it is first asked what all together could take, and then
// given as few hosts as that needs.
Schedule fill(const Rest& rest, const model::Host& like, std::int64_t most) {
  std::int64_t ready = 0;
  for (const auto& lane : rest.lanes) ready += bar(*lane.key, like) == Bar::none ? lane.ready : 0;
  const auto room = std::size_t(std::min(most, ready));
  if (room == 0) return {};
  const std::vector<HostView> hosts(room, empty_one(like));
  auto plan = rest.plan(hosts);
  const auto wanted = slots_of(rest, plan);
  const auto hosts_for = [&](std::int64_t slots) {
    return std::size_t(slots + like.slots - 1) / std::size_t(like.slots);
  };
  for (auto n = hosts_for(wanted); n < room;) {
    auto fewer = rest.plan(std::span(hosts).first(n));
    const auto missing = wanted - slots_of(rest, fewer);
    if (missing <= 0) return fewer;
    n += std::max<std::size_t>(1, hosts_for(missing));
  }
  return plan;
}

std::string_view what_holds(const Rest& rest, const LaneView& lane) {
  const auto& batch = rest.batches[lane.batch];
  const auto& tenant = rest.tenants[lane.tenant];
  if (batch.stopped) return "batchPaused";
  if (batch.max_running > 0 && batch.running >= batch.max_running) return "batchLimit";
  if (tenant.max_running > 0 && tenant.running >= tenant.max_running) return "tenantLimit";
  return "";
}

// How long jobs take: the mean over those of this pool, each taken for one of its lane.
class Durations {
 public:
  void add(Millis mean, Millis p90, store::LaneNo lane, std::int64_t ends, std::int64_t jobs = 1) {
    jobs_ += double(jobs);
    mean_ += double(mean) * double(jobs);
    p90_ += double(p90) * double(jobs);
    ends_[lane] = ends;
  }
  void tell(Demand& demand) const {
    if (jobs_ == 0) return;
    demand.mean_duration = Millis(mean_ / jobs_);
    demand.p90_duration = Millis(p90_ / jobs_);
    for (const auto& [lane, ends] : ends_) demand.ends += ends;
  }

 private:
  double jobs_ = 0, mean_ = 0, p90_ = 0;
  std::map<store::LaneNo, std::int64_t> ends_;
};

const model::Pool* first_that_fits(const store::LaneKey& lane, std::span<const model::Pool* const> order) {
  const auto first = std::find_if(order.begin(), order.end(), [&](const auto* pool) {
    return bar(lane, host_like(pool->settings.like)) == Bar::none;
  });
  return first == order.end() ? nullptr : *first;
}

// What is left once each pool has as many hosts as it may have: work ahead of them all the same, unless a limit holds
// it. It counts for the first pool that fits.
void look_beyond_maximum(Rest& rest, std::span<const model::Pool* const> order, const model::Pool& own, Demand& demand,
                         Durations& durations) {
  const auto room = [](int limit, std::int64_t running, std::int64_t ready) {
    return limit > 0 ? std::min(ready, limit - running) : ready;
  };
  for (auto& lane : rest.lanes) {
    if (lane.ready == 0 || first_that_fits(*lane.key, order) != &own) continue;
    if (what_holds(rest, lane).empty()) {
      auto& batch = rest.batches[lane.batch];
      auto& tenant = rest.tenants[lane.tenant];
      const auto jobs = room(tenant.max_running, tenant.running, room(batch.max_running, batch.running, lane.ready));
      demand.runnable.jobs += jobs;
      demand.runnable.slots += jobs * lane.key->requirements.slots;
      durations.add(lane.expected, lane.expected_p90, lane.head.lane, lane.ends, jobs);
      batch.running += jobs;
      tenant.running += jobs;
      lane.ready -= jobs;
    }
    if (lane.ready > 0) demand.held[std::string(what_holds(rest, lane))] += lane.ready;
  }
}

void look_at_running(const Snapshot& fleet, const std::string& pool, Millis now, Demand& demand, Durations& durations) {
  std::vector<Millis> rests;
  for (const auto& host : fleet.hosts) {
    if (host.info->host.pool != pool) continue;
    demand.running.slots += host.info->slots_busy;
    for (const auto& lease : host.info->leases) {
      rests.push_back(std::max<Millis>(0, lease.granted_at + lease.expected - now));
      durations.add(lease.expected, lease.expected_p90, lease.lane, lease.ends);
    }
  }
  demand.running.jobs = std::int64_t(rests.size());
  if (rests.empty()) return;
  std::sort(rests.begin(), rests.end());
  Millis sum = 0;
  for (const auto rest : rests) sum += rest;
  demand.running.rest_mean = sum / Millis(rests.size());
  demand.running.rest_p90 = rests[(rests.size() * 9 - 1) / 10];
}

}  // namespace

bool fits_no_pool(const store::LaneKey& lane, std::span<const model::Pool> pools) {
  return std::none_of(pools.begin(), pools.end(),
                      [&](const auto& pool) { return bar(lane, host_like(pool.settings.like)) == Bar::none; });
}

std::string why_no_pool(const store::LaneKey& lane, std::span<const model::Pool> pools) {
  const auto& need = lane.requirements;
  std::set<Bar> bars;
  int slots = 0;
  std::int64_t memory = 0;
  for (const auto& pool : pools) {
    const auto like = host_like(pool.settings.like);
    bars.insert(bar(lane, like));
    slots = std::max(slots, like.slots);
    memory = std::max(memory, like.memory);
  }
  std::vector<std::string> parts;
  if (need.slots > 1 || bars.contains(Bar::slots))
    parts.push_back(fmt::format("{} slots{}", need.slots,
                                bars.contains(Bar::slots) ? fmt::format(" (the largest has {})", slots) : ""));
  if (need.memory > 0)
    parts.push_back(
        fmt::format("{} of memory{}", format_size(need.memory),
                    bars.contains(Bar::memory) ? fmt::format(" (the largest has {})", format_size(memory)) : ""));
  for (const auto& [label, value] : need.labels) parts.push_back(fmt::format("label {}={}", label, value));
  if (bars.contains(Bar::tenant)) parts.push_back(fmt::format("a host that serves tenant {}", lane.tenant));
  if (bars.contains(Bar::type) || bars.contains(Bar::packages))
    parts.push_back(fmt::format("a host that runs type {}{}", lane.type, lane.packaged ? "" : " without a package"));
  return fmt::format("no pool's template fits: needs {}", fmt::join(parts, ", "));
}

Demand demand_of(const Snapshot& fleet, std::span<const model::Pool> pools, const std::string& name, Millis now,
                 std::span<const store::DueJobs> due) {
  std::vector<const model::Pool*> order;
  for (const auto& pool : pools) order.push_back(&pool);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return std::pair(a->settings.limits.cost, std::string_view(a->name)) <
           std::pair(b->settings.limits.cost, std::string_view(b->name));
  });
  Demand demand;
  Rest rest(fleet);
  rest.take(rest.plan(fleet.host_views));  // those that are there and open
  Durations durations;
  for (const auto* pool : order) {
    const auto like = host_like(pool->settings.like);
    const bool own = pool->name == name;
    const auto plan = fill(rest, like, pool->settings.limits.maximum);
    if (own) {
      std::set<Index> used;
      std::map<Index, std::set<Index>> dedicated;
      for (const auto& grant : plan.grants) {
        const auto& lane = rest.lanes[grant.lane];
        ++demand.runnable.jobs;
        demand.runnable.slots += lane.key->requirements.slots;
        used.insert(grant.host);
        if (rest.batches[lane.batch].dedicated) dedicated[lane.batch].insert(grant.host);
        demand.oldest_wait = std::max(demand.oldest_wait, now - Millis(std::uint64_t(lane.head.seq) >> 16));
        durations.add(lane.expected, lane.expected_p90, lane.head.lane, lane.ends);
      }
      demand.runnable.hosts = std::int64_t(used.size());
      for (const auto& [batch, hosts] : dedicated)
        demand.dedicated.push_back({rest.batches[batch].name, std::int64_t(hosts.size())});
    }
    rest.take(plan);
  }
  if (const auto own = std::find_if(order.begin(), order.end(), [&](const auto* pool) { return pool->name == name; });
      own != order.end())
    look_beyond_maximum(rest, order, **own, demand, durations);
  look_at_running(fleet, name, now, demand, durations);
  durations.tell(demand);
  for (const auto& jobs : due) {
    const auto* first = first_that_fits(jobs.key, order);
    if (first == nullptr || first->name != name) continue;
    demand.due_in_1m += jobs.near;
    demand.due_in_5m += jobs.far;
  }
  if (const auto coming = fleet.arrivals.find(name); coming != fleet.arrivals.end()) {
    demand.arrivals_1m = coming->second.in_1m;
    demand.arrivals_10m = coming->second.in_10m;
  }
  for (const auto& lane : rest.lanes) {
    const auto there = [&](const HostView& host) { return host.alive && bar(*lane.key, *host.host) == Bar::none; };
    if (lane.ready > 0 && fits_no_pool(*lane.key, pools) &&
        std::none_of(fleet.host_views.begin(), fleet.host_views.end(), there))
      demand.unplaceable += lane.ready;
  }
  return demand;
}

}  // namespace geres::hub::engine
