// SPDX-License-Identifier: Apache-2.0
// A command that is refused has changed nothing; and rows that contradict each other cost the job that they are about,
// not the hub.
#include "hub/engine/engine_fixture.h"
#include "hub/store/sqlite/connection.h"

namespace geres::hub::engine {
namespace {

using model::JobState;
using model::Outcome;

class EngineRefusal : public EngineTest {
 protected:
  EngineRefusal() {
    options.lanes_per_tenant_max = 3;
    restart();
    push("acme", {"Work", "Other", "Third", "Fourth", "Fifth"});
  }
  NewJob later(const std::string& type, Millis delay = 3'600'000) {
    auto one = job(type);
    one.spec.delay = delay;
    return one;
  }
  Result<model::Job> patch(Uuid id, JobPatch patch) {
    Slot<model::Job> slot;
    engine->ask(PatchJob{admin(), id, patch}, slot.answer());
    tick();
    return *slot.result;
  }
  JobPatch now() {
    JobPatch patch;
    patch.not_before.emplace(std::nullopt);
    return patch;
  }
  std::size_t lanes() const { return engine->state().lanes.size(); }
};

TEST_F(EngineRefusal, APatchForWhichThereIsNoLaneLeavesTheJobWhereItWas) {
  const auto id = submit(later("Work"));
  pass(700'000);
  ASSERT_EQ(lanes(), 0u) << "its lane was dropped";
  for (const auto* type : {"Other", "Third", "Fourth"}) submit(job(type));
  const auto refused = patch(id, now());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::tooManyLanes);
  EXPECT_EQ(state_of(id), JobState::scheduled);
  EXPECT_EQ(words(store->reads().audit(audit_options())), "");
  auto host = join("h");
  for (int i = 0; i < 3; ++i) finish(host, fetch(host).leases.at(0).lease.name);
  EXPECT_EQ(patch(id, now()).value().status.state, JobState::ready);
  finish(host, fetch(host).leases.at(0).lease.name);
  EXPECT_EQ(state_of(id), JobState::finished);
}

TEST_F(EngineRefusal, AListForWhichThereIsNoLaneLeavesNone) {
  submit(job("Work"));
  const auto refuse = [&](std::vector<NewJob> jobs) {
    Slot<Submitted> slot;
    Submit list;
    list.caller = admin();
    list.list = true;
    list.jobs = std::move(jobs);
    engine->ask(std::move(list), slot.answer());
    tick();
    return slot.result->error();
  };
  const auto error = refuse({job("Work"), job("Other"), job("Third"), job("Fourth")});
  EXPECT_EQ(error.code, Code::tooManyLanes);
  EXPECT_EQ(error.field, "/3/requires");
  EXPECT_EQ(lanes(), 1u);
  push("globex");
  EXPECT_EQ(refuse({job("Work", "globex"), job("Other"), job("Third"), job("Fourth")}).code, Code::tooManyLanes);
  EXPECT_EQ(lanes(), 1u) << "of another tenant neither";
  EXPECT_EQ(submit_all({job("Other"), job("Third")}).size(), 2u);
}

TEST_F(EngineRefusal, LanesOfWhatHasEndedDoNotCount) {
  auto host = join("h");
  for (int run = 0; run < 10; ++run) {
    batch("run" + std::to_string(run));
    auto one = job();
    one.batch = "run" + std::to_string(run);
    submit(one);
    finish(host, fetch(host).leases.at(0).lease.name);
    clock.advance(10);
  }
  EXPECT_LE(lanes(), 4u);
}

// … but those that a list is about to use do.
TEST_F(EngineRefusal, AListMayUseIdleLanesAndNewOnes) {
  auto host = join("h");
  for (const auto* type : {"Work", "Other", "Third"}) {
    submit(job(type));
    finish(host, fetch(host).leases.at(0).lease.name);
  }
  clock.advance(10);
  EXPECT_EQ(submit_all({job("Work"), job("Fourth"), job("Fifth")}).size(), 3u);
  for (int i = 0; i < 3; ++i) finish(host, fetch(host).leases.at(0).lease.name);
}

// The way back to its lane is kept while an attempt ends.
TEST_F(EngineRefusal, AtTheLimitAJobThatIsTriedAgainKeepsItsLane) {
  submit_all({job("Other"), job("Third")});
  auto one = job("Work");
  one.spec.max_attempts = 3;
  one.spec.priority = -1;
  const auto id = submit(one);
  auto host = join("h", 1);
  auto other = join("other", 1);
  const auto lease = fetch(host).leases.at(0).lease;
  ASSERT_EQ(lease.job, id);
  auto item = completion(lease.name, Outcome::released);
  item.exit.reset();
  ReportCall call;
  call.finished = {item};
  send(host, call);
  pass(2'000);
  EXPECT_EQ(state_of(id), JobState::ready);
}

class EngineContradictions : public EngineTest {
 protected:
  // Behind the hub's back, while it is down.
  void change(const std::string& sql) {
    engine.reset();
    store.reset();
    {
      store::sqlite::Database database(store_file(), SQLITE_OPEN_READWRITE, "");
      database.execute(sql);
    }
    store = std::make_unique<FaultyStore>(store::open_sqlite(store_file(), {}));
    engine = std::make_unique<Engine>(*store, clock, random, options);
    engine->tick();
  }
  // The counters of the fixture's audit do not fit such a store.
  FetchAnswer ask(TestHost& host) {
    Slot<FetchAnswer> slot;
    open_fetch(host, 1, slot, 0);
    engine->tick();
    auto answer = slot.value();
    heard(host, answer);
    return answer;
  }
  void TearDown() override { EXPECT_EQ(engine->stats().undone, 0); }
};

TEST_F(EngineContradictions, AReadyRowOfAJobThatHasEndedIsPassedOver) {
  push();
  const auto ended = submit(job());
  auto host = join("h");
  finish(host, fetch(host).leases.at(0).lease.name);
  const auto waits = submit(job());
  change("INSERT INTO ready SELECT no, -5, " + std::to_string(ended.seq()) + " FROM lane");
  const auto first = ask(host), second = ask(host);
  ASSERT_EQ(first.leases.size() + second.leases.size(), 1u);
  EXPECT_EQ((first.leases.empty() ? second : first).leases.at(0).job.id, waits);
  EXPECT_EQ(state_of(ended), JobState::finished);
}

TEST_F(EngineContradictions, AReadyRowOfAJobThatIsNotReadyRunsIt) {
  push();
  auto one = job();
  one.spec.delay = 3'600'000;
  const auto id = submit(one);
  auto host = join("h");
  change("DELETE FROM scheduled; INSERT INTO ready SELECT no, 0, " + std::to_string(id.seq()) + " FROM lane");
  EXPECT_EQ(ask(host).leases.at(0).job.id, id);
  EXPECT_EQ(state_of(id), JobState::leased);
}

TEST_F(EngineContradictions, AJobThatIsDueAndHasEndedIsTakenOut) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  finish(host, fetch(host).leases.at(0).lease.name);
  change("INSERT INTO scheduled VALUES(" + std::to_string(id.seq()) + ", 0, 0, 0)");
  engine->tick();
  EXPECT_EQ(state_of(id), JobState::finished);
  EXPECT_FALSE(store->scheduled_row(id));
}

TEST_F(EngineContradictions, AReadyJobWithoutALaneCanBeCancelled) {
  push();
  const auto id = submit(job());
  change("DELETE FROM ready; DELETE FROM lane");
  Slot<model::Job> slot;
  engine->ask(CancelJob{admin(), id, {}}, slot.answer());
  engine->tick();
  EXPECT_EQ(slot.value().status.state, JobState::cancelled);
}

TEST_F(EngineContradictions, ALeaseOfAJobThatIsReadyEndsIt) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  const auto lease = fetch(host).leases.at(0).lease.name;
  change("UPDATE job SET state = 2 WHERE seq = " + std::to_string(id.seq()));
  ReportCall call;
  call.host = host.id;
  call.seq = 100;
  call.finished = {completion(lease, Outcome::finished)};
  Slot<ReportAnswer> slot;
  engine->ask(call, slot.answer());
  engine->tick();
  EXPECT_EQ(slot.value().accepted.size(), 1u);
  EXPECT_EQ(state_of(id), JobState::finished);
}

}  // namespace
}  // namespace geres::hub::engine
