// SPDX-License-Identifier: Apache-2.0
// Each of the scheduler's rules by example, and the words of why().
#include <gmock/gmock.h>

#include "hub/engine/scheduler_world.h"

namespace geres::hub::engine {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t kGiB = std::int64_t(1) << 30;

std::vector<Index> lanes_of(const std::vector<Grant>& grants) {
  std::vector<Index> out;
  for (const Grant& grant : grants) out.push_back(grant.lane);
  return out;
}

std::vector<Index> hosts_of(const std::vector<Grant>& grants) {
  std::vector<Index> out;
  for (const Grant& grant : grants) out.push_back(grant.host);
  return out;
}

model::Requirements slots(int n) {
  return {n, 0, {}};
}

TEST(Scheduler, NothingToDoIsNothingDone) {
  World world;
  EXPECT_THAT(world.ask().grants, IsEmpty());
  world.host(4);
  EXPECT_THAT(world.ask().grants, IsEmpty());
  world.lane(world.tenant("acme"), world.batch(), 3);
  EXPECT_EQ(world.ask().grants.size(), 3u);
  EXPECT_EQ(world.ask(2).grants.size(), 2u);
  EXPECT_EQ(world.ask(0).grants.size(), 0u);
  world.hosts[0].open = false;
  EXPECT_THAT(world.ask().grants, IsEmpty());
}

TEST(Scheduler, BetterBatchPriorityFirstOverAllTenants) {
  World world;
  Index acme = world.tenant("acme"), globex = world.tenant("globex");
  Index late = world.lane(acme, world.batch(500), 5);
  Index early = world.lane(globex, world.batch(100), 2);
  world.host(3);
  EXPECT_THAT(lanes_of(world.step()), ElementsAre(early, early, late));
}

TEST(Scheduler, ALaneWithoutPlaceBlocksNoOther) {
  World world;
  Index acme = world.tenant("acme");
  world.lane(acme, world.batch(1), 5, {1, 0, {{"gpu", "a100"}}});
  Index plain = world.lane(acme, world.batch(500), 5);
  world.host(2);
  EXPECT_THAT(lanes_of(world.step()), ElementsAre(plain, plain));
}

TEST(Scheduler, TheTenantThatUsesLeastOfItsShareFirst) {
  World world;
  Index heavy = world.tenant("heavy", 3), light = world.tenant("light", 1);
  Index batch = world.batch();
  Index a = world.lane(heavy, batch, 100), b = world.lane(light, batch, 100);
  world.host(8);
  auto grants = lanes_of(world.step());
  EXPECT_EQ(std::count(grants.begin(), grants.end(), a), 6);
  EXPECT_EQ(std::count(grants.begin(), grants.end(), b), 2);
}

TEST(Scheduler, SlotsCountNotJobs) {
  World world;
  Index wide = world.tenant("wide"), narrow = world.tenant("narrow");
  Index batch = world.batch();
  Index a = world.lane(wide, batch, 100, slots(4)), b = world.lane(narrow, batch, 100);
  world.host(8);
  auto grants = lanes_of(world.step());
  EXPECT_EQ(std::count(grants.begin(), grants.end(), a), 1);
  EXPECT_EQ(std::count(grants.begin(), grants.end(), b), 4);
}

TEST(Scheduler, EqualsTakeTurnsOnOneSlot) {
  World world;
  Index batch = world.batch();
  Index a = world.lane(world.tenant("a"), batch, 10), b = world.lane(world.tenant("b"), batch, 10);
  world.host(1);
  std::vector<Index> order;
  for (int i = 0; i < 6; ++i) {
    order.push_back(world.step().at(0).lane);
    world.finish(0);
  }
  EXPECT_THAT(order, ElementsAre(a, b, a, b, a, b));
}

TEST(Scheduler, WithinATenantTheBetterHeadFirst) {
  World world;
  Index acme = world.tenant("acme"), batch = world.batch();
  Index older = world.lane(acme, batch, 0, {}, "Older"), newer = world.lane(acme, batch, 0, {}, "Newer");
  world.add(older, 1);
  world.add(newer, 1);
  world.add(older, 1);
  world.add(newer, 1, -5);  // more urgent
  world.host(4);
  EXPECT_THAT(lanes_of(world.step()), ElementsAre(newer, older, newer, older));
}

TEST(Scheduler, LooksPastAHeadOnlyToCompareLanesOfOneTenant) {
  World world;
  Index batch = world.batch();
  world.lane(world.tenant("a"), batch, 10);
  world.lane(world.tenant("b"), batch, 10);
  world.host(8);
  world.ask();
  EXPECT_THAT(world.peeked, IsEmpty());
  world.lane(0, batch, 1, {}, "Other");
  world.ask();
  EXPECT_FALSE(world.peeked.empty());
}

TEST(Scheduler, LimitsOfBatchAndTenantAreExact) {
  World world;
  Index acme = world.tenant("acme", 1, 3), globex = world.tenant("globex");
  Index small = world.batch(100, false, 2), big = world.batch(500);
  Index a = world.lane(acme, small, 10), b = world.lane(acme, big, 10), c = world.lane(globex, big, 10);
  world.host(10);
  auto grants = lanes_of(world.step());
  EXPECT_EQ(std::count(grants.begin(), grants.end(), a), 2);
  EXPECT_EQ(std::count(grants.begin(), grants.end(), b), 1);
  EXPECT_EQ(std::count(grants.begin(), grants.end(), c), 7);
  EXPECT_THAT(world.step(), IsEmpty());
}

TEST(Scheduler, AStoppedBatchStartsNothing) {
  World world;
  Index batch = world.batch();
  world.lane(world.tenant("acme"), batch, 1);
  world.host(1);
  world.batches[batch].stopped = true;
  EXPECT_THAT(world.ask().grants, IsEmpty());
}

TEST(Scheduler, SlotsAndMemoryOfAHostAreExact) {
  World world;
  Index acme = world.tenant("acme"), batch = world.batch();
  world.lane(acme, batch, 10, {1, 3 * kGiB, {}});
  world.host(8, {}, 8 * kGiB);
  EXPECT_EQ(world.step().size(), 2u);
  world.host(2);  // memory not said: not counted
  EXPECT_EQ(world.step().size(), 2u);
}

TEST(Scheduler, LabelsTenantsTypesAndPackagesMustFit) {
  World world;
  Index acme = world.tenant("acme"), batch = world.batch();
  Index packaged = world.lane(acme, batch, 1, {1, 0, {{"zone", "b"}}}, "Encode");
  Index handler = world.lane(acme, batch, 1, {}, "Encode", false);
  Index host = world.host(4);
  world.machines[host].tenants = {"globex"};
  EXPECT_THAT(world.ask().grants, IsEmpty());
  world.machines[host].tenants = {"globex", "acme"};
  EXPECT_THAT(world.ask().grants, IsEmpty());  // no label, and a host that names no type runs packages only
  world.machines[host].labels = {{"zone", "b"}, {"disk", "ssd"}};
  EXPECT_THAT(lanes_of(world.ask().grants), ElementsAre(packaged));
  world.machines[host].packages = false;
  EXPECT_THAT(world.ask().grants, IsEmpty());
  world.machines[host].types = {"Decode"};
  EXPECT_THAT(world.ask().grants, IsEmpty());
  world.machines[host].types = {"Decode", "Encode"};
  EXPECT_THAT(lanes_of(world.ask().grants), ElementsAre(handler));
}

TEST(Scheduler, TheHostWithTheLargestFreeShareThenTheFirst) {
  World world;
  Index acme = world.tenant("acme"), batch = world.batch();
  Index lane = world.lane(acme, batch, 0);
  Index big = world.host(8), small = world.host(2);
  world.run(lane, big);
  world.add(lane, 5);
  // 7/8 and 2/2, 1/2; then 6/8, 5/8, 4/8 = 1/2
  EXPECT_THAT(hosts_of(world.step()), ElementsAre(small, big, big, big, big));
}

TEST(Scheduler, NothingGoesToHostsThatDrainOrAreGone) {
  World world;
  world.lane(world.tenant("acme"), world.batch(), 5);
  Index draining = world.host(2), gone = world.host(2);
  world.machines[draining].mode = model::HostMode::drain;
  world.hosts[gone].alive = false;
  EXPECT_THAT(world.ask().grants, IsEmpty());
}

TEST(SchedulerDedicated, RunsOnHostsThatRunNothingElse) {
  World world;
  Index acme = world.tenant("acme");
  Index plain = world.lane(acme, world.batch(500), 2), alone = world.lane(acme, world.batch(900, true), 2);
  Index first = world.host(4), second = world.host(4);
  world.run(plain, first);
  auto grants = world.step();
  // The plain jobs spread as ever; the dedicated ones find no host left.
  EXPECT_THAT(lanes_of(grants), ElementsAre(plain, plain));
  world.finish(0);
  while (!world.leases.empty()) world.finish(0);
  grants = world.step();
  EXPECT_THAT(lanes_of(grants), ElementsAre(alone, alone));
  EXPECT_EQ(grants[0].host, grants[1].host) << "fills the host it has before it takes another";
  world.add(plain, 8);
  for (const Grant& grant : world.step()) EXPECT_EQ(grant.host, grants[0].host == first ? second : first);
}

TEST(SchedulerDedicated, AHostIsHeldUntilItIsEmpty) {
  World world;
  Index acme = world.tenant("acme"), globex = world.tenant("globex");
  Index plain = world.lane(globex, world.batch(500), 0), alone = world.lane(acme, world.batch(500, true), 1);
  Index busy = world.host(2), nearly = world.host(2);
  for (Index host : {busy, busy, nearly}) world.run(plain, host);
  world.add(plain, 10);
  auto plan = world.ask();
  EXPECT_THAT(plan.grants, IsEmpty());
  ASSERT_EQ(plan.held.size(), 1u);
  EXPECT_EQ(plan.held[0].host, nearly);
  EXPECT_EQ(plan.held[0].lane, alone);
  world.finish(2);
  EXPECT_EQ(world.step().at(0), (Grant{alone, nearly}));
}

TEST(SchedulerDedicated, AHostWhoseFetchIsNotOpenIsHeldToo) {
  World world;
  Index acme = world.tenant("acme"), globex = world.tenant("globex");
  Index plain = world.lane(globex, world.batch(500), 0);
  world.lane(acme, world.batch(500, true), 1);
  Index idle = world.host(2), busy = world.host(4);
  world.run(plain, busy);
  world.add(plain, 2);
  world.hosts[idle].open = false;  // between two fetches
  auto plan = world.ask();
  ASSERT_EQ(plan.held.size(), 1u);
  EXPECT_EQ(plan.held[0].host, idle);
  EXPECT_EQ(plan.grants.size(), 2u) << "the other host goes on";
}

TEST(SchedulerDedicated, ABetterPriorityStillGetsTheHeldHost) {
  World world;
  Index acme = world.tenant("acme"), globex = world.tenant("globex");
  Index plain = world.lane(globex, world.batch(600), 0), urgent = world.lane(globex, world.batch(100), 0);
  world.lane(acme, world.batch(500, true), 1);
  Index host = world.host(2);
  world.run(plain, host);
  world.add(plain, 5);
  EXPECT_THAT(world.ask().grants, IsEmpty());
  world.add(urgent, 1);
  EXPECT_THAT(lanes_of(world.step()), ElementsAre(urgent));
}

TEST(SchedulerDedicated, TwoTakeTurnsOnOneHost) {
  World world;
  Index acme = world.tenant("acme"), globex = world.tenant("globex");
  Index a = world.lane(acme, world.batch(500, true), 100), b = world.lane(globex, world.batch(500, true), 100);
  world.host(2);
  int served_a = 0, served_b = 0;
  for (int i = 0; i < 60; ++i) {
    for (const Grant& grant : world.step()) (grant.lane == a ? served_a : served_b)++;
    std::set<Index> running;
    for (const auto& lease : world.leases) running.insert(lease.lane);
    ASSERT_EQ(running.size(), 1u) << "never both at once";
    world.finish(0);
  }
  EXPECT_GT(served_a, 20);
  EXPECT_GT(served_b, 20);
  EXPECT_GT(world.lanes[b].ready, 0);
}

TEST(SchedulerDedicated, HoldsNothingBeyondItsLimit) {
  World world;
  Index acme = world.tenant("acme"), globex = world.tenant("globex");
  Index alone = world.lane(acme, world.batch(100, true, 1), 5), plain = world.lane(globex, world.batch(500), 0);
  Index own = world.host(2), other = world.host(2);
  world.run(plain, other);
  world.add(plain, 5);
  auto plan = world.ask();
  EXPECT_THAT(plan.grants, ElementsAre(Grant{alone, own}, Grant{plain, other}));
  EXPECT_THAT(plan.held, IsEmpty());
}

TEST(SchedulerDedicated, GivesAHostBackWhenItHasNothingReady) {
  World world;
  Index acme = world.tenant("acme"), globex = world.tenant("globex");
  Index alone = world.lane(acme, world.batch(100, true), 1), plain = world.lane(globex, world.batch(500), 5);
  world.host(2);
  EXPECT_THAT(lanes_of(world.step()), ElementsAre(alone)) << "alone, though a slot is free";
  EXPECT_THAT(world.step(), IsEmpty());
  world.finish(0);
  EXPECT_THAT(lanes_of(world.step()), ElementsAre(plain, plain));
}

TEST(SchedulerDedicated, WaitsWhileOtherBatchesRunOnItsHost) {
  World world;
  Index alone = world.lane(world.tenant("acme"), world.batch(100, true), 1);
  Index host = world.host(4);
  world.hosts[host].running = 2;
  world.hosts[host].free_slots = 2;
  world.hosts[host].dedicated_to = 0;
  world.hosts[host].has_other_batches = true;
  EXPECT_THAT(world.ask().grants, IsEmpty());
  EXPECT_THAT(world.codes(alone), ElementsAre("dedicated"));
}

TEST(SchedulerStarving, AWideLaneHoldsAHostUntilItFits) {
  World world;
  Index acme = world.tenant("acme"), globex = world.tenant("globex");
  Index narrow = world.lane(globex, world.batch(), 0), wide = world.lane(acme, 0, 1, slots(4));
  Index host = world.host(4);
  for (int i = 0; i < 4; ++i) world.run(narrow, host);
  world.add(narrow, 100);
  world.finish(0);
  EXPECT_THAT(lanes_of(world.step()), ElementsAre(narrow)) << "not starving yet";
  world.lanes[wide].starving = true;
  for (int i = 0; i < 3; ++i) {
    world.finish(0);
    auto plan = world.ask();
    EXPECT_THAT(plan.grants, IsEmpty());
    ASSERT_EQ(plan.held.size(), 1u);
    EXPECT_EQ(plan.held[0].lane, wide);
  }
  world.finish(0);
  EXPECT_THAT(lanes_of(world.step()), ElementsAre(wide));
}

TEST(SchedulerStarving, HoldsTheHostNearestToFitting) {
  World world;
  Index acme = world.tenant("acme"), globex = world.tenant("globex");
  Index narrow = world.lane(globex, world.batch(), 0), wide = world.lane(acme, 0, 1, slots(4));
  world.lanes[wide].starving = true;
  Index a = world.host(4), b = world.host(4);
  for (Index host : {a, a, b}) world.run(narrow, host);
  world.add(narrow, 100);
  auto plan = world.ask();
  ASSERT_EQ(plan.held.size(), 1u);
  EXPECT_EQ(plan.held[0].host, b);
  EXPECT_THAT(hosts_of(plan.grants), ElementsAre(a, a));
}

TEST(SchedulerStarving, AnOrdinaryLaneGetsItsTurnOnADedicatedHost) {
  World world;
  Index acme = world.tenant("acme"), globex = world.tenant("globex");
  Index alone = world.lane(acme, world.batch(500, true), 100), plain = world.lane(globex, world.batch(500), 1);
  Index host = world.host(2);
  world.run(alone, host);
  EXPECT_THAT(lanes_of(world.ask().grants), ElementsAre(alone));
  world.lanes[plain].starving = true;
  EXPECT_THAT(world.ask().grants, IsEmpty());
  world.finish(0);
  EXPECT_EQ(world.step().at(0).lane, plain);
}

class Why : public testing::Test {
 protected:
  World world;
  Index acme = world.tenant("acme");
  Index batch = world.batch();
};

TEST_F(Why, NothingHoldsItBack) {
  Index lane = world.lane(acme, batch, 1);
  world.host(1);
  EXPECT_THAT(world.explain(lane), IsEmpty());
}

TEST_F(Why, NoHost) {
  Index lane = world.lane(acme, batch, 1);
  EXPECT_EQ(world.first_reason(lane), "no host is connected");
  world.host(1);
  world.hosts[0].alive = false;
  EXPECT_EQ(world.first_reason(lane), "no host is connected");
}

TEST_F(Why, SlotsAreBusy) {
  Index lane = world.lane(acme, batch, 0);
  Index host = world.host(4);
  for (int i = 0; i < 4; ++i) world.run(lane, host);
  world.add(lane, 1);
  EXPECT_EQ(world.first_reason(lane), "4 of 4 slots on 1 host are busy");
  EXPECT_THAT(world.codes(lane), ElementsAre("slotsBusy"));
  world.finish(0);
  Index wide = world.lane(acme, batch, 1, slots(2));
  EXPECT_EQ(world.first_reason(wide), "3 of 4 slots on 1 host are busy, the job needs 2 on one host");
}

TEST_F(Why, Limits) {
  Index lane = world.lane(acme, batch, 5);
  Index host = world.host(20);
  world.batches[batch].name = "photos";
  world.batches[batch].stopped = true;
  EXPECT_EQ(world.first_reason(lane), "batch photos is paused");
  world.batches[batch].stopped = false;
  world.tenants[acme].max_running = 8;
  world.tenants[acme].running = 8;
  EXPECT_EQ(world.first_reason(lane), "tenant acme runs 8 of at most 8 jobs");
  world.batches[batch].max_running = 2;
  world.batches[batch].running = 2;
  EXPECT_THAT(world.codes(lane), ElementsAre("batchLimit", "tenantLimit"));
  EXPECT_EQ(world.first_reason(lane), "batch photos runs 2 of at most 2 jobs");
  (void)host;
}

TEST_F(Why, Labels) {
  Index lane = world.lane(acme, batch, 1, {1, 0, {{"gpu", "a100"}}});
  world.host(1, {{"gpu", "none"}});
  world.host(1, {{"gpu", "none"}});
  Index right = world.host(1, {{"gpu", "a100"}});
  EXPECT_THAT(world.explain(lane), IsEmpty());
  world.hosts[right].free_slots = 0;
  auto reasons = world.explain(lane);
  ASSERT_EQ(reasons.size(), 2u);
  EXPECT_EQ(reasons[0].message, "1 of 1 slots on 1 of 3 hosts are busy");
  EXPECT_EQ(reasons[1].message, "2 of 3 hosts lack label gpu=a100 (they have gpu=none)");
  EXPECT_EQ(reasons[1].hosts, 2);
}

TEST_F(Why, SlotsAndMemoryTooFew) {
  Index wide = world.lane(acme, batch, 1, slots(16)), large = world.lane(acme, batch, 1, {1, 16 * kGiB, {}});
  world.host(8, {}, 8 * kGiB);
  world.host(4, {}, 4 * kGiB);
  EXPECT_EQ(world.first_reason(wide), "no host has 16 slots (the largest has 8)");
  EXPECT_EQ(world.first_reason(large), "no host has 16 GiB of memory (the largest has 8 GiB)");
}

TEST_F(Why, MemoryBusy) {
  Index lane = world.lane(acme, batch, 1, {1, 4 * kGiB, {}});
  world.host(8, {}, 8 * kGiB);
  world.hosts[0].free_memory = 2 * kGiB;
  EXPECT_EQ(world.first_reason(lane), "1 host has too little free memory (at most 2 GiB, the job needs 4 GiB)");
}

TEST_F(Why, TypesPackagesTenants) {
  Index handler = world.lane(acme, batch, 1, {}, "Encode", false), packaged = world.lane(acme, batch, 1);
  Index host = world.host(1);
  EXPECT_EQ(world.first_reason(handler), "no worker that handles type Encode without a package is connected");
  world.machines[host].packages = false;
  EXPECT_EQ(world.first_reason(packaged), "no host that runs packages is connected");
  world.machines[host].tenants = {"globex"};
  EXPECT_EQ(world.first_reason(packaged), "no host that serves tenant acme is connected");
}

TEST_F(Why, DrainingDedicatedHeld) {
  Index globex = world.tenant("globex");
  Index plain = world.lane(acme, batch, 0), alone = world.lane(globex, world.batch(400, true), 1);
  Index host = world.host(2);
  world.run(plain, host);
  world.add(plain, 1);
  EXPECT_EQ(world.codes(plain).front(), "held");
  EXPECT_EQ(world.codes(alone).front(), "dedicated");
  EXPECT_EQ(world.first_reason(alone), "1 host runs other jobs; dedicated batch batch1 needs an empty host");
  world.finish(0);
  world.step();
  EXPECT_EQ(world.first_reason(plain), "1 host is dedicated to another batch");
  world.machines[host].mode = model::HostMode::drain;
  EXPECT_EQ(world.first_reason(plain), "1 host is draining");
}

TEST_F(Why, OthersComeFirst) {
  Index globex = world.tenant("globex");
  Index lane = world.lane(acme, batch, 1);
  world.host(1);
  world.tenants[acme].slot_time = 1;
  Index other = world.lane(globex, batch, 1);
  EXPECT_EQ(world.first_reason(lane), "tenants that have had less of their share are served first");
  EXPECT_THAT(world.explain(other), IsEmpty());
  world.lane(globex, world.batch(1), 1);
  EXPECT_THAT(world.codes(lane), ElementsAre("share", "priority"));
  EXPECT_EQ(world.first_reason(other), "jobs of batches with a better priority are served first");
  Index younger = world.lane(acme, batch, 1, {}, "Other");
  EXPECT_EQ(world.codes(younger).front(), "queue");
}

TEST_F(Why, LanesThatCannotUseTheHostAreNoRivals) {
  Index globex = world.tenant("globex");
  world.lane(globex, world.batch(1), 5, {1, 0, {{"gpu", "a100"}}});
  world.lane(globex, world.batch(1), 5, slots(4));
  Index lane = world.lane(acme, batch, 1);
  world.host(2);
  EXPECT_THAT(world.explain(lane), IsEmpty());
}

}  // namespace
}  // namespace geres::hub::engine
