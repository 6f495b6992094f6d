// SPDX-License-Identifier: Apache-2.0
// How many hosts of a pool would be filled: by the scheduler's own rules.
#include "hub/engine/demand.h"

#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

class EngineDemand : public EngineTest {
 protected:
  EngineDemand() { push(); }

  static model::Pool pool(const std::string& name, int slots, double cost = 1) {
    model::Pool pool;
    pool.name = name;
    pool.settings.like.slots = slots;
    pool.settings.limits.cost = cost;
    return pool;
  }
  void submit_many(int n, const std::string& batch = "", int slots = 1) {
    std::vector<NewJob> jobs(std::size_t(n), job());
    for (auto& one : jobs) {
      one.batch = batch;
      one.spec.requirements.slots = slots;
    }
    submit_all(std::move(jobs));
  }
  Demand demand(const std::vector<model::Pool>& pools, const std::string& name = "cpu") {
    return demand_of(*snapshot(), pools, name, clock.wall());
  }
  static std::tuple<std::int64_t, std::int64_t, std::int64_t> runnable(const Demand& demand) {
    return {demand.runnable.jobs, demand.runnable.slots, demand.runnable.hosts};
  }
  using Three = std::tuple<std::int64_t, std::int64_t, std::int64_t>;
};

TEST_F(EngineDemand, NothingWantsNothing) {
  const auto none = demand({pool("cpu", 4)});
  EXPECT_EQ(runnable(none), Three(0, 0, 0));
  EXPECT_TRUE(none.held.empty());
}

TEST_F(EngineDemand, AsManyHostsAsTheJobsFill) {
  submit_many(10);
  clock.advance(2'000);
  const auto ten = demand({pool("cpu", 4)});
  EXPECT_EQ(runnable(ten), Three(10, 10, 3));
  EXPECT_TRUE(ten.held.empty());
  EXPECT_GE(ten.oldest_wait, 2'000);
  EXPECT_EQ(ten.mean_duration, options.duration_guess);
}

TEST_F(EngineDemand, WhatIsLeftOfAHostMayBeTooLittle) {
  submit_many(3, "", 3);
  EXPECT_EQ(runnable(demand({pool("cpu", 4)})), Three(3, 9, 3));
}

TEST_F(EngineDemand, LimitsHoldAsTheyDoForRealHosts) {
  Slot<model::Tenant> slot;
  TenantSettings settings;
  settings.max_running = 5;
  engine->ask(PutTenant{"acme", settings}, slot.answer());
  submit_many(10);
  auto some = demand({pool("cpu", 4)});
  EXPECT_EQ(runnable(some), Three(5, 5, 2));
  EXPECT_EQ(some.held, (std::map<std::string, std::int64_t>{{"tenantLimit", 5}}));
  const auto id = batch("night", 500, "acme", 2).id.str();
  submit_many(4, "night");
  EXPECT_EQ(demand({pool("cpu", 4)}).held,
            (std::map<std::string, std::int64_t>{{"tenantLimit", 7}, {"batchLimit", 2}}));
  Slot<model::Batch> paused;
  engine->ask(PauseBatch{admin(), id, true}, paused.answer());
  tick();
  EXPECT_EQ(demand({pool("cpu", 4)}).held,
            (std::map<std::string, std::int64_t>{{"tenantLimit", 5}, {"batchPaused", 4}}));
}

// A policy that looks at how long jobs wait must see all that is ahead of the hosts.
TEST_F(EngineDemand, WhatThePoolsMaximumCannotTakeAtOnceIsWorkAhead) {
  submit_many(10);
  auto small = pool("cpu", 4);
  small.settings.limits.maximum = 1;
  auto some = demand({small});
  EXPECT_EQ(runnable(some), Three(10, 10, 1));
  EXPECT_TRUE(some.held.empty());
  Slot<model::Tenant> slot;
  TenantSettings settings;
  settings.max_running = 6;
  engine->ask(PutTenant{"acme", settings}, slot.answer());
  tick();
  some = demand({small});
  EXPECT_EQ(runnable(some), Three(6, 6, 1));
  EXPECT_EQ(some.held, (std::map<std::string, std::int64_t>{{"tenantLimit", 4}}));
}

TEST_F(EngineDemand, AJobThatNoTemplateFitsOrdersNothing) {
  auto special = job();
  special.spec.requirements.labels = {{"gpu", "yes"}};
  submit(special);
  EXPECT_EQ(demand({pool("cpu", 4)}).unplaceable, 1);
  EXPECT_EQ(runnable(demand({pool("cpu", 4)})), Three(0, 0, 0));
  auto gpu = pool("gpu", 1);
  gpu.settings.like.labels = {{"gpu", "yes"}};
  EXPECT_EQ(demand({pool("cpu", 4), gpu}).unplaceable, 0);
  EXPECT_EQ(runnable(demand({pool("cpu", 4), gpu}, "gpu")), Three(1, 1, 1));
}

TEST_F(EngineDemand, TheCheapestPoolThatFitsGetsTheJobs) {
  submit_many(6);
  auto cheap = pool("cheap", 2, 0.5);
  cheap.settings.limits.maximum = 2;
  EXPECT_EQ(runnable(demand({pool("cpu", 4), cheap}, "cheap")), Three(4, 4, 2));
  EXPECT_EQ(runnable(demand({pool("cpu", 4), cheap}, "cpu")), Three(2, 2, 1));
}

TEST_F(EngineDemand, WhatRuns) {
  RegisterHost wanted;
  wanted.host.name = "h";
  wanted.host.slots = 3;
  wanted.host.pool = "cpu";
  wanted.host.instance = "m";
  Slot<model::Host> joined;
  engine->ask(wanted, joined.answer());
  tick();
  TestHost host{joined.value().id, "h"};
  submit_many(5);
  EXPECT_EQ(fetch(host, 3).leases.size(), 3u);
  clock.advance(20'000);
  const auto some = demand({pool("cpu", 4)});
  EXPECT_EQ(runnable(some), Three(2, 2, 1));
  EXPECT_EQ(std::tuple(some.running.jobs, some.running.slots), std::tuple(3, 3));
  EXPECT_EQ(some.running.rest_mean, options.duration_guess - 20'000);
  EXPECT_EQ(some.running.rest_p90, options.duration_guess - 20'000);
}

TEST_F(EngineDemand, HowLongJobsTakeOutlivesARestart) {
  auto host = [&] {
    RegisterHost wanted;
    wanted.host.name = "h";
    wanted.host.slots = 1;
    Slot<model::Host> joined;
    engine->ask(wanted, joined.answer());
    tick();
    return TestHost{joined.value().id, "h"};
  }();
  // Nine of ten take 2 s, one takes 20 s.
  for (int i = 0; i < 200; ++i) {
    submit(job());
    const auto leases = fetch(host).leases;
    ASSERT_EQ(leases.size(), 1u);
    start(host, leases[0].lease.name);
    clock.advance(i % 10 == 9 ? 20'000 : 2'000);
    finish(host, leases[0].lease.name);
  }
  submit(job());
  for (const bool again : {false, true}) {
    if (again) restart();
    const auto some = demand({pool("cpu", 1)});
    EXPECT_NEAR(double(some.mean_duration), 3'800, 800);
    EXPECT_GE(some.p90_duration, some.mean_duration);
    EXPECT_LE(some.p90_duration, 21'000);
    EXPECT_GE(some.ends, again ? 128 : 200) << "kept each time that there are twice as many";
  }
}

TEST_F(EngineDemand, WhatIsDueSoonCountsForThePoolThatItFits) {
  std::vector<store::DueJobs> due(2);
  due[0] = {{{}, "acme", "Work", true, {}, {}}, 2, 3};
  due[1] = {{{}, "acme", "Work", true, {1, 0, {{"gpu", "yes"}}}, {}}, 5, 5};
  auto gpu = pool("gpu", 1);
  gpu.settings.like.labels = {{"gpu", "yes"}};
  const std::vector<model::Pool> both{pool("cpu", 4), gpu};
  const auto cpu_demand = demand_of(*snapshot(), both, "cpu", clock.wall(), due);
  EXPECT_EQ(std::pair(cpu_demand.due_in_1m, cpu_demand.due_in_5m), std::pair(std::int64_t(2), std::int64_t(3)));
  EXPECT_EQ(demand_of(*snapshot(), both, "gpu", clock.wall(), due).due_in_1m, 5);
}

TEST_F(EngineDemand, WhySaysThatNoPoolFits) {
  auto special = job();
  special.spec.requirements = {8, 64ll << 30, {{"gpu", "yes"}}};
  const auto id = submit(special);
  EXPECT_NE(why(id).reasons.at(0).code, "noPool") << "there is none";
  Slot<model::Pool> slot;
  engine->ask(PutPool{pool("cpu", 4), {}}, slot.answer());
  tick();
  EXPECT_EQ(why(id).reasons.at(0).code, "noPool");
  EXPECT_EQ(why(id).summary.rfind("no pool's template fits: needs 8 slots", 0), 0u) << why(id).summary;
  EXPECT_NE(why(id).summary.find("64 GiB of memory, label gpu=yes"), std::string::npos) << why(id).summary;
  auto fits = pool("large", 8);
  fits.settings.like.labels = {{"gpu", "yes"}};
  Slot<model::Pool> large;
  engine->ask(PutPool{fits, {}}, large.answer());
  tick();
  for (const auto& reason : why(id).reasons) EXPECT_NE(reason.code, "noPool");
}

TEST_F(EngineDemand, AHostThatIsThereNeedsNoPool) {
  Slot<model::Pool> slot;
  auto other = pool("cpu", 4);
  other.settings.like.types = {{"Other"}};
  engine->ask(PutPool{other, {}}, slot.answer());
  const auto id = submit(job());
  join("h");
  for (const auto& reason : why(id).reasons) EXPECT_NE(reason.code, "noPool");
}

TEST(Arrivals, AreCountedOverTheTimeThatTheHubWasThere) {
  Arrivals arrivals;
  EXPECT_EQ(arrivals.per_second(6, 5'000), 0);
  for (int second = 0; second < 30; ++second) arrivals.add(2, 100'000 + second * 1'000);
  EXPECT_NEAR(arrivals.per_second(6, 130'000), 2, 0.1);
  EXPECT_NEAR(arrivals.per_second(60, 130'000), 2, 0.1);
  EXPECT_NEAR(arrivals.per_second(60, 400'000), 0.2, 0.02);
  EXPECT_EQ(arrivals.per_second(6, 400'000), 0);
  arrivals.add(1, 2'000'000);
  EXPECT_NEAR(arrivals.per_second(60, 2'000'000), 1.0 / 600, 1e-4) << "what was before is forgotten";
}

TEST_F(EngineDemand, ADedicatedBatchNeedsHostsOfItsOwn) {
  batch("alone", 500, "acme", 0, true);
  submit_many(3, "alone");
  submit_many(2);
  const auto some = demand({pool("cpu", 4)});
  EXPECT_EQ(some.runnable.jobs, 5);
  EXPECT_EQ(some.runnable.hosts, 2);
  ASSERT_EQ(some.dedicated.size(), 1u);
  EXPECT_EQ(some.dedicated[0].batch, "alone");
  EXPECT_EQ(some.dedicated[0].hosts, 1);
}

}  // namespace
}  // namespace geres::hub::engine
