// SPDX-License-Identifier: Apache-2.0
// The scheduler over random worlds: nothing is ever exceeded or misplaced, every grant and hold is the one that a slow
// and plain reading of the rules makes, shares come out in the long run, and explanations agree with what happens.
#include <gmock/gmock.h>
#include <rapidcheck.h>
// The one header that needs the other two first.
#include <rapidcheck/gtest.h>

#include <fmt/format.h>

#include <random>
#include <tuple>

#include "hub/engine/scheduler_world.h"

namespace geres::hub::engine {
namespace {

// The rules once more, written for reading: every step looks at everything.
class PlainReading {
 public:
  explicit PlainReading(World world) : w_(std::move(world)), dropped_(w_.lanes.size()), granted_(w_.lanes.size()) {}

  Schedule run(std::size_t max) {
    while (out_.grants.size() < max && any_open_host()) {
      auto lane = next_lane();
      if (!lane) break;
      if (auto host = best_host(*lane)) {
        out_.grants.push_back({*lane, *host});
        w_.carry_out({{*lane, *host}});
        ++granted_[*lane];
      } else {
        dropped_[*lane] = true;
        hold(*lane);
      }
    }
    return out_;
  }

  bool dedicated(Index lane) const { return w_.batches[w_.lanes[lane].batch].dedicated; }
  bool held(Index host) const {
    return std::any_of(out_.held.begin(), out_.held.end(), [&](const Held& held) { return held.host == host; });
  }

  bool limited(Index lane) const {
    const auto& tenant = w_.tenants[w_.lanes[lane].tenant];
    const auto& batch = w_.batches[w_.lanes[lane].batch];
    return batch.stopped || (tenant.max_running > 0 && tenant.running >= tenant.max_running) ||
           (batch.max_running > 0 && batch.running >= batch.max_running);
  }

  static bool matches(const store::LaneKey& key, const HostView& view) {
    const model::Host& host = *view.host;
    auto in = [](const auto& list, const auto& name) { return std::count(list.begin(), list.end(), name) > 0; };
    for (const auto& label : key.requirements.labels)
      if (!host.labels.contains(label.first) || host.labels.at(label.first) != label.second) return false;
    if (host.tenants && !in(*host.tenants, key.tenant)) return false;
    if (host.types && !in(*host.types, key.type)) return false;
    if (key.packaged ? !host.packages : !host.types) return false;
    if (host.memory != 0 && key.requirements.memory > host.memory) return false;
    return view.alive && host.mode == model::HostMode::run && key.requirements.slots <= host.slots;
  }

  bool owned(Index lane, Index host) const {
    const auto& view = w_.hosts[host];
    return dedicated(lane) && view.running > 0 && view.dedicated_to == w_.lanes[lane].batch && !view.has_other_batches;
  }

  bool fits_now(Index lane, Index host) const {
    const auto& view = w_.hosts[host];
    const auto& key = *w_.lanes[lane].key;
    bool may = view.running == 0 || (dedicated(lane) ? owned(lane, host) : !view.dedicated_to);
    return may && !held(host) && matches(key, view) && view.free_slots >= key.requirements.slots &&
           (view.host->memory == 0 || view.free_memory >= key.requirements.memory);
  }

 private:
  bool any_open_host() const {
    for (Index i = 0; i < w_.hosts.size(); ++i)
      if (usable(i)) return true;
    return false;
  }

  bool usable(Index host) const {
    const auto& view = w_.hosts[host];
    return view.open && view.alive && view.host->mode == model::HostMode::run && view.free_slots > 0 && !held(host);
  }

  std::optional<Index> next_lane() const {
    std::optional<Index> best;
    for (Index i = 0; i < w_.lanes.size(); ++i)
      if (!dropped_[i] && w_.lanes[i].ready > 0 && !limited(i) && (!best || order(i) < order(*best))) best = i;
    return best;
  }

  std::tuple<std::int64_t, double, double, std::string, std::int64_t, std::int64_t, store::Seq, Index> order(
      Index lane) const {
    const auto& view = w_.lanes[lane];
    const auto& tenant = w_.tenants[view.tenant];
    const auto& batch = w_.batches[view.batch];
    return {batch.rank,
            double(tenant.slot_time) / tenant.weight,
            double(tenant.slots) / tenant.weight,
            tenant.name,
            batch.priority,
            view.head.priority,
            view.head.seq,
            lane};
  }

  std::optional<Index> best_host(Index lane) const {
    auto value = [&](Index host) {
      const auto& view = w_.hosts[host];
      const double share = double(view.free_slots) / view.host->slots;
      const auto& done = view.has_done;
      const bool at_hand = w_.lanes[lane].work != 0 && std::count(done.begin(), done.end(), w_.lanes[lane].work) > 0;
      return std::tuple(owned(lane, host), !view.packed, view.packed ? -share : share, at_hand);
    };
    std::optional<Index> best;
    for (Index i = 0; i < w_.hosts.size(); ++i)
      if (usable(i) && fits_now(lane, i) && (!best || value(i) > value(*best))) best = i;
    return best;
  }

  void hold(Index lane) {
    const auto& view = w_.lanes[lane];
    bool starving = view.starving && granted_[lane] == 0;
    for (const Held& held : out_.held)
      if (dedicated(lane) && w_.lanes[held.lane].batch == view.batch) return;
    if (!dedicated(lane) && !starving) return;
    const auto& need = view.key->requirements;
    std::optional<std::tuple<bool, bool, double, std::int64_t>> best;
    std::optional<Index> chosen;
    for (Index i = 0; i < w_.hosts.size(); ++i) {
      const auto& host = w_.hosts[i];
      if (held(i) || !matches(*view.key, host)) continue;
      bool room = fits_now(lane, i), own = owned(lane, i);
      if (own && !starving && !room) continue;
      double near = std::min(1.0, double(host.free_slots) / need.slots);
      if (host.host->memory > 0 && need.memory > 0)
        near = std::min(near, double(host.free_memory) / double(need.memory));
      std::tuple<bool, bool, double, std::int64_t> value{room, own, near, 0};
      if (dedicated(lane) && !own) value = {room, false, 0, -host.running};
      if (!dedicated(lane) && host.running > 0 && host.dedicated_to) value = {false, false, -1, -host.running};
      if (best && !(value > *best)) continue;
      best = value;
      chosen = i;
    }
    if (chosen) out_.held.push_back({*chosen, lane});
  }

  World w_;
  std::vector<bool> dropped_;
  std::vector<int> granted_;
  Schedule out_;
};

// ---- random worlds

int any(int from, int to) {
  return *rc::gen::inRange(from, to + 1);
}

bool one_in(int n) {
  return any(1, n) == n;
}

std::map<std::string, std::string> any_labels() {
  std::map<std::string, std::string> labels;
  if (one_in(3)) labels["gpu"] = one_in(2) ? "a100" : "t4";
  if (one_in(4)) labels["zone"] = one_in(2) ? "a" : "b";
  return labels;
}

void fill_host(World& world) {
  Index i = world.host(any(1, 6), any_labels(), one_in(2) ? any(1, 8) : 0);
  model::Host& machine = world.machines[i];
  if (one_in(4)) machine.types = {{"A"}};
  if (one_in(8)) machine.types = {{"A", "B"}};
  if (one_in(6)) machine.tenants = {{"t0", "t1"}};
  if (one_in(6)) machine.packages = false;
  if (one_in(8)) machine.mode = model::HostMode::drain;
  if (one_in(10)) world.hosts[i].alive = false;
  world.hosts[i].packed = one_in(3);
  for (auto& work : world.hosts[i].has_done)
    if (one_in(4)) work = work_of({{}, one_in(2) ? "t0" : "t1", one_in(2) ? "A" : "B", true, {}, {}});
}

World any_world() {
  constexpr std::array kWeights{0.5, 1.0, 1.0, 2.0, 3.0};
  World world;
  for (int i = 0, n = any(1, 4); i < n; ++i)
    world.tenant("t" + std::to_string(i), kWeights[std::size_t(any(0, 4))], one_in(3) ? any(1, 6) : 0);
  for (int i = 0, n = any(1, 4); i < n; ++i) {
    Index batch = world.batch(one_in(3) ? 100 : 500, one_in(3), one_in(4) ? any(1, 5) : 0);
    world.batches[batch].stopped = one_in(10);
    if (one_in(2)) world.batches[batch].rank = 500;
  }
  for (int i = 0, n = one_in(4) ? any(17, 24) : any(0, 5); i < n; ++i) fill_host(world);  // few and many
  for (int i = 0, n = any(0, 12); i < n; ++i) {
    auto labels = one_in(2) ? any_labels() : std::map<std::string, std::string>{};
    model::Requirements needs{one_in(3) ? any(2, 5) : 1, one_in(4) ? any(1, 6) : 0, labels};
    world.lane(Index(any(0, int(world.tenants.size()) - 1)), Index(any(0, int(world.batches.size()) - 1)), any(0, 4),
               needs, one_in(3) ? "B" : "A", !one_in(5));
  }
  return world;
}

// What goes on between two calls.
void live_on(World& world) {
  for (int i = 0, n = any(0, int(world.leases.size())); i < n; ++i)
    world.finish(std::size_t(any(0, int(world.leases.size()) - 1)));
  for (Index i = 0; i < world.lanes.size(); ++i) {
    if (one_in(3)) world.add(i, any(1, 4), any(-1, 1));
    world.lanes[i].starving = one_in(4);
  }
  for (auto& host : world.hosts) host.open = !one_in(4);
}

// A copy whose pointers are its own is not needed: keys and machines do not change while both live.
void expect_sound(const World& world) {
  for (const auto& tenant : world.tenants) RC_ASSERT(tenant.max_running == 0 || tenant.running <= tenant.max_running);
  for (const auto& batch : world.batches) RC_ASSERT(batch.max_running == 0 || batch.running <= batch.max_running);
  for (Index i = 0; i < world.hosts.size(); ++i) {
    const auto& host = world.hosts[i];
    RC_ASSERT(host.free_slots >= 0);
    RC_ASSERT(host.host->memory == 0 || host.free_memory >= 0);
    std::set<Index> batches;
    bool dedicated = false;
    for (const auto& lease : world.leases) {
      if (lease.host != i) continue;
      batches.insert(world.lanes[lease.lane].batch);
      dedicated |= world.batches[world.lanes[lease.lane].batch].dedicated;
    }
    RC_ASSERT(!dedicated || batches.size() == 1u);
  }
}

void expect_well_placed(const World& before, const Schedule& plan) {
  for (const Grant& grant : plan.grants) {
    RC_ASSERT(before.hosts[grant.host].open);
    RC_ASSERT(!before.batches[before.lanes[grant.lane].batch].stopped);
    RC_ASSERT(PlainReading::matches(*before.lanes[grant.lane].key, before.hosts[grant.host]));
  }
}

// As text, so that a failure can be read.
std::string text_of(const Schedule& plan) {
  std::string text = "grants";
  for (const Grant& grant : plan.grants) text += fmt::format(" {}->{}", grant.lane, grant.host);
  text += " held";
  for (const Held& held : plan.held) text += fmt::format(" {}->{}", held.lane, held.host);
  return text;
}

std::string text_of(const World& world) {
  std::string text;
  for (const auto& tenant : world.tenants)
    text +=
        fmt::format("{} weight {} running {} of {}\n", tenant.name, tenant.weight, tenant.running, tenant.max_running);
  for (const auto& batch : world.batches)
    text += fmt::format("{} priority {} dedicated {} running {} of {} stopped {}\n", batch.name, batch.priority,
                        batch.dedicated, batch.running, batch.max_running, batch.stopped);
  for (const auto& lane : world.lanes)
    text +=
        fmt::format("lane tenant {} batch {} ready {} slots {} memory {} labels {} type {} packaged {} starving {}\n",
                    lane.tenant, lane.batch, lane.ready, lane.key->requirements.slots, lane.key->requirements.memory,
                    lane.key->requirements.labels.size(), lane.key->type, lane.key->packaged, lane.starving);
  for (const auto& host : world.hosts)
    text += fmt::format("{} open {} alive {} slots {} of {} memory {} of {} running {} dedicated {} mixed {}\n",
                        host.host->name, host.open, host.alive, host.free_slots, host.host->slots, host.free_memory,
                        host.host->memory, host.running, host.dedicated_to ? int(*host.dedicated_to) : -1,
                        host.has_other_batches);
  return text;
}

RC_GTEST_PROP(SchedulerProperty, EveryGrantIsTheOneTheRulesName, ()) {
  World world = any_world();
  for (int round = 0; round < 6; ++round) {
    live_on(world);
    std::size_t max = one_in(3) ? std::size_t(any(0, 4)) : 1'000'000;
    auto plan = world.ask(max);
    auto plain = PlainReading(world).run(max);
    RC_LOG() << text_of(world);
    RC_ASSERT(text_of(plan) == text_of(plain));
    RC_ASSERT(text_of(world.ask(max)) == text_of(plan));
    expect_well_placed(world, plan);
    world.carry_out(plan.grants);
    expect_sound(world);
  }
}

RC_GTEST_PROP(SchedulerProperty, NoRoomIsLeftThatALaneCouldUse, ()) {
  World world = any_world();
  for (int round = 0; round < 4; ++round) {
    live_on(world);
    auto plan = world.ask();
    world.carry_out(plan.grants);
    PlainReading after(world);
    for (Index lane = 0; lane < world.lanes.size(); ++lane) {
      if (world.lanes[lane].ready == 0 || after.limited(lane)) continue;
      for (Index host = 0; host < world.hosts.size(); ++host) {
        bool held = std::any_of(plan.held.begin(), plan.held.end(), [&](const Held& h) { return h.host == host; });
        RC_ASSERT(held || !world.hosts[host].open || !after.fits_now(lane, host));
      }
    }
  }
}

RC_GTEST_PROP(SchedulerProperty, ExplanationsAgreeWithWhatHappens, ()) {
  World world = any_world();
  for (int round = 0; round < 4; ++round) {
    live_on(world);
    for (auto& host : world.hosts) host.open = true;
    auto plan = world.ask();
    for (Index lane = 0; lane < world.lanes.size(); ++lane) {
      if (world.lanes[lane].ready == 0) continue;
      RC_LOG() << "lane " << lane << " of\n" << text_of(world) << text_of(plan);
      bool served = std::any_of(plan.grants.begin(), plan.grants.end(), [&](const Grant& g) { return g.lane == lane; });
      RC_ASSERT(served || !world.explain(lane).empty());
    }
    world.carry_out(plan.grants);
    if (!plan.held.empty()) continue;  // who holds is found anew by the next call, after these grants
    for (Index lane = 0; lane < world.lanes.size(); ++lane)
      RC_ASSERT(world.lanes[lane].ready == 0 || !world.explain(lane).empty());
  }
}

RC_GTEST_PROP(SchedulerProperty, ExplanationsCountEachHostOnce, ()) {
  World world = any_world();
  live_on(world);
  std::int64_t alive = std::count_if(world.hosts.begin(), world.hosts.end(), [](auto& host) { return host.alive; });
  for (Index lane = 0; lane < world.lanes.size(); ++lane) {
    std::int64_t counted = 0;
    for (const auto& hindrance : world.explain(lane)) {
      RC_ASSERT(!hindrance.message.empty());
      counted += hindrance.hosts;
    }
    RC_ASSERT(counted == 0 || counted == alive);
  }
}

// ---- shares over time

// Slots become free one at a time, at random; `look` is called whenever they have been given anew.
void let_slots_turn(World& world, int rounds, unsigned seed, auto look) {
  std::mt19937 random(seed);
  world.step();
  look();
  for (int i = 0; i < rounds; ++i) {
    world.finish(random() % world.leases.size());
    world.step();
    look();
  }
}

RC_GTEST_PROP(SchedulerFairness, GrantsFollowTheWeightsAtEveryMoment, ()) {
  World world;
  Index batch = world.batch();
  for (int i = 0, n = any(2, 5); i < n; ++i)
    world.lane(world.tenant("t" + std::to_string(i), any(1, 40) / 4.0), batch, 2'000);
  world.host(60);
  world.host(40);
  // Whoever has had least for its weight comes next: so nobody, were its last grant taken back, has had more than
  // another for its weight.
  let_slots_turn(world, 1'500, unsigned(any(0, 1'000'000)), [&] {
    const auto had = [&](Index t) { return double(2'000 - world.lanes[t].ready); };
    for (Index a = 0; a < world.tenants.size(); ++a)
      for (Index b = 0; b < world.tenants.size(); ++b)
        RC_ASSERT((had(a) - 1) / world.tenants[a].weight <= had(b) / world.tenants[b].weight + 1e-9);
  });
}

RC_GTEST_PROP(SchedulerFairness, OnOneSlotTurnsFollowTheWeights, ()) {
  World world;
  Index batch = world.batch();
  double weights = 0;
  for (int i = 0, n = any(2, 5); i < n; ++i) {
    double weight = any(1, 40) / 4.0;
    weights += weight;
    world.lane(world.tenant("t" + std::to_string(i), weight), batch, 1'500);
  }
  world.host(1);
  std::vector<double> turns(world.tenants.size());
  let_slots_turn(world, 1'400, 1, [&] {
    for (Index t = 0; t < world.tenants.size(); ++t) turns[t] += double(world.tenants[t].slots);
  });
  for (Index t = 0; t < world.tenants.size(); ++t)
    RC_ASSERT(std::abs(turns[t] / 1'401 - world.tenants[t].weight / weights) < 0.02);
}

TEST(SchedulerFairness, ASmallTenantIsServedAtOnceBesideAHugeOne) {
  World world;
  Index batch = world.batch();
  world.lane(world.tenant("big"), batch, 100'000);
  Index small = world.lane(world.tenant("small"), batch, 0);
  for (int i = 0; i < 4; ++i) world.host(4);
  std::mt19937 random(7);
  world.step();
  for (int round = 0; round < 2'000; ++round) {
    // Up to half the slots are its share: so many jobs start with the very next slots that become free.
    auto mine = world.tenants[1].slots;
    auto jobs = std::int64_t(random() % 4);
    if (mine + jobs <= 8) world.add(small, jobs);
    for (auto waiting = world.lanes[small].ready; waiting > 0; --waiting) {
      std::size_t lease = random() % world.leases.size();
      while (world.leases[lease].lane == small) lease = random() % world.leases.size();
      world.finish(lease);
      ASSERT_EQ(world.step().at(0).lane, small);
    }
    world.finish(random() % world.leases.size());
    world.step();
  }
  EXPECT_EQ(world.lanes[small].ready, 0);
}

}  // namespace
}  // namespace geres::hub::engine
