// SPDX-License-Identifier: Apache-2.0
// Who is served next, asked of the whole engine: many tenants and few slots, those that come late or come back, those
// that wait for what they cannot get, operators' batches, dedicated hosts, and what a restart forgets.
#include <queue>
#include <random>

#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

class EngineShares : public EngineTest {
 protected:
  using Grants = std::map<std::string, int>;

  void wait(const std::string& tenant, int jobs, const std::string& batch = {},
            const model::Requirements& requirements = {}) {
    if (pushed_.insert(tenant).second) push(tenant);
    NewJob one = job("Work", tenant);
    one.batch = batch;
    one.spec.requirements = requirements;
    submit_all(std::vector(std::size_t(jobs), one));
  }

  // A host with so many slots goes on until so many leases were granted; a job takes 50 to 150 ms, or what `length`
  // says.
  Grants serve(int grants) {
    Grants made;
    order_.clear();
    while (true) {
      for (const auto& granted : fetch(host(), slots_).leases) {
        const auto& tenant = granted.job.spec.tenant;
        ++made[tenant];
        order_.push_back(tenant);
        const Millis length = lengths_.contains(tenant) ? lengths_[tenant] : 50 + Millis(random_numbers_() % 100);
        ends_.push({clock.monotonic() + length, granted.lease.name});
      }
      if (int(order_.size()) >= grants) return made;
      if (ends_.empty()) throw std::runtime_error("nothing is granted");
      end_next();
    }
  }
  void end_next() {
    const auto [at, lease] = ends_.top();
    ends_.pop();
    clock.advance(std::max<Millis>(0, at - clock.monotonic()));
    finish(host(), lease);
  }
  void end_all() {
    while (!ends_.empty()) end_next();
  }

  TestHost& host() {
    if (!host_) host_ = join("h", slots_);
    return *host_;
  }
  void weigh(const std::string& tenant, double weight, int max_running = 0) {
    TenantSettings settings;
    settings.weight = weight;
    settings.max_running = max_running;
    engine->ask(PutTenant{tenant, settings}, [](auto) {});
    tick();
  }
  void pause(const std::string& batch, bool paused) {
    engine->ask(PauseBatch{admin(), batch, paused}, [](auto) {});
    tick();
  }

  int slots_ = 1;
  std::map<std::string, Millis> lengths_;
  std::vector<std::string> order_;  // of the last serve()

 private:
  using End = std::pair<Millis, Uuid>;
  std::mt19937 random_numbers_{5};
  std::set<std::string> pushed_;
  std::optional<TestHost> host_;
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
};

TEST_F(EngineShares, WithManyMoreTenantsThanSlotsAllAreServedAlike) {
  slots_ = 4;
  for (int t = 0; t < 40; ++t) wait("t" + std::to_string(t), 20);
  const auto made = serve(400);
  for (int t = 0; t < 40; ++t) {
    const auto name = "t" + std::to_string(t);
    ASSERT_TRUE(made.contains(name)) << name;
    EXPECT_NEAR(made.at(name), 10, 4) << name;  // jobs differ threefold: it is their time that is alike
  }
}

TEST_F(EngineShares, AHistoryIsNeitherADebtNorACredit) {
  wait("old", 400);
  serve(400);
  end_all();
  pass(60'000);
  wait("new", 60);
  wait("old", 60);
  const auto made = serve(60);
  EXPECT_NEAR(made.at("old"), 30, 5);
  EXPECT_NEAR(made.at("new"), 30, 5);
}

TEST_F(EngineShares, OneThatComesBackStandsWhereTheOthersStand) {
  slots_ = 2;
  wait("old", 100);
  serve(100);
  end_all();
  wait("a", 200);
  wait("b", 200);
  serve(100);
  wait("old", 200);
  const auto made = serve(120);
  for (const auto* tenant : {"old", "a", "b"}) EXPECT_NEAR(made.at(tenant), 40, 8) << tenant;
}

// While it asked for what nobody has, or had paused, or was at its limit, it wanted nothing that others kept from it.
TEST_F(EngineShares, WaitingForWhatCannotBeHadEarnsNothing) {
  slots_ = 2;
  wait("sly", 1, {}, {1, 0, {{"gpu", "none-has-it"}}});
  batch("later", 500, "lazy");
  pause("later", true);
  wait("lazy", 100, "later");
  weigh("small", 1, 1);
  wait("small", 200);
  wait("busy", 400);
  lengths_ = {{"sly", 100}, {"lazy", 100}, {"small", 100}, {"busy", 100}};
  auto made = serve(200);
  EXPECT_NEAR(made.at("small"), 100, 2);
  wait("sly", 100);
  pause("later", false);
  weigh("small", 1, 0);
  made = serve(80);
  for (const auto* tenant : {"sly", "lazy", "small", "busy"}) EXPECT_NEAR(made.at(tenant), 20, 3) << tenant;
}

// One long job of a tenant counts as it runs: it cannot save up for a rush, nor is it served again at once.
TEST_F(EngineShares, ALongJobCountsAsItRuns) {
  slots_ = 2;
  lengths_ = {{"long", 10'000}, {"brief", 100}};
  wait("long", 2);
  wait("brief", 300);
  const auto made = serve(80);
  EXPECT_EQ(made.at("long"), 1) << "a second one would take both slots for as long";
  wait("long", 100);
  EXPECT_EQ(serve(20), (Grants{{"brief", 20}}));
}

TEST_F(EngineShares, SlotTimeIsSharedNotTheNumberOfJobs) {
  lengths_ = {{"long", 1'000}, {"brief", 100}};
  wait("long", 100);
  wait("brief", 1'000);
  const auto made = serve(220);
  EXPECT_NEAR(made.at("long"), 20, 2);
  EXPECT_NEAR(made.at("brief"), 200, 2);
}

TEST_F(EngineShares, AnOperatorsBatchRanksOverAllAndATenantsOwnWithinItself) {
  Slot<model::Batch> slot;
  engine->ask(CreateBatch{caller("sly"), {"sly", "first", 100, false, 0}}, slot.answer());
  tick();
  EXPECT_FALSE(slot.value().over_tenants);
  wait("sly", 20);
  wait("sly", 20, "first");
  wait("plain", 20);
  lengths_ = {{"sly", 100}, {"plain", 100}};
  EXPECT_EQ(serve(20), (Grants{{"sly", 10}, {"plain", 10}})) << "its own priority gives it nothing of others";
  EXPECT_TRUE(batch("urgent", 100, "plain").over_tenants);
  wait("plain", 15, "urgent");
  EXPECT_EQ(serve(15), (Grants{{"plain", 15}}));
  restart();
  wait("plain", 5, "urgent");
  EXPECT_EQ(serve(5), (Grants{{"plain", 5}}));
}

TEST_F(EngineShares, WhoKeepsAHostToItselfPaysForAllOfIt) {
  slots_ = 4;
  batch("alone", 500, "greedy", 0, true);
  lengths_ = {{"greedy", 100}, {"plain", 100}};
  wait("greedy", 1, "alone");
  EXPECT_EQ(serve(1), (Grants{{"greedy", 1}}));
  end_all();
  const auto& tenants = engine->state().tenants;
  EXPECT_EQ(tenants.at("greedy").account.spent(clock.monotonic()), 400);
  EXPECT_EQ(tenants.at("greedy").account.charged(clock.monotonic() + 1'000), 400) << "the host is anybody's again";
}

TEST_F(EngineShares, AHostThatIsKeptFreeIsPaidForByWhomItWaits) {
  slots_ = 2;
  lengths_ = {{"greedy", 100}, {"plain", 1'000}};
  batch("alone", 500, "greedy", 0, true);
  wait("plain", 1);
  serve(1);
  wait("greedy", 1, "alone");
  EXPECT_TRUE(fetch(host(), 2).leases.empty());
  const auto& account = engine->state().tenants.at("greedy").account;
  const auto before = account.spent(clock.monotonic());
  EXPECT_EQ(account.spent(clock.monotonic() + 1'000) - before, 1'000) << "one slot is busy, one stands idle for it";
}

TEST_F(EngineShares, WhatJobsTakeIsKnownAfterARestart) {
  wait("acme", 30);
  serve(10);
  const auto known = engine->state().lanes.begin()->second.row.duration;
  EXPECT_EQ(known.ends, 9);
  EXPECT_NEAR(known.ms, 100, 50);
  restart();
  const auto read = engine->state().lanes.begin()->second.row.duration;
  EXPECT_GT(read.ends, 0);
  EXPECT_NEAR(read.ms, known.ms, 15);
  EXPECT_EQ(engine->state().tenants.at("acme").duration.ms, read.ms);
}

// The state is read anew after a tick that failed: who has had what must not be forgotten, or on a disk that refuses
// now and then names would decide.
TEST_F(EngineShares, AFailedTickForgetsNothing) {
  slots_ = 2;
  for (const auto* tenant : {"a", "b", "c", "d", "e"}) wait(tenant, 40), lengths_[tenant] = 100;
  Grants all;
  for (int round = 0; round < 50; ++round) {
    store->next_commit = FaultyStore::CommitFault{store::Failure::unknown, round % 2 == 0};
    weigh("e", 1);  // any command: its tick fails
    for (const auto& [tenant, grants] : serve(2)) all[tenant] += grants;
  }
  for (const auto& [tenant, grants] : all) EXPECT_NEAR(grants, 20, 2) << tenant;
  EXPECT_EQ(all.size(), 5u);
}

TEST_F(EngineShares, AChangedWeightCountsFromNowOn) {
  lengths_ = {{"a", 100}, {"b", 100}};
  wait("a", 300);
  wait("b", 300);
  serve(100);
  weigh("a", 3);
  EXPECT_NEAR(serve(80).at("a"), 60, 2) << "not for what was before";
}

}  // namespace
}  // namespace geres::hub::engine
