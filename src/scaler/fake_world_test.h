// SPDX-License-Identifier: Apache-2.0
// A hub's book, a provider and a fleet in simulated time, for tests. The hub keeps the rules that a real one keeps (an
// old epoch, the fence before a removal); the provider has the faults that a test gives it; hosts boot, register, run
// jobs and leave.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "scaler/hub.h"
#include "scaler/provider.h"

namespace geres::scaler::testing {

struct SimulatedHost {
  std::string id;
  Mode mode = Mode::run;
  std::string by;
  std::vector<Millis> ends;  // of its jobs
  std::optional<Millis> idle_since;
  bool lost = false, unfit = false, dedicated = false, keep = false;
  Millis heard = 0;
};

struct SimulatedMachine {
  std::string request;
  Millis created = 0, joins = 0;  // 0: never
  bool joined = false;
  MachineState state = MachineState::running;
};

struct Faults {
  bool quota = false;                // takes no order
  bool throttled = false;            // answers nothing
  bool unauthorized = false;         //
  std::int64_t partial = 0;          // takes at most so many of an order, if not 0
  bool liar = false;                 // its machines never join
  bool orders_fail_to_boot = false;  // its machines fail at once
  bool removals_fail = false;
  bool removals_lie = false;  // says removed, and it goes on
  bool lists_empty = false;
  bool lists_half = false;
  bool lists_lost = false;
  bool answers_lost = false;  // it is done, and nobody hears of it
  bool calls_lost = false;    // it is not done, and nobody hears of it
  bool no_names = false;      // an order is accepted without naming machines
  bool twice = false;         // answers name each machine twice
};

class World final : public Hub {
 public:
  explicit World(Millis now = 1'800'000'000'000) : now(now) {
    pool.name = "cpu", pool.version = 1, pool.policy = "messageCount", pool.what.slots = 4;
    pool.limits.maximum = 10;
  }

  Millis now;
  Pool pool;
  std::int64_t epoch = 1;
  std::map<std::string, BookMachine> machines;  // the book
  std::map<std::string, Intent> intents;
  std::vector<Decision> decisions;
  bool tell_decisions = true;                        // a hub always does; a keeper reads them once
  std::map<std::string, SimulatedHost> hosts;        // by instance
  std::map<std::string, SimulatedMachine> provided;  // what the provider really has
  Faults faults;
  Capabilities capabilities;
  Millis boot = 20'000;
  std::int64_t queue = 0;
  Millis job_time = 30'000;
  int away = 0;  // so many calls fail
  int ordered_calls = 0, removed_calls = 0, list_calls = 0, wake_calls = 0;
  int retired_in_vain = 0;
  std::int64_t done = 0;

  // ---- time -------------------------------------------------------------------------------------------------------

  void step(Millis by) {
    now += by;
    for (auto& [name, machine] : provided) {
      if (machine.joined || machine.joins == 0 || now < machine.joins || machine.state != MachineState::running)
        continue;
      machine.joined = true;
      join(name);
    }
    for (auto& [name, host] : hosts) {
      done += std::int64_t(std::erase_if(host.ends, [&](Millis end) { return end <= now; }));
      while (host.mode == Mode::run && !host.lost && !host.unfit && queue > 0 &&
             std::int64_t(host.ends.size()) < pool.what.slots) {
        host.ends.push_back(now + job_time);
        --queue;
      }
      if (!host.ends.empty())
        host.idle_since.reset();
      else if (!host.idle_since)
        host.idle_since = now;
    }
    std::erase_if(hosts, [](const auto& entry) { return entry.second.mode == Mode::stop; });  // they say goodbye
  }

  void join(const std::string& instance) {
    hosts[instance] = SimulatedHost{"host-" + instance};
    auto& machine = machines[instance];  // a host may register before its order's answer is in the book
    if (machine.instance.empty()) machine.instance = instance, machine.orderedAt.at = now;
    if (machine.state == Life::ordered || machine.state == Life::booting)
      machine.state = Life::ready, machine.readyAt = json::Time{now};
  }

  // A machine that everybody knows, with a host that runs.
  SimulatedHost& add(const std::string& instance) {
    provided[instance] = {"", now - 600'000, now - 590'000, true};
    auto& machine = machines[instance];
    machine.instance = instance, machine.state = Life::ready;
    machine.orderedAt.at = now - 600'000, machine.readyAt = json::Time{now - 590'000};
    auto& host = hosts[instance] = SimulatedHost{"host-" + instance};
    host.idle_since = now - 580'000;
    return host;
  }

  std::size_t alive() const {
    return std::size_t(std::count_if(provided.begin(), provided.end(),
                                     [](const auto& entry) { return entry.second.state != MachineState::failed; }));
  }

  // ---- the provider -----------------------------------------------------------------------------------------------

  Told<std::vector<Machine>> list() {
    ++list_calls;
    if (faults.throttled) return Refusal{Why::throttled, 5'000, "slow down", false};
    if (faults.unauthorized) return Refusal{Why::unauthorized, 0, "who are you", false};
    if (faults.lists_lost) return Refusal{Why::unknown, 0, "timeout", true};
    std::vector<Machine> all;
    std::size_t n = 0;
    for (const auto& [name, machine] : provided) {
      if (faults.lists_empty || (faults.lists_half && ++n % 2 == 0)) continue;
      all.push_back({name, machine.state, machine.created, capabilities.marks ? machine.request : "", "zone-1", ""});
      if (faults.twice) all.push_back(all.back());
    }
    return all;
  }

  Told<Ordered> order(const Order& order) {
    ++ordered_calls;
    EXPECT_FALSE(order.join_token.empty());
    const auto intent = intents.find(order.request);
    EXPECT_TRUE(intent != intents.end() && intent->second.state == Stage::issued) << "no intent before the call";
    for (const auto& [request, other] : intents)
      EXPECT_FALSE(request != order.request && other.verb == Verb::order &&
                   (other.state == Stage::issued || other.state == Stage::unknown))
          << "an order while another is open";
    if (faults.throttled) return Refusal{Why::throttled, 5'000, "slow down", false};
    if (faults.unauthorized) return Refusal{Why::unauthorized, 0, "who are you", false};
    if (faults.quota) return Refusal{Why::quota, 0, "quota of cores", false};
    if (faults.calls_lost) return Refusal{Why::unknown, 0, "timeout", true};
    Ordered ordered;
    ordered.accepted = faults.partial > 0 ? std::min(order.count, faults.partial) : order.count;
    for (std::int64_t i = 0; i < ordered.accepted; ++i) {
      const auto name = "m" + std::to_string(++made_);
      auto& machine = provided[name];
      machine = {order.request, now, faults.liar ? 0 : now + boot, false, MachineState::running};
      if (faults.orders_fail_to_boot) machine.state = MachineState::failed;
      if (!faults.no_names) ordered.instances.push_back(name);
      if (faults.twice && !faults.no_names) ordered.instances.push_back(name);
    }
    if (ordered.accepted < order.count) ordered.refusal = Refusal{Why::capacity, 0, "no more", false};
    if (faults.answers_lost) return Refusal{Why::unknown, 0, "timeout", true};
    return ordered;
  }

  Told<std::vector<Removed>> remove(const std::vector<std::string>& instances) {
    ++removed_calls;
    if (faults.throttled) return Refusal{Why::throttled, 5'000, "slow down", false};
    if (faults.unauthorized) return Refusal{Why::unauthorized, 0, "who are you", false};
    if (faults.calls_lost) return Refusal{Why::unknown, 0, "timeout", true};
    std::vector<Removed> removed;
    for (const auto& name : instances) {
      const auto host = hosts.find(name);
      EXPECT_FALSE(host != hosts.end() && !host->second.ends.empty())
          << "a job runs on " << name << ", which is removed";
      if (faults.removals_fail) {
        removed.push_back({name, Removed::Outcome::failed, "it does not go"});
        continue;
      }
      if (!faults.removals_lie) hosts.erase(name), provided.erase(name);
      removed.push_back({name, Removed::Outcome::removed, ""});
    }
    if (faults.answers_lost) return Refusal{Why::unknown, 0, "timeout", true};
    return removed;
  }

  Told<std::vector<Removed>> wake(const std::vector<std::string>& instances) {
    ++wake_calls;
    if (faults.throttled) return Refusal{Why::throttled, 5'000, "slow down", false};
    if (faults.calls_lost) return Refusal{Why::unknown, 0, "timeout", true};
    std::vector<Removed> woken;
    for (const auto& name : instances) {
      auto& machine = provided.at(name);
      EXPECT_EQ(machine.state, MachineState::asleep) << name << " is awake";
      machine.state = MachineState::running;
      machine.joined = false, machine.joins = faults.liar ? 0 : now + boot;
      woken.push_back({name, Removed::Outcome::removed, ""});
    }
    if (faults.answers_lost) return Refusal{Why::unknown, 0, "timeout", true};
    return woken;
  }

  // A machine that the provider has and that does not run.
  void add_asleep(const std::string& instance) {
    provided[instance] = {"", now - 600'000, 0, false, MachineState::asleep};
    auto& machine = machines[instance];
    machine.instance = instance, machine.state = Life::asleep, machine.orderedAt.at = now - 600'000;
  }

  // ---- the hub ----------------------------------------------------------------------------------------------------

  FromHub<ScalerLease> lease(const std::string&, std::optional<std::int64_t> known) override {
    if (known && *known != epoch) return HubTrouble{HubTrouble::Kind::held, "another has it"};
    if (!known) ++epoch;
    return ScalerLease{epoch, 30'000};
  }

  FromHub<std::vector<std::string>> pools() override { return std::vector<std::string>{pool.name}; }

  FromHub<Book> book(const std::string&) override {
    if (is_away()) return unheard();
    Book book;
    book.pool = pool;
    for (const auto& [name, machine] : machines) {
      if (machine.state == Life::gone) continue;
      book.machines.push_back(machine);
      const auto host = hosts.find(name);
      if (host == hosts.end()) continue;
      BookHost& shown = book.machines.back().host.emplace();
      shown.id = shown.name = host->second.id, shown.mode = host->second.mode, shown.by = host->second.by;
      shown.slots = pool.what.slots, shown.busy = std::int64_t(host->second.ends.size());
      if (host->second.idle_since) shown.idleSince = json::Time{*host->second.idle_since};
      if (!host->second.ends.empty())
        shown.restSeconds = double(*std::max_element(host->second.ends.begin(), host->second.ends.end()) - now) / 1000;
      shown.lost = host->second.lost, shown.unfit = host->second.unfit;
      shown.dedicated = host->second.dedicated, shown.keep = host->second.keep;
    }
    for (const auto& [request, intent] : intents)
      if (intent.state == Stage::issued || intent.state == Stage::unknown) book.intents.push_back(intent);
    if (tell_decisions)
      book.decisions.assign(decisions.size() > 60 ? decisions.end() - 60 : decisions.begin(), decisions.end());
    return book;
  }

  FromHub<DemandNow> demand(const std::string&) override {
    DemandNow asked;
    std::int64_t running = 0;
    for (const auto& [name, host] : hosts) running += std::int64_t(host.ends.size());
    asked.demand.runnable = {queue, queue, (queue + pool.what.slots - 1) / pool.what.slots};
    asked.demand.running = {running, running, double(job_time) / 2000, double(job_time) / 1000};
    asked.demand.seconds_per_job = double(job_time) / 1000, asked.demand.seconds_per_job_of = 100;
    return asked;
  }

  FromHub<void> record(const std::string&, std::int64_t of, const Record& record) override {
    if (is_away()) return unheard();
    if (of != epoch) return HubTrouble{HubTrouble::Kind::stale, "staleScaler"};
    for (const auto& intent : record.intents) {
      if (intent.verb != Verb::remove || intent.state != Stage::issued) continue;
      for (const auto& name : *intent.instances)
        if (const auto host = hosts.find(name);
            host != hosts.end() && (!host->second.ends.empty() || host->second.mode != Mode::stop))
          return HubTrouble{HubTrouble::Kind::busy, "hostBusy"};
    }
    for (const auto& intent : record.intents) {
      auto& kept = intents[intent.request];
      const auto issued = kept.issuedAt.value_or(json::Time{now});
      kept = intent;
      kept.issuedAt = issued;
    }
    for (const auto& change : record.machines) {
      auto& machine = machines[change.instance];
      const bool fresh = machine.instance.empty() || machine.state == Life::gone;
      if (fresh) machine = {}, machine.instance = change.instance, machine.orderedAt.at = now;
      if (change.request) machine.request = *change.request;
      machine.state = change.state;
      if (change.state == Life::ordered || change.state == Life::booting)
        if (const auto host = hosts.find(change.instance); host != hosts.end())
          machine.state = Life::ready, machine.readyAt = json::Time{now};
    }
    if (record.decision) {
      decisions.push_back(*record.decision);
      decisions.back().at = json::Time{now};
    }
    return {};
  }

  FromHub<void> drain(const std::vector<std::string>& ids, std::int64_t of, const std::string&) override {
    if (is_away()) return unheard();
    if (of != epoch) return HubTrouble{HubTrouble::Kind::stale, "staleScaler"};
    for (auto& [name, host] : hosts)
      if (std::count(ids.begin(), ids.end(), host.id) > 0 && host.mode == Mode::run)
        host.mode = Mode::drain, host.by = "scaler";
    return {};
  }

  FromHub<void> resume(const std::vector<std::string>& ids, std::int64_t of) override {
    if (is_away()) return unheard();
    if (of != epoch) return HubTrouble{HubTrouble::Kind::stale, "staleScaler"};
    for (auto& [name, host] : hosts)
      if (std::count(ids.begin(), ids.end(), host.id) > 0 && host.mode == Mode::drain && host.by == "scaler")
        host.mode = Mode::run;
    return {};
  }

  FromHub<void> retire(const std::string& id, std::int64_t of) override {
    if (is_away()) return unheard();
    if (of != epoch) return HubTrouble{HubTrouble::Kind::stale, "staleScaler"};
    for (auto& [name, host] : hosts) {
      if (host.id != id) continue;
      if (host.mode != Mode::drain || !host.ends.empty()) {
        ++retired_in_vain;
        return HubTrouble{HubTrouble::Kind::busy, "hostBusy"};
      }
      host.mode = Mode::stop;
      machines[name].state = Life::retiring;
      return {};
    }
    return HubTrouble{HubTrouble::Kind::refused, "notFound"};
  }

  FromHub<std::string> join_token(const std::string&, std::int64_t of, const std::string& request) override {
    if (is_away()) return unheard();
    if (of != epoch) return HubTrouble{HubTrouble::Kind::stale, "staleScaler"};
    return "token-for-" + request;
  }

 private:
  bool is_away() { return away > 0 && away-- > 0; }
  static HubTrouble unheard() { return {HubTrouble::Kind::away, "no answer"}; }

  int made_ = 0;
};

}  // namespace geres::scaler::testing
