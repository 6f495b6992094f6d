// SPDX-License-Identifier: Apache-2.0
// A small world for the scheduler's tests: tenants, batches, lanes of numbered jobs and hosts, and the bookkeeping an
// engine does between two calls.
#pragma once

#include <algorithm>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "hub/engine/scheduler.h"

namespace geres::hub::engine {

struct World {
  std::vector<TenantView> tenants;
  std::vector<BatchView> batches;
  std::vector<LaneView> lanes;
  std::vector<HostView> hosts;
  std::deque<store::LaneKey> keys;
  std::deque<model::Host> machines;
  std::vector<std::deque<store::ReadyRow>> rows;  // of each lane
  struct Lease {
    Index lane;
    Index host;
  };
  std::vector<Lease> leases;
  store::Seq last_seq = 0;
  mutable std::set<std::pair<Index, std::size_t>> peeked;

  Index tenant(std::string name, double weight = 1, int max_running = 0) {
    tenants.push_back({std::move(name), weight, max_running, 0, 0, 0});
    return tenants.size() - 1;
  }

  Index batch(std::int64_t priority = 500, bool dedicated = false, int max_running = 0) {
    batches.push_back({"batch" + std::to_string(batches.size()), priority, priority, dedicated, max_running, 0, false});
    return batches.size() - 1;
  }

  Index lane(Index tenant, Index batch, std::int64_t jobs, model::Requirements requirements = {},
             std::string type = "Work", bool packaged = true) {
    store::LaneKey& key = keys.emplace_back();
    key.batch = Uuid{0, batch};
    key.tenant = tenants[tenant].name;
    key.type = std::move(type);
    key.packaged = packaged;
    key.requirements = std::move(requirements);
    Index index = lanes.size();
    lanes.push_back({&key, tenant, batch, 0, 1, {}, false});
    lanes.back().work = work_of(key);
    rows.emplace_back();
    add(index, jobs);
    return index;
  }

  void add(Index lane, std::int64_t jobs, std::int64_t priority = 0) {
    for (std::int64_t i = 0; i < jobs; ++i) rows[lane].push_back({store::LaneNo(lane + 1), priority, ++last_seq});
    std::sort(rows[lane].begin(), rows[lane].end());
    update(lane);
  }

  void update(Index lane) {
    lanes[lane].ready = std::int64_t(rows[lane].size());
    if (!rows[lane].empty()) lanes[lane].head = rows[lane].front();
  }

  Index host(int slots, std::map<std::string, std::string> labels = {}, std::int64_t memory = 0) {
    model::Host& machine = machines.emplace_back();
    machine.name = "host" + std::to_string(machines.size());
    machine.slots = slots;
    machine.memory = memory;
    machine.labels = std::move(labels);
    hosts.push_back({&machine, true, true, slots, memory, 0, std::nullopt, false});
    return hosts.size() - 1;
  }

  Peek peek() const {
    return [this](Index lane, std::size_t i) -> std::optional<store::ReadyRow> {
      peeked.insert({lane, i});
      return i < rows[lane].size() ? std::optional(rows[lane][i]) : std::nullopt;
    };
  }

  Schedule ask(std::size_t max = 1'000'000) const { return schedule(tenants, batches, lanes, hosts, peek(), max); }

  std::vector<Hindrance> explain(Index lane) const { return why(tenants, batches, lanes, hosts, lane); }

  std::string first_reason(Index lane) const {
    auto all = explain(lane);
    return all.empty() ? "" : all.front().message;
  }

  std::vector<std::string> codes(Index lane) const {
    std::vector<std::string> out;
    for (const auto& hindrance : explain(lane)) out.push_back(hindrance.code);
    return out;
  }

  // What an engine does with grants.
  void carry_out(const std::vector<Grant>& grants) {
    for (const Grant& grant : grants) {
      rows[grant.lane].pop_front();
      update(grant.lane);
      book(grant.lane, grant.host, 1);
      auto& tenant = tenants[lanes[grant.lane].tenant];
      tenant.slot_time += slots(grant.lane) * lanes[grant.lane].expected;
      if (batches[lanes[grant.lane].batch].dedicated) hosts[grant.host].dedicated_to = lanes[grant.lane].batch;
      leases.push_back({grant.lane, grant.host});
    }
  }

  std::vector<Grant> step(std::size_t max = 1'000'000) {
    auto grants = ask(max).grants;
    carry_out(grants);
    return grants;
  }

  // A job is running already when the story begins.
  void run(Index lane, Index host) {
    add(lane, 1);
    carry_out({{lane, host}});
  }

  void finish(std::size_t lease) {
    Lease gone = leases[lease];
    leases.erase(leases.begin() + std::ptrdiff_t(lease));
    book(gone.lane, gone.host, -1);
    auto& host = hosts[gone.host];
    if (std::none_of(leases.begin(), leases.end(), [&](const Lease& lease) {
          return lease.host == gone.host && batches[lanes[lease.lane].batch].dedicated;
        }))
      host.dedicated_to.reset();
  }

  int slots(Index lane) const { return lanes[lane].key->requirements.slots; }

 private:
  void book(Index lane, Index host, int sign) {
    auto& tenant = tenants[lanes[lane].tenant];
    tenant.running += sign;
    tenant.slots += sign * slots(lane);
    batches[lanes[lane].batch].running += sign;
    hosts[host].running += sign;
    hosts[host].free_slots -= sign * slots(lane);
    hosts[host].free_memory -= sign * lanes[lane].key->requirements.memory;
  }
};

}  // namespace geres::hub::engine
