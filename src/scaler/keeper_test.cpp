// SPDX-License-Identifier: Apache-2.0
// A keeper, a hub's book, a provider and a fleet through hours of simulated time: each way in which a provider can be
// slow, wrong or silent, and a scaler can die. Whatever happens, no machine with a job is removed, nothing is ordered
// while an order is open, and in the end there are as many machines as are wanted, no more and no fewer.
#include "scaler/keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

#include "scaler/fake_world_test.h"
#include "scaler/policies.h"

namespace geres::scaler {
namespace {

using ::testing::HasSubstr;
using testing::World;

class BuiltIn final : public Decider {
 public:
  explicit BuiltIn(std::unique_ptr<policy::Policy> policy) : policy_(std::move(policy)) {}
  Result<policy::Wanted> decide(const policy::Load& load) override { return policy_->decide(load); }

 private:
  std::unique_ptr<policy::Policy> policy_;
};

class Failing final : public Decider {
 public:
  Result<policy::Wanted> decide(const policy::Load&) override { return fail(Code::badValue, "it crashed"); }
};

// What scaler.h does with threads, in one thread and simulated time.
class Driver {
 public:
  explicit Driver(World& world, std::uint64_t seed = 1) : world_(world), random_(seed), seed_(seed) { begin(); }

  void begin() {  // a new scaler
    due_.reset();
    answer_.reset();
    epoch_ = world_.lease("me", std::nullopt).value().epoch;
    keeper_ = std::make_unique<Keeper>(
        "cpu", world_,
        [this](const Pool& pool) -> Result<std::unique_ptr<Decider>> {
          if (policy_fails) return std::unique_ptr<Decider>(std::make_unique<Failing>());
          auto made = make_policy(pool.policy, pool.policy_settings);
          if (!made) return made.error();
          return std::unique_ptr<Decider>(std::make_unique<BuiltIn>(std::move(*made)));
        },
        random_, std::uint32_t(seed_));
    next_ = world_.now;
    begins_ = true;
  }

  // A second of the world.
  void step() {
    world_.step(1'000);
    if (answer_ && world_.now >= answered_at_) {
      auto due = std::move(*due_);
      auto answer = std::move(*answer_);
      due_.reset(), answer_.reset();
      keeper_->answered(epoch_, world_.now, due, std::move(answer));
      next_ = world_.now;
    }
    if (world_.now >= next_) evaluate();
  }

  void run(Millis time) {
    for (const Millis until = world_.now + time; world_.now < until;) step();
  }

  Evaluated evaluate() {
    next_ = world_.now + world_.pool.limits.interval;
    std::optional<DueCall> due;
    world_.tell_decisions = std::exchange(begins_, false);
    last = keeper_->evaluate(
        epoch_, world_.now, [this](const Pool&) { return &world_.capabilities; }, due);
    if (!due || last == Evaluated::stale) return last;
    if (die_before_call) {
      die_before_call = !die_once;
      begin();
      return last;
    }
    due_ = std::move(due);
    switch (due_->call.kind) {
      case Call::Kind::list:
        answer_ = world_.list();
        break;
      case Call::Kind::order:
        answer_ = world_.order(due_->order);
        break;
      case Call::Kind::remove:
        answer_ = world_.remove(due_->call.instances);
        break;
      case Call::Kind::wake:
        answer_ = world_.wake(due_->call.instances);
        break;
    }
    answered_at_ = world_.now + latency;
    if (die_before_answer && due_->call.kind != Call::Kind::list) {
      die_before_answer = !die_once;
      begin();
    }
    return last;
  }

  Keeper& keeper() { return *keeper_; }

  Millis latency = 0;
  bool die_before_call = false, die_before_answer = false, die_once = false, policy_fails = false;
  Evaluated last = Evaluated::done;

 private:
  World& world_;
  SeededRandom random_;
  std::uint64_t seed_;
  std::int64_t epoch_ = 0;
  std::unique_ptr<Keeper> keeper_;
  std::optional<DueCall> due_;
  std::optional<CallAnswer> answer_;
  Millis next_ = 0, answered_at_ = 0;
  bool begins_ = true;
};

constexpr Millis kMinute = 60'000;

class KeeperTest : public ::testing::Test {
 protected:
  World world_;
  Driver driver_{world_};

  const Decision& decided() const { return world_.decisions.back(); }
  std::int64_t ready() const {
    return std::count_if(world_.hosts.begin(), world_.hosts.end(),
                         [](const auto& entry) { return entry.second.mode == Mode::run && !entry.second.lost; });
  }
  // No intent is open, and the book has what the provider has.
  void expect_settled() {
    for (const auto& [request, intent] : world_.intents)
      EXPECT_TRUE(intent.state != Stage::issued && intent.state != Stage::unknown) << json::write_text(intent);
    std::set<std::string> book, provided;
    for (const auto& [name, machine] : world_.machines)
      if (machine.state != Life::gone) book.insert(name);
    for (const auto& [name, machine] : world_.provided) provided.insert(name);
    EXPECT_EQ(book, provided);
  }
};

TEST_F(KeeperTest, GrowsWithTheWorkAndShrinksToNothingWhenItIsDone) {
  world_.queue = 200;
  driver_.run(2 * kMinute);
  EXPECT_EQ(ready(), 10);
  driver_.run(30 * kMinute);
  EXPECT_EQ(world_.done, 200);
  EXPECT_EQ(world_.alive(), 0u);
  expect_settled();
}

TEST_F(KeeperTest, CountsWhatBootsAndOrdersItOnce) {
  world_.queue = 8;
  world_.boot = 4 * kMinute;
  driver_.run(3 * kMinute);
  EXPECT_EQ(world_.alive(), 2u);
  EXPECT_EQ(world_.ordered_calls, 1);
}

TEST_F(KeeperTest, CountsWhatIsBeingOrdered) {
  world_.job_time = 60 * kMinute;
  driver_.run(1'000);  // a list
  world_.queue = 8;
  driver_.latency = 50'000;
  world_.boot = 4 * kMinute;
  for (int i = 0; i < 60 && world_.ordered_calls == 0; ++i) driver_.step();
  driver_.run(35'000);
  EXPECT_EQ(decided().actual, 2) << "its answer is not here yet";
  driver_.run(3 * kMinute);
  EXPECT_EQ(world_.ordered_calls, 1);
}

TEST_F(KeeperTest, RetiresOnlyWhatIsEmpty) {
  world_.pool.limits.scale_in_window = 0;
  for (int i = 0; i < 4; ++i) world_.add("a" + std::to_string(i)).ends.assign(1, world_.now + 20 * kMinute);
  driver_.run(10 * kMinute);
  EXPECT_EQ(ready(), 1);
  EXPECT_EQ(world_.alive(), 4u);
  driver_.run(30 * kMinute);
  EXPECT_EQ(world_.alive(), 0u);
  EXPECT_EQ(world_.retired_in_vain, 0);
}

TEST_F(KeeperTest, OrdersNothingOnADoubtfulList) {
  world_.queue = 16;
  world_.job_time = 120 * kMinute;
  driver_.run(3 * kMinute);
  ASSERT_EQ(ready(), 4);
  world_.queue = 8;
  const auto calls = world_.ordered_calls;
  for (int i = 0; i < 6; ++i) {  // no two lists say the same
    world_.faults.lists_empty = i % 2 == 0, world_.faults.lists_half = i % 2 == 1;
    for (const auto lists = world_.list_calls; world_.list_calls == lists;) driver_.step();
    driver_.step();
    EXPECT_EQ(world_.ordered_calls, calls);
    EXPECT_THAT(decided().reason, HasSubstr("listDoubted"));
  }
  world_.faults = {};
  driver_.run(1 * kMinute);
  EXPECT_EQ(world_.alive(), 6u);
}

TEST_F(KeeperTest, ResumesWhatItDrainsBeforeItOrders) {
  world_.pool.limits.scale_in_window = 0;
  world_.pool.limits.step_in = {100, 0};
  for (int i = 0; i < 4; ++i) world_.add("a" + std::to_string(i)).ends.assign(2, world_.now + 20 * kMinute);
  driver_.run(1 * kMinute);  // 8 slots: two hosts are enough
  EXPECT_EQ(ready(), 2);
  EXPECT_EQ(world_.ordered_calls, 0);
  world_.queue = 8;
  driver_.run(20'000);
  EXPECT_EQ(ready(), 4);
  EXPECT_EQ(world_.ordered_calls, 0);
}

TEST_F(KeeperTest, DrainsTheIdleLongestFirstThenTheSoonestEmptyAndKeepsWhatIsKept) {
  world_.pool.limits.scale_in_window = 0;
  world_.pool.limits.maximum_idle = 0;
  world_.pool.limits.step_in = {0, 1};
  world_.pool.limits.cooldown_in = 0;
  world_.add("idle-long").idle_since = world_.now - 10 * kMinute;
  world_.add("idle-short").idle_since = world_.now - 1 * kMinute;
  world_.add("idle-kept").idle_since = world_.now - 20 * kMinute;
  world_.hosts["idle-kept"].keep = true;
  world_.add("busy-long").ends = {world_.now + 50 * kMinute};
  world_.add("busy-short").ends = {world_.now + 40 * kMinute};
  world_.add("busy-dedicated").ends = {world_.now + 30 * kMinute};
  world_.hosts["busy-dedicated"].dedicated = true;
  std::vector<std::string> order;
  for (int i = 0; i < 6; ++i) {
    std::set<std::string> before, after;
    for (const auto& [name, host] : world_.hosts)
      if (host.mode == Mode::run) before.insert(name);
    driver_.evaluate();
    world_.now += 1'000;
    for (const auto& [name, host] : world_.hosts)
      if (host.mode == Mode::run) after.insert(name);
    for (const auto& name : before)
      if (after.count(name) == 0) order.push_back(name);
  }
  EXPECT_THAT(order, ::testing::ElementsAre("idle-long", "idle-short", "idle-kept", "busy-short", "busy-long"));
}

TEST_F(KeeperTest, KeepsIdleHostsUntilTheirTime) {
  world_.pool.limits.scale_in_window = 0;
  world_.pool.limits.maximum_idle = 2;
  world_.pool.limits.step_in = {100, 0};
  world_.pool.limits.cooldown_in = 0;
  for (int i = 0; i < 5; ++i) world_.add("a" + std::to_string(i)).idle_since = world_.now;
  driver_.run(30'000);
  EXPECT_EQ(ready(), 2) << "more than two idle ones are too many";
  driver_.run(4 * kMinute);
  EXPECT_EQ(ready(), 2);
  driver_.run(2 * kMinute);
  EXPECT_EQ(ready(), 0) << "five minutes are over";
  world_.pool.limits.idle_time.reset();
  for (int i = 0; i < 2; ++i) world_.add("b" + std::to_string(i));
  driver_.run(60 * kMinute);
  EXPECT_EQ(ready(), 2) << "never is never";
  world_.pool.limits.idle_time = 0;
  driver_.run(1 * kMinute);
  EXPECT_EQ(ready(), 0) << "and 0 is at once";
}

TEST_F(KeeperTest, LeavesHostsThatAnOperatorDrainsAndReplacesThem) {
  world_.queue = 40;
  driver_.run(2 * kMinute);
  const auto instance = world_.hosts.begin()->first;
  world_.hosts[instance].mode = Mode::drain, world_.hosts[instance].by = "operator";
  world_.queue = 1'000;
  driver_.run(2 * kMinute);
  EXPECT_EQ(ready(), 10);
  EXPECT_EQ(world_.alive(), 11u);
  EXPECT_EQ(world_.hosts[instance].mode, Mode::drain);
}

TEST_F(KeeperTest, ReplacesALostHostAtOnceAndRemovesItWhenItStaysLost) {
  world_.queue = 4'000;
  driver_.run(2 * kMinute);
  const auto lost = world_.hosts.begin()->first;
  world_.hosts[lost].lost = true;
  driver_.run(40'000);
  EXPECT_EQ(world_.alive(), 11u);
  driver_.run(10 * kMinute);
  EXPECT_EQ(world_.provided.count(lost), 0u);
  EXPECT_EQ(world_.alive(), 10u);
}

TEST_F(KeeperTest, ReplacesAnUnfitHost) {
  world_.queue = 4'000;
  driver_.run(2 * kMinute);
  const auto unfit = world_.hosts.begin()->first;
  world_.hosts[unfit].unfit = true;
  driver_.run(10 * kMinute);
  EXPECT_EQ(world_.provided.count(unfit), 0u);
  EXPECT_EQ(world_.alive(), 10u);
}

TEST_F(KeeperTest, RemovesTheMachineOfAHostThatWentByItself) {
  world_.queue = 4'000;
  driver_.run(2 * kMinute);
  const auto gone = world_.hosts.begin()->first;
  world_.hosts.erase(gone);
  driver_.run(2 * kMinute);
  EXPECT_EQ(world_.provided.count(gone), 0u);
  EXPECT_EQ(ready(), 10);
}

TEST_F(KeeperTest, WakesWhatSleepsBeforeItOrders) {
  world_.capabilities.sleeps = true;
  world_.add_asleep("warm1"), world_.add_asleep("warm2");
  driver_.run(2 * kMinute);
  EXPECT_EQ(world_.wake_calls, 0) << "there is no work";
  EXPECT_EQ(world_.alive(), 2u) << "what sleeps is kept";
  world_.queue = 8;  // for two hosts of four slots
  driver_.run(kMinute);
  EXPECT_EQ(ready(), 2);
  EXPECT_EQ(world_.wake_calls, 1);
  EXPECT_EQ(world_.ordered_calls, 0);
  world_.queue = 4'000;
  driver_.run(2 * kMinute);
  EXPECT_EQ(ready(), 10) << "and then it orders";
  EXPECT_EQ(world_.wake_calls, 1) << "nobody is woken twice";
}

TEST_F(KeeperTest, AWakingWithoutAnAnswerIsDecidedByTheLists) {
  world_.capabilities.sleeps = true;
  world_.add_asleep("warm1");
  world_.faults.answers_lost = true;
  world_.queue = 4;
  driver_.run(20'000);
  world_.faults.answers_lost = false;
  driver_.run(3 * kMinute);
  EXPECT_EQ(world_.wake_calls, 1) << "it was done, and nobody does it again";
  EXPECT_EQ(world_.ordered_calls, 0);
  EXPECT_EQ(world_.done, 4);
  for (const auto& [request, intent] : world_.intents)
    EXPECT_TRUE(intent.state != Stage::issued && intent.state != Stage::unknown) << json::write_text(intent);
}

TEST_F(KeeperTest, OrdersAgainWhenAMachineThatTookUpTheQuotaIsRemoved) {
  world_.queue = 4'000;
  world_.faults.quota = true;
  driver_.run(20 * kMinute);  // the pause has grown to minutes
  world_.faults.quota = false;
  world_.add("old");
  world_.provided.at("old").state = MachineState::failed;
  world_.hosts.erase("old");
  driver_.run(kMinute + 30'000);
  EXPECT_EQ(world_.provided.count("old"), 0u);
  EXPECT_GT(ready(), 0) << "it does not wait for the end of the pause";
}

TEST_F(KeeperTest, HoldsOrdersOnlyWhenAQuotaIsReached) {
  world_.queue = 4'000;
  world_.faults.partial = 3;
  driver_.run(25'000);
  EXPECT_EQ(ready(), 3);
  world_.faults.quota = true;
  driver_.run(10 * kMinute);
  const auto calls = world_.ordered_calls;
  driver_.run(10 * kMinute);
  EXPECT_LE(world_.ordered_calls - calls, 3) << "pauses grow to ten minutes";
  EXPECT_THAT(decided().reason, HasSubstr("quota until"));
  EXPECT_EQ(decided().outcome, "providerHeld");
  world_.queue = 0;
  driver_.run(20 * kMinute);
  EXPECT_EQ(world_.alive(), 0u) << "nobody is held from leaving";
  world_.faults = {};
  world_.queue = 400;
  driver_.run(11 * kMinute);
  EXPECT_EQ(world_.done > 400, true);
}

TEST_F(KeeperTest, StopsWhenItIsNotAllowedUntilTheSettingsChange) {
  world_.queue = 4'000;
  world_.faults.unauthorized = true;
  driver_.run(60 * kMinute);
  EXPECT_EQ(world_.list_calls, 1);
  EXPECT_THAT(decided().reason, HasSubstr("unauthorized: who are you"));
  world_.faults = {};
  driver_.run(10 * kMinute);
  EXPECT_EQ(world_.alive(), 0u);
  ++world_.pool.version;
  driver_.run(2 * kMinute);
  EXPECT_EQ(ready(), 10);
}

TEST_F(KeeperTest, PausesWhenItIsThrottled) {
  world_.queue = 400;
  world_.faults.throttled = true;
  driver_.run(60 * kMinute);
  EXPECT_LE(world_.list_calls, 16);
  world_.faults = {};
  driver_.run(12 * kMinute);
  EXPECT_GT(world_.done, 0);
}

TEST_F(KeeperTest, GivesUpMachinesThatDoNotJoinAndReplacesOnlyAFew) {
  world_.queue = 4'000;
  world_.faults.liar = true;
  driver_.run(10 * kMinute);
  EXPECT_EQ(world_.alive(), 0u);
  EXPECT_THAT(decided().reason, HasSubstr("did not join"));
  driver_.run(60 * kMinute);
  EXPECT_LE(world_.ordered_calls, 20);
  world_.faults = {};
  driver_.run(20 * kMinute);
  EXPECT_EQ(ready(), 10);
  driver_.run(10 * kMinute);
  expect_settled();
}

TEST_F(KeeperTest, RemovesMachinesThatFail) {
  world_.queue = 4'000;
  world_.faults.orders_fail_to_boot = true;
  driver_.run(9 * kMinute);
  EXPECT_LE(world_.ordered_calls, 3);
  world_.faults = {};
  driver_.run(30 * kMinute);
  EXPECT_EQ(ready(), 10);
  expect_settled();
}

TEST_F(KeeperTest, FindsOutWhatBecameOfAnOrderByItsMark) {
  world_.job_time = 60 * kMinute;
  driver_.run(1'000);  // a list
  world_.queue = 16;
  for (const bool was_done : {true, false}) {
    world_.faults = {};
    (was_done ? world_.faults.answers_lost : world_.faults.calls_lost) = true;
    world_.queue += was_done ? 0 : 8;
    const auto before = world_.ordered_calls;
    for (int i = 0; i < 600 && world_.ordered_calls == before; ++i) driver_.step();
    EXPECT_EQ(world_.ordered_calls, before + 1);
    world_.faults = {};
    driver_.run(3 * kMinute);
    EXPECT_EQ(world_.alive(), was_done ? 4u : 6u) << was_done;
    expect_settled();
  }
}

TEST_F(KeeperTest, TakesInMachinesThatAreNamedLater) {
  world_.queue = 16;
  world_.job_time = 60 * kMinute;
  world_.faults.no_names = true;
  driver_.run(3 * kMinute);
  EXPECT_EQ(world_.alive(), 4u);
  expect_settled();
  world_.capabilities.marks = false;
  world_.queue = 8;
  driver_.run(3 * kMinute);
  EXPECT_EQ(world_.alive(), 6u);
  expect_settled();
}

TEST_F(KeeperTest, WaitsForTheListsWhereOrdersLeaveNoMark) {
  world_.capabilities.marks = false;
  world_.queue = 16;
  world_.job_time = 60 * kMinute;
  driver_.die_before_answer = true;
  driver_.run(20'000);
  driver_.die_before_answer = false;
  driver_.run(5 * kMinute);
  EXPECT_EQ(world_.alive(), 4u);
  EXPECT_EQ(world_.ordered_calls, 1);
  expect_settled();
}

TEST_F(KeeperTest, SurvivesItsOwnDeathBetweenIntentAndCallAndBetweenCallAndAnswer) {
  world_.queue = 16;
  world_.job_time = 60 * kMinute;
  driver_.die_before_call = true;
  driver_.run(5'000);
  driver_.die_before_call = false;
  driver_.run(5 * kMinute);
  EXPECT_EQ(world_.alive(), 4u);
  world_.queue = 8;
  driver_.die_before_answer = true;
  for (int i = 0; i < 600 && world_.ordered_calls < 2; ++i) driver_.step();
  driver_.die_before_answer = false;
  driver_.run(5 * kMinute);
  EXPECT_EQ(world_.alive(), 6u);
  expect_settled();
  for (auto& [name, host] : world_.hosts) host.ends.clear();
  driver_.run(6 * kMinute);
  driver_.die_before_answer = true;
  driver_.run(3 * kMinute);
  driver_.die_before_answer = false;
  driver_.run(20 * kMinute);
  EXPECT_EQ(world_.alive(), 0u);
  expect_settled();
}

TEST_F(KeeperTest, RetriesRemovalsBesideEverythingElse) {
  world_.queue = 40;
  driver_.run(3 * kMinute);
  world_.faults.removals_fail = true;
  driver_.run(30 * kMinute);
  EXPECT_EQ(world_.alive(), 10u);
  const auto calls = world_.removed_calls;
  driver_.run(20 * kMinute);
  EXPECT_LE(world_.removed_calls - calls, 40);
  world_.queue = 40;
  driver_.run(2 * kMinute);
  EXPECT_EQ(ready(), 10) << "what cannot be removed is in nobody's way";
  EXPECT_LE(world_.alive(), 20u);
  world_.queue = 0;
  driver_.run(60 * kMinute);
  world_.queue = 40;
  driver_.run(2 * kMinute);
  EXPECT_LE(world_.alive(), 20u) << "but there are never more than twice as many as the pool may have";
  world_.faults = {};
  driver_.run(40 * kMinute);
  EXPECT_EQ(world_.alive(), 0u);
}

TEST_F(KeeperTest, RemovesAgainWhatWasSaidToBeRemoved) {
  world_.queue = 40;
  driver_.run(3 * kMinute);
  world_.faults.removals_lie = true;
  driver_.run(20 * kMinute);
  EXPECT_EQ(world_.alive(), 10u);
  world_.faults = {};
  driver_.run(20 * kMinute);
  EXPECT_EQ(world_.alive(), 0u);
  expect_settled();
}

TEST_F(KeeperTest, DoesNotBelieveAListThatMissesHostsThatReport) {
  world_.queue = 40'000;
  driver_.run(3 * kMinute);
  ASSERT_EQ(ready(), 10);
  for (const bool empty : {true, false}) {
    world_.faults = {};
    world_.faults.lists_empty = empty, world_.faults.lists_half = !empty;
    driver_.run(40 * kMinute);
    EXPECT_EQ(ready(), 10) << "capacity stays capacity";
    EXPECT_EQ(world_.alive(), 10u) << "nothing was ordered in its place";
    EXPECT_EQ(world_.machines.size(), 10u);
  }
}

TEST_F(KeeperTest, ForgetsMachinesThatAreNotListedAnyMore) {
  world_.queue = 40'000;
  driver_.run(3 * kMinute);
  const auto spot = world_.hosts.begin()->first;
  world_.provided.erase(spot);
  world_.hosts[spot].lost = true;
  driver_.run(2 * kMinute);
  EXPECT_EQ(world_.machines[spot].state, Life::gone);
  EXPECT_EQ(world_.alive(), 10u);
}

TEST_F(KeeperTest, TakesNoSecondAnswerForASecondMachine) {
  world_.queue = 16;
  world_.job_time = 60 * kMinute;
  world_.faults.twice = true;
  driver_.run(3 * kMinute);
  EXPECT_EQ(world_.alive(), 4u);
  EXPECT_EQ(world_.machines.size(), 4u);
}

TEST_F(KeeperTest, TouchesNothingInObserveMode) {
  world_.pool.observe = true;
  world_.queue = 40;
  driver_.run(3 * kMinute);
  EXPECT_EQ(world_.ordered_calls + world_.list_calls, 0);
  EXPECT_EQ(decided().wanted, 4);
  EXPECT_EQ(decided().outcome, "observed");
}

TEST_F(KeeperTest, HoldsStillWhilePaused) {
  world_.queue = 4'000;
  driver_.run(2 * kMinute);
  world_.pool.paused = true;
  world_.queue = 0;
  driver_.run(60 * kMinute);
  EXPECT_EQ(ready(), 10);
}

TEST_F(KeeperTest, FollowsTheHandUntilItsTime) {
  world_.pool.by_hand = ByHand{7, world_.now + 30 * kMinute};
  driver_.run(20 * kMinute);
  EXPECT_EQ(ready(), 7);
  driver_.run(40 * kMinute);
  EXPECT_EQ(world_.alive(), 0u);
}

TEST_F(KeeperTest, KeepsTheLastAnswerOfAPolicyThatFails) {
  world_.queue = 16;
  world_.job_time = 60 * kMinute;
  driver_.run(2 * kMinute);
  EXPECT_EQ(ready(), 4);
  driver_.policy_fails = true;
  ++world_.pool.version;
  for (auto& [name, host] : world_.hosts) host.ends.clear();
  driver_.run(60 * kMinute);
  EXPECT_EQ(ready(), 4);
  EXPECT_EQ(decided().outcome, "policyFailed");
  EXPECT_THAT(decided().reason, HasSubstr("policy failed: it crashed"));
}

TEST_F(KeeperTest, HasNoSayWhenAnotherHasTheLease) {
  world_.queue = 40;
  driver_.run(20'000);
  ++world_.epoch;
  const auto calls = world_.ordered_calls;
  EXPECT_EQ(driver_.evaluate(), Evaluated::stale);
  driver_.run(5 * kMinute);
  EXPECT_EQ(world_.ordered_calls, calls);
}

TEST_F(KeeperTest, TellsAnOutcomeWhenTheHubIsBack) {
  world_.queue = 16;
  world_.job_time = 60 * kMinute;
  for (int i = 0; i < 600 && world_.ordered_calls == 0; ++i) driver_.step();
  world_.away = 3;  // the answer, and two evaluations
  driver_.run(2 * kMinute);
  EXPECT_EQ(world_.alive(), 4u);
  expect_settled();
}

// ---- everything at once ---------------------------------------------------------------------------------------------

void hours(std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRandom random(seed);
  const auto chance = [&](int percent) { return random.next() % 100 < std::uint64_t(percent); };
  World world;
  world.capabilities.marks = !chance(25);
  world.capabilities.most_a_call = 1 + std::int64_t(random.next() % 8);
  Driver driver(world, seed);
  driver.die_once = true;
  for (int minute = 0; minute < 180; ++minute) {
    if (chance(15)) world.faults = {};
    if (chance(10)) {
      auto& faults = world.faults;
      for (bool* fault :
           {&faults.quota, &faults.throttled, &faults.liar, &faults.orders_fail_to_boot, &faults.removals_fail,
            &faults.removals_lie, &faults.lists_empty, &faults.lists_half, &faults.lists_lost, &faults.answers_lost,
            &faults.calls_lost, &faults.no_names, &faults.twice})
        if (chance(12)) *fault = true;
    }
    driver.latency = chance(30) ? Millis(random.next() % 50'000) : 0;
    driver.die_before_call = chance(8), driver.die_before_answer = chance(8);
    if (chance(20)) world.queue += std::int64_t(random.next() % 100);
    world.boot = 5'000 + Millis(random.next() % 90'000);
    if (chance(3)) driver.begin();
    if (chance(3)) world.away = int(random.next() % 5);
    if (!world.hosts.empty() && chance(5)) {
      auto host = world.hosts.begin();
      std::advance(host, random.next() % world.hosts.size());
      if (chance(30))
        world.hosts.erase(host);  // and its jobs: another host has them in a hub
      else if (chance(50))
        host->second.lost = true, host->second.ends.clear();
      else
        host->second.unfit = !host->second.unfit;
    }
    driver.run(kMinute);
    ASSERT_LE(world.alive(), 50u) << "minute " << minute;
  }
  world.faults = {};
  driver.latency = 0, driver.die_before_call = driver.die_before_answer = false;
  world.away = 0;
  for (auto& [name, host] : world.hosts) host.lost = host.unfit = false;
  world.boot = 20'000;
  // Constant work for eight hosts.
  world.queue = 0;
  world.job_time = 60'000;
  for (int i = 0; i < 90; ++i) {
    world.queue = std::max<std::int64_t>(world.queue, 0) + 30;
    driver.run(kMinute);
  }
  std::map<std::string, int> lives;
  for (const auto& [name, machine] : world.machines) ++lives[boost::describe::enum_to_string(machine.state, "")];
  EXPECT_GE(world.alive(), 8u) << world.decisions.back().reason;
  EXPECT_LE(world.alive(), 10u) << world.decisions.back().reason;
  world.queue = 0;
  driver.run(60 * kMinute);
  EXPECT_EQ(world.alive(), 0u) << world.decisions.back().reason;
  for (const auto& [name, machine] : world.machines) EXPECT_EQ(machine.state, Life::gone) << name;
}

TEST(KeeperForHours, EndsWithWhatIsWantedWhateverHappened) {
  for (std::uint64_t seed = 1; seed <= 12 && !::testing::Test::HasFailure(); ++seed) hours(seed);
}

}  // namespace
}  // namespace geres::scaler
