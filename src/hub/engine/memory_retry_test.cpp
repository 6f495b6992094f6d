// SPDX-License-Identifier: Apache-2.0
// A job that ran out of memory: what its next attempt gets, and where there is no more to be had.
#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

using model::JobState;
using model::Outcome;

constexpr std::int64_t kMiB = 1 << 20;

class EngineMemoryRetry : public EngineTest {
 protected:
  void SetUp() override { push(); }

  TestHost join_with(const std::string& name, std::int64_t memory, std::map<std::string, std::string> labels = {}) {
    RegisterHost wanted;
    wanted.host.name = name;
    wanted.host.slots = 4;
    wanted.host.memory = memory;
    wanted.host.labels = std::move(labels);
    Slot<model::Host> slot;
    engine->ask(wanted, slot.answer());
    tick();
    TestHost host;
    host.id = slot.value().id;
    host.name = name;
    return host;
  }
  NewJob asking(std::int64_t memory, int attempts = 5) {
    auto one = job();
    one.spec.requirements.memory = memory;
    one.spec.max_attempts = attempts;
    return one;
  }
  // The next attempt runs out of a limit (0: of the machine's memory), and its pause passes.
  void runs_out(TestHost& host, std::int64_t limit) {
    const auto leases = fetch(host).leases;
    ASSERT_EQ(leases.size(), 1u);
    auto item = completion(leases.front().lease.name, Outcome::failed, 137);
    item.cause = model::Cause::outOfMemory;
    item.memory_limit = limit;
    item.error = "killed: out of memory";
    ReportCall call;
    call.finished = {item};
    send(host, call);
  }
  void wait_for_retry(Uuid id) {
    if (const auto due = get(id).status.due_at) pass(*due - clock.wall());
  }
  void limit_tenant(std::int64_t memory) {
    TenantSettings settings;
    settings.max_memory_per_job = memory;
    Slot<model::Tenant> slot;
    engine->ask(PutTenant{"acme", settings}, slot.answer());
    tick();
    slot.value();
  }
};

TEST_F(EngineMemoryRetry, GetsTwiceAsMuchEachTimeAndIsToldSo) {
  const auto id = submit(asking(100 * kMiB));
  auto host = join_with("h", 1'000 * kMiB);
  for (const std::int64_t memory : {200, 400}) {
    runs_out(host, memory / 2 * kMiB);
    EXPECT_EQ(get(id).status.memory, memory * kMiB);
    EXPECT_EQ(get(id).status.failures, memory == 200 ? 1 : 2);
    const auto words = "tried again with " + std::to_string(memory) + " MiB";
    EXPECT_EQ(get(id).status.error, "killed: out of memory; " + words);
    EXPECT_NE(why(id).summary.find(std::to_string(memory) + " MiB of memory"), std::string::npos) << why(id).summary;
    const auto* told = std::get_if<store::JobEvent>(&events.back().data);
    ASSERT_TRUE(told != nullptr && std::holds_alternative<store::Retrying>(told->news));
    EXPECT_EQ(std::get<store::Retrying>(told->news).memory, memory * kMiB);
    wait_for_retry(id);
  }
  const auto granted = fetch(host).leases;
  ASSERT_EQ(granted.size(), 1u);
  EXPECT_EQ(model::memory_of(granted.front().job), 400 * kMiB);
  EXPECT_EQ(granted.front().job.spec.requirements.memory, 100 * kMiB) << "what was asked for stays";
  EXPECT_EQ(engine->state().hosts.at(host.id).memory_used, 400 * kMiB);
  finish(host, granted.front().lease.name);
  std::vector<std::int64_t> asked;
  for (const auto& attempt : store->reads().attempts(id)) asked.push_back(attempt.memory);
  EXPECT_EQ(asked, (std::vector{100 * kMiB, 200 * kMiB, 400 * kMiB}));
}

TEST_F(EngineMemoryRetry, WaitsForAHostThatHasSoMuchFreeAlsoAfterARestart) {
  const auto id = submit(asking(100 * kMiB));
  auto host = join_with("small", 150 * kMiB);
  auto large = join_with("large", 300 * kMiB);
  runs_out(host, 100 * kMiB);
  wait_for_retry(id);
  EXPECT_TRUE(fetch(host).leases.empty()) << "it has less";
  restart();
  EXPECT_EQ(get(id).status.memory, 200 * kMiB);
  EXPECT_TRUE(fetch(host).leases.empty());
  EXPECT_EQ(fetch(large).leases.size(), 1u);
}

TEST_F(EngineMemoryRetry, NoMoreThanItsTenantMayAskFor) {
  limit_tenant(150 * kMiB);
  const auto id = submit(asking(100 * kMiB, 3));
  auto host = join_with("h", 1'000 * kMiB);
  runs_out(host, 100 * kMiB);
  EXPECT_EQ(get(id).status.memory, 150 * kMiB);
  wait_for_retry(id);
  for (int attempt = 2; attempt <= 3; ++attempt) {
    runs_out(host, 150 * kMiB);
    EXPECT_EQ(get(id).status.memory, 150 * kMiB);
    EXPECT_EQ(get(id).status.error,
              "killed: out of memory; a job of tenant acme may have no more than 150 MiB (maxMemoryPerJob)");
    wait_for_retry(id);
  }
  EXPECT_EQ(state_of(id), JobState::failed);
  EXPECT_EQ(get(id).status.reason, model::Reason::maxAttempts);
}

TEST_F(EngineMemoryRetry, NoMoreThanSomeHostHasThatItFits) {
  auto other = join_with("other", 8'000 * kMiB, {{"zone", "b"}});
  auto asks = asking(100 * kMiB);
  asks.spec.requirements.labels = {{"zone", "a"}};
  const auto id = submit(asks);
  auto host = join_with("h", 180 * kMiB, {{"zone", "a"}});
  runs_out(host, 100 * kMiB);
  EXPECT_EQ(get(id).status.memory, 180 * kMiB) << "all that there is, and not for ever waiting for more";
  wait_for_retry(id);
  runs_out(host, 180 * kMiB);
  EXPECT_EQ(get(id).status.memory, 180 * kMiB);
  EXPECT_EQ(get(id).status.error, "killed: out of memory; no host that it fits has more");
  EXPECT_EQ(state_of(id), JobState::scheduled) << "tried again as before, while tries are left";
}

TEST_F(EngineMemoryRetry, APoolThatCanMakeALargerHostCountsAsOne) {
  model::PoolSettings settings;
  settings.like.slots = 4;
  settings.like.memory = 400 * kMiB;
  settings.provider.name = settings.policy.name = "x";
  Slot<model::Pool> slot;
  model::Pool pool;
  pool.name = "large";
  pool.settings = settings;
  engine->ask(PutPool{pool, {}}, slot.answer());
  tick();
  slot.value();
  const auto id = submit(asking(100 * kMiB));
  auto host = join_with("h", 100 * kMiB);
  runs_out(host, 100 * kMiB);
  EXPECT_EQ(get(id).status.memory, 200 * kMiB);
}

TEST_F(EngineMemoryRetry, APoolThatDoesNotSayHowMuchItsHostsHavePromisesNothing) {
  model::Pool pool;
  pool.name = "some";
  pool.settings.like.slots = 4;
  pool.settings.provider.name = pool.settings.policy.name = "x";
  Slot<model::Pool> slot;
  engine->ask(PutPool{pool, {}}, slot.answer());
  tick();
  slot.value();
  const auto id = submit(asking(100 * kMiB));
  auto host = join_with("h", 150 * kMiB);
  runs_out(host, 100 * kMiB);
  EXPECT_EQ(get(id).status.memory, 150 * kMiB);
}

TEST_F(EngineMemoryRetry, OneThatAskedForNothingStartsFromItsHostsLimit) {
  const auto id = submit(job());
  auto host = join_with("h", 4'000 * kMiB);
  runs_out(host, 1'003 * kMiB);
  EXPECT_EQ(get(id).status.memory, 2'048 * kMiB) << "rounded up, so that a fleet makes few lanes";
}

TEST_F(EngineMemoryRetry, TheMachinesWantIsNotTheJobs) {
  const auto id = submit(asking(100 * kMiB));
  auto host = join_with("h", 1'000 * kMiB);
  runs_out(host, 0);
  EXPECT_EQ(get(id).status.memory, 0);
  EXPECT_EQ(get(id).status.error, "killed: out of memory");
}

TEST_F(EngineMemoryRetry, TheLastAttemptIsPromisedNothing) {
  const auto id = submit(asking(100 * kMiB, 1));
  auto host = join_with("h", 1'000 * kMiB);
  runs_out(host, 100 * kMiB);
  EXPECT_EQ(state_of(id), JobState::failed);
  EXPECT_EQ(get(id).status.error, "killed: out of memory");
  EXPECT_EQ(get(id).status.memory, 0);
}

TEST_F(EngineMemoryRetry, ARedriveBeginsWithWhatTheJobAskedFor) {
  const auto id = submit(asking(100 * kMiB, 2));
  auto host = join_with("h", 1'000 * kMiB);
  runs_out(host, 100 * kMiB);
  wait_for_retry(id);
  runs_out(host, 200 * kMiB);
  ASSERT_EQ(state_of(id), JobState::failed);
  Slot<model::Job> slot;
  engine->ask(RedriveJob{admin(), id}, slot.answer());
  tick();
  EXPECT_EQ(slot.value().status.memory, 0);
  EXPECT_EQ(model::memory_of(fetch(host).leases.at(0).job), 100 * kMiB);
}

TEST_F(EngineMemoryRetry, WhereThereIsNoRoomForOneMoreLaneItIsTriedAsBefore) {
  options.lanes_per_tenant_max = 2;
  restart();
  const auto id = submit(asking(100 * kMiB));
  submit_all({asking(100 * kMiB), asking(101 * kMiB)});
  auto host = join_with("h", 1'000 * kMiB);
  runs_out(host, 100 * kMiB);
  EXPECT_EQ(get(id).status.memory, 200 * kMiB);
  wait_for_retry(id);
  EXPECT_EQ(state_of(id), JobState::ready);
  EXPECT_EQ(get(id).status.memory, 0);
}

}  // namespace
}  // namespace geres::hub::engine
