// SPDX-License-Identifier: Apache-2.0
// What readers see of the engine's memory.
#include "hub/engine/engine_fixture.h"
#include "model/job.h"

namespace geres::hub::engine {
namespace {

class EngineSnapshot : public EngineTest {
 protected:
  static const HostInfo& only_host(const SnapshotPtr& fleet) { return *fleet->hosts.at(0).info; }
};

TEST_F(EngineSnapshot, ShowsWhatWasDoneBefore) {
  push();
  auto host = join("h", 3);
  submit(job());
  const auto waits = snapshot();
  EXPECT_EQ(waits->lanes.size(), 1u);
  EXPECT_EQ(waits->lane_views.at(0).ready, 1);
  EXPECT_EQ(only_host(waits).slots_busy, 0);
  const auto lease = fetch(host).leases.at(0).lease;
  const auto runs = snapshot();
  EXPECT_TRUE(runs->lanes.empty());
  EXPECT_EQ(only_host(runs).slots_busy, 1);
  ASSERT_EQ(only_host(runs).leases.size(), 1u);
  EXPECT_EQ(only_host(runs).leases[0].job, lease.job);
  EXPECT_EQ(only_host(runs).leases[0].tenant, "acme");
  finish(host, lease.name);
  EXPECT_EQ(only_host(snapshot()).slots_busy, 0);
  engine->ask(SetHostMode{"h", model::HostMode::drain}, [](auto) {});
  EXPECT_EQ(only_host(snapshot()).host.mode, model::HostMode::drain);
  pass(40'000);
  EXPECT_FALSE(only_host(snapshot()).alive);
  beat(host);
  EXPECT_TRUE(only_host(snapshot()).alive);
  ReportCall sick;
  sick.health = model::Health::unfit;
  sick.health_reason = "no disk";
  send(host, sick);
  EXPECT_EQ(only_host(snapshot()).health, model::Health::unfit);
  EXPECT_EQ(only_host(snapshot()).health_reason, "no disk");
  beat(host);
  EXPECT_EQ(only_host(snapshot()).health, model::Health::well);
}

TEST_F(EngineSnapshot, TellsWhatWaitsLongest) {
  push();
  push("other");
  const auto with_priority = [](std::int64_t priority, const std::string& tenant = "acme") {
    auto one = job("Work", tenant);
    one.spec.priority = priority;
    return one;
  };
  const auto oldest = [&](std::vector<std::string> tenants = {}) {
    const auto found = engine::oldest_ready(*snapshot(), tenants, store->reads());
    return found ? found->id : Uuid{};
  };
  EXPECT_EQ(oldest(), Uuid{});
  const auto first = submit(with_priority(5)), second = submit(with_priority(5));
  const auto of_other = submit(with_priority(5, "other"));
  EXPECT_EQ(oldest(), first);
  EXPECT_EQ(oldest({"other"}), of_other);
  EXPECT_EQ(oldest({"nobody"}), Uuid{});
  const auto urgent = submit(with_priority(1));
  EXPECT_TRUE(snapshot()->lanes.size() == 2 && !snapshot()->lanes[0].one_priority);
  EXPECT_EQ(oldest(), first) << "of all priorities of its lane";
  restart();
  EXPECT_EQ(oldest(), first);
  auto host = join("h");
  EXPECT_EQ(fetch(host).leases.at(0).lease.job, urgent);
  EXPECT_EQ(oldest(), first);
  engine->ask(CancelJob{admin(), first, {}}, [](auto) {});
  EXPECT_EQ(oldest(), second);
  const auto before = snapshot();
  engine->ask(CancelJob{admin(), second, {}}, [](auto) {});
  EXPECT_EQ(oldest(), of_other);
  EXPECT_EQ(engine::oldest_ready(*before, {}, store->reads())->id, of_other) << "what is gone is not told";
  restart();
  EXPECT_TRUE(snapshot()->lanes.at(0).one_priority);
  EXPECT_EQ(oldest(), of_other);
}

TEST_F(EngineSnapshot, SharesWhatHasNotChanged) {
  push();
  auto one = join("a"), other = join("b");
  submit(job());
  const auto before = snapshot();
  fetch(one);
  submit(job());
  const auto after = snapshot();
  const auto of = [](const SnapshotPtr& fleet, const TestHost& host) {
    for (const auto& seen : fleet->hosts)
      if (seen.info->host.id == host.id) return seen.info.get();
    return static_cast<const HostInfo*>(nullptr);
  };
  EXPECT_NE(of(before, one), of(after, one));
  EXPECT_EQ(of(before, other), of(after, other));
  EXPECT_EQ(before->lanes.at(0).key, after->lanes.at(0).key);
}

TEST_F(EngineSnapshot, OutlivesWhatItShows) {
  push();
  auto host = join("h", 1, {{"room", "one"}});
  const auto id = submit(job());
  const auto fleet = snapshot();
  const auto row = get(id);
  cancel(id);
  ReportCall leaves;
  leaves.leaving = true;
  send(host, leaves);
  pass(700'000);
  ASSERT_TRUE(engine->state().lanes.empty());
  ASSERT_TRUE(engine->state().hosts.empty());
  restart();
  EXPECT_EQ(fleet->host_views.at(0).host->labels.at("room"), "one");
  const auto answer = engine::why(row, fleet.get(), store->reads(), clock.wall());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->summary, "the next free slot is its");
}

TEST_F(EngineSnapshot, AJobThatWasGrantedSinceIsNotExplainedByIt) {
  push();
  auto host = join("h");
  const auto id = submit(job());
  const auto row = get(id);
  fetch(host);
  EXPECT_FALSE(engine::why(row, snapshot().get(), store->reads(), clock.wall()));
  EXPECT_EQ(engine::why(get(id), nullptr, store->reads(), clock.wall())->summary, "is being started on host h");
}

// Reading is no round of the engine: nothing is scheduled anew for it.
TEST_F(EngineSnapshot, CostsNoTick) {
  push();
  submit(job());
  settle();
  const auto ticks = engine->stats().ticks.load();
  Slot<SnapshotPtr> one, other;
  engine->snapshot(one.answer());
  engine->snapshot(other.answer());
  while (!other.answered()) engine->tick();
  EXPECT_EQ(one.value(), other.value()) << "one for all who asked";
  EXPECT_EQ(engine->stats().ticks, ticks);
  clock.advance(300);
  Slot<SnapshotPtr> late;
  engine->snapshot(late.answer());
  while (!late.answered()) engine->tick();
  EXPECT_GT(engine->stats().ticks, ticks) << "who reads all the time keeps nothing from being looked at";
}

TEST_F(EngineSnapshot, CountsWhatIsAheadInAllLanesOfTheBatchTogether) {
  push();
  std::vector<NewJob> jobs;
  for (int i = 0; i < 3; ++i) jobs.push_back(job("Work"));
  for (int i = 0; i < 4; ++i) jobs.push_back(job("Other"));
  submit_all(jobs);
  auto later = job("Work");
  later.spec.priority = 5;
  const auto id = submit(later);
  const auto answer = why(id);
  EXPECT_EQ(answer.ahead, 3);
  EXPECT_EQ(answer.ahead_in_batch, 7);
  EXPECT_NE(answer.summary.find("7 jobs are ahead (batch0, priority 5)"), std::string::npos) << answer.summary;
}

TEST_F(EngineSnapshot, AStoreThatDoesNotAnswerCostsTheReaderAndNotTheEngine) {
  push();
  const auto first = submit(job());
  submit(job());
  cancel(first);  // whose row was the lane's head: the next one is looked for when it is needed
  store->fail_heads = true;
  Slot<SnapshotPtr> slot;
  engine->snapshot(slot.answer());
  while (!slot.answered()) engine->tick();
  EXPECT_EQ(slot.error(), Code::unavailable);
  EXPECT_EQ(snapshot()->lane_views.at(0).ready, 1);
}

TEST_F(EngineSnapshot, AStoppingEngineAnswersItsReaders) {
  Slot<SnapshotPtr> before, after;
  engine->snapshot(before.answer());
  engine->stop_accepting();
  engine->snapshot(after.answer());
  EXPECT_EQ(after.error(), Code::unavailable);
  tick();
  EXPECT_TRUE(before.value());
}

}  // namespace
}  // namespace geres::hub::engine
