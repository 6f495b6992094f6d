// SPDX-License-Identifier: Apache-2.0
// What any store must do, part six: pools, machines, and what the scaler has done.
#pragma once

#include "base/json.h"
#include "hub/store/store_fixture.h"

namespace geres::hub::store::contract {

inline model::Pool pool_named(const std::string& name) {
  model::Pool pool;
  pool.name = name;
  pool.settings.provider.name = "local";
  pool.settings.policy.name = "messageCount";
  return pool;
}

inline void expect_same(const model::Pool& a, const model::Pool& b) {
  EXPECT_EQ(std::tie(a.name, a.version, a.paused, a.removing), std::tie(b.name, b.version, b.paused, b.removing));
  EXPECT_EQ(json::write_text(a.settings), json::write_text(b.settings));
  ASSERT_EQ(a.scale.has_value(), b.scale.has_value());
  if (!a.scale) return;
  EXPECT_EQ(std::pair(a.scale->wanted, a.scale->until), std::pair(b.scale->wanted, b.scale->until));
}

inline std::vector<std::string> instances_of(const std::vector<MachineRow>& machines) {
  std::vector<std::string> names;
  for (const auto& machine : machines) names.push_back(machine.pool + "/" + machine.instance);
  return names;
}

inline std::vector<std::int64_t> numbers_of(const std::vector<DecisionRow>& decisions) {
  std::vector<std::int64_t> numbers;
  for (const auto& decision : decisions) numbers.push_back(decision.id);
  return numbers;
}

TEST_P(StoreContract, KeepsEveryFieldOfAPool) {
  auto pool = pool_named("cpu");
  pool.version = 7;
  pool.paused = pool.removing = true;
  pool.scale = model::Pool::Scale{5, 99};
  auto& settings = pool.settings;
  settings.acts = false;
  settings.like = {3, 5 << 20, {{"zone", "a\"b"}}, std::vector<std::string>{"Work"}, std::vector<std::string>{}};
  settings.provider.settings = R"({"command":["/bin/x"]})";
  settings.policy.settings = R"({"jobsPerHost":3})";
  settings.limits = {1, 2, 3, 4, model::PoolLimits::kNever, 6, 7, 8, 9, {10, 11}, {12, 13}, 14, false, 1.5};
  tick({.pools = {pool, pool_named("gpu")}});
  reopen();
  expect_same(reads().pool("cpu").value(), pool);
  expect_same(store->load().pools.at(0), pool);
  expect_same(reads().pools().at(1), pool_named("gpu"));
  tick({.pools_removed = {"cpu"}});
  EXPECT_FALSE(reads().pool("cpu"));
  EXPECT_EQ(store->load().pools.size(), 1u);
}

TEST_P(StoreContract, KeepsEveryFieldOfAMachine) {
  using State = model::MachineState;
  const MachineRow ready{"cpu", "m-1", State::ready, "r-1", "zone a", 1, 2, {}, "why"};
  const MachineRow over{"cpu", "m-2", State::gone, "", "", 1, {}, 5, ""};
  const MachineRow other{"gpu", "m-1", State::asleep, "r-2", "", 3, {}, {}, ""};
  tick({.machines = {ready, over, other}});
  reopen();
  inside([&] {
    EXPECT_EQ(store->machine("cpu", "m-1"), ready);
    EXPECT_EQ(store->machine("cpu", "m-2"), over);
    EXPECT_EQ(store->machine("cpu", "m-3"), std::nullopt);
    return true;
  });
  EXPECT_EQ(instances_of(store->load().machines), (std::vector<std::string>{"cpu/m-1", "gpu/m-1"}));
  EXPECT_EQ(reads().machines("", true, {}, 10), (std::vector{ready, over, other}));
  EXPECT_EQ(reads().machines("", false, {}, 10), (std::vector{ready, other}));
  EXPECT_EQ(reads().machines("cpu", true, {"cpu", "m-1"}, 10), (std::vector{over}));
  EXPECT_EQ(reads().machines("", true, {"cpu", "m-1"}, 1), (std::vector{over}));
}

TEST_P(StoreContract, KeepsEveryFieldOfAnIntent) {
  using enum model::IntentState;
  const IntentRow order{"r-1", "cpu", model::ScalerVerb::order, 3, {}, unknown, R"({"why":"quota"})", 5};
  const IntentRow remove{"r-2", "cpu", model::ScalerVerb::remove, 0, {"m-1", "m-2"}, issued, "", 4};
  const IntentRow over{"r-3", "cpu", model::ScalerVerb::wake, 0, {"m-3"}, done, "", 3};
  tick({.intents = {order, remove, over}});
  reopen();
  EXPECT_EQ(reads().open_intents("cpu"), (std::vector{remove, order}));
  EXPECT_TRUE(reads().open_intents("gpu").empty());
  EXPECT_EQ(store->load().intents, (std::vector{remove, order}));
  inside([&] {
    EXPECT_EQ(store->intent("r-3"), over);
    EXPECT_EQ(store->intent("r-4"), std::nullopt);
    return true;
  });
}

TEST_P(StoreContract, KeepsDecisionsNewestFirst) {
  const DecisionRow first{1, "cpu", 10, 30, 3, R"({"now":1})", "fixed", 1, 2, 3, "", "enough", "kept"};
  const DecisionRow second{2, "gpu", 20, 20, 1, "{}", "messageCount", 0, 0, 0, R"({"order":2})", "", ""};
  const DecisionRow third{3, "cpu", 40, 40, 1, "{}", "fixed", 1, 2, 3, R"({"order":1})", "", ""};
  tick({.decisions = {first, second, third}});
  reopen();
  EXPECT_EQ(store->load().last_decision, 3);
  EXPECT_EQ(reads().decisions({}, 0, 10), (std::vector{third, second, first}));
  EXPECT_EQ(numbers_of(reads().decisions({}, 3, 1)), (std::vector<std::int64_t>{2}));
  EXPECT_EQ(numbers_of(reads().decisions({.pool = "cpu"}, 0, 10)), (std::vector<std::int64_t>{3, 1}));
  EXPECT_EQ(numbers_of(reads().decisions({.changed = true}, 0, 10)), (std::vector<std::int64_t>{3, 2}));
  EXPECT_EQ(numbers_of(reads().decisions({.from = 25, .to = 40}, 0, 10)), (std::vector<std::int64_t>{1}));
  inside([&] {
    EXPECT_EQ(store->last_decision("cpu"), third);
    EXPECT_EQ(store->last_decision("none"), std::nullopt);
    return true;
  });
  tick({.decisions = {{3, "cpu", 40, 50, 2, "{}", "fixed", 1, 2, 3, "", "", ""}}});
  EXPECT_EQ(reads().decisions({}, 0, 1).front().times, 2);
}

TEST_P(StoreContract, RemembersWhoScales) {
  EXPECT_EQ(reads().scaler(), ScalerRow());
  tick({.scaler = {{"a", 1}, {"b", 2}}});
  reopen();
  EXPECT_EQ(reads().scaler(), (ScalerRow{"b", 2}));
  EXPECT_EQ(store->load().scaler, (ScalerRow{"b", 2}));
}

TEST_P(StoreContract, KeepsWhichHostsAreDrained) {
  const HostDrain all{"w1", {}, 5}, ours{"w1", std::vector<std::string>{"acme", "b"}, 6};
  tick({.host_drains = {all, ours}});
  reopen();
  EXPECT_EQ(store->load().host_drains, (std::vector{all, ours}));
  tick({.host_drains_removed = {all}});
  EXPECT_EQ(store->load().host_drains, std::vector{ours});
}

TEST_P(StoreContract, KeepsLoadSamplesByPoolAndTime) {
  const LoadSample first{"cpu", 10, 1, 2, 3, 4, 5, 6, 7}, second{"cpu", 20, 8, 0, 0, 0, 0, 0, 0}, other{"gpu", 10, 9};
  tick({.load_samples = {second, first, other}});
  EXPECT_EQ(reads().load_samples("cpu", 0, 100, 10), (std::vector{first, second}));
  EXPECT_EQ(reads().load_samples("cpu", 10, 20, 10), std::vector{first});
  EXPECT_EQ(reads().load_samples("cpu", 11, 21, 10), (std::vector{first, second})) << "the one that held then, too";
  EXPECT_EQ(reads().load_samples("cpu", 20, 21, 10), std::vector{second});
  EXPECT_EQ(reads().load_samples("cpu", 0, 100, 1), std::vector{first});
  store->begin();
  EXPECT_EQ(store->purge_scaler(20, 10), 2u);
  store->commit(++tick_no);
  EXPECT_EQ(reads().load_samples("cpu", 0, 100, 10), std::vector{second});
}

TEST_P(StoreContract, CountsWhatIsDueSoonByKind) {
  std::vector<model::Job> jobs = new_jobs(6);
  for (auto& job : jobs) job.status.state = model::JobState::scheduled;
  jobs[1].spec.requirements = {2, 1 << 20, {{"gpu", "yes"}}};
  jobs[1].status.memory = 2 << 20;
  insert(jobs);
  tick({.scheduled = {{jobs[0].id.seq(), 1'050, false, 0},
                      {jobs[1].id.seq(), 1'050, false, 0},
                      {jobs[2].id.seq(), 1'250, false, 0},
                      {jobs[3].id.seq(), 1'301, false, 0},
                      {jobs[4].id.seq(), 5'060, true, 0},
                      {jobs[5].id.seq(), 5'400, true, 0}}});
  auto due = reads().due_soon(1'000, 5'000, 60, 300, 100);
  ASSERT_EQ(due.size(), 2u);
  if (due[0].key.requirements.slots == 2) std::swap(due[0], due[1]);
  EXPECT_EQ(std::pair(due[0].near, due[0].far), std::pair(std::int64_t(2), std::int64_t(3)));
  EXPECT_EQ(due[0].key, lane_key(jobs[0]));
  EXPECT_EQ(std::pair(due[1].near, due[1].far), std::pair(std::int64_t(1), std::int64_t(1)));
  EXPECT_EQ(due[1].key, lane_key(jobs[1])) << "with what it gets, where that is more than it asked for";
  EXPECT_EQ(reads().due_soon(1'000, 5'000, 60, 300, 1).size(), 1u);
}

TEST_P(StoreContract, ForgetsWhatTheScalerDidLongAgo) {
  using enum model::MachineState;
  tick({.machines = {{"cpu", "old", gone, "", "", 1, {}, 9, ""},
                     {"cpu", "late", gone, "", "", 1, {}, 10, ""},
                     {"cpu", "there", ready, "", "", 1, {}, {}, ""}},
        .intents = {{"settled", "cpu", model::ScalerVerb::order, 1, {}, model::IntentState::failed, "", 9},
                    {"open", "cpu", model::ScalerVerb::order, 1, {}, model::IntentState::issued, "", 9}},
        .decisions = {{1, "cpu", 1, 9, 2, "{}", "fixed", 0, 0, 0, "", "", ""},
                      {2, "cpu", 2, 2, 1, "{}", "fixed", 0, 0, 0, "", "", ""}}});
  const auto purge = [&](Millis before, std::size_t max) {
    store->begin();
    const auto gone = store->purge_scaler(before, max);
    store->commit(++tick_no);
    return gone;
  };
  EXPECT_EQ(purge(9, 10), 0u);
  EXPECT_EQ(purge(10, 2), 2u);
  EXPECT_EQ(purge(10, 2), 1u);
  EXPECT_EQ(purge(10, 2), 0u);
  EXPECT_EQ(instances_of(reads().machines("", true, {}, 10)), (std::vector<std::string>{"cpu/late", "cpu/there"}));
  EXPECT_EQ(reads().open_intents("cpu").size(), 1u);
  EXPECT_EQ(numbers_of(reads().decisions({}, 0, 10)), (std::vector<std::int64_t>{2}))
      << "the newest stays, so that no number is given twice";
}

}  // namespace geres::hub::store::contract
