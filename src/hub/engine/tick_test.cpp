// SPDX-License-Identifier: Apache-2.0
// The transaction around it all: how it can end, and what is answered then.
#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

using model::JobState;
using model::Outcome;
using store::Failure;

class EngineTick : public EngineTest {};

TEST_F(EngineTick, ABadCommandFailsAlone) {
  push();
  auto poisoned = job();
  poisoned.spec.name = "poison";
  store->poisoned_name = "poison";
  Slot<Submitted> good, bad, also_good;
  for (auto [slot, item] : {std::pair{&good, job()}, {&bad, poisoned}, {&also_good, job()}}) {
    Submit submit;
    submit.caller = admin();
    submit.jobs = {item};
    engine->ask(std::move(submit), slot->answer());
  }
  tick();
  EXPECT_EQ(bad.error(), Code::notDone);
  EXPECT_EQ(store->reads().jobs({}, {}).jobs.size(), 2u);
  good.value(), also_good.value();
}

TEST_F(EngineTick, AFullDiskRefusesSubmitsAndTakesCompletions) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  const auto lease = fetch(host).leases.at(0).lease.name;
  store->full = true;
  Slot<Submitted> refused;
  ask_submit(refused);
  Slot<ReportAnswer> report;
  ReportCall call;
  call.host = host.id;
  call.seq = ++host.seq;
  call.finished = {completion(lease, Outcome::finished)};
  engine->ask(call, report.answer());
  tick();
  EXPECT_EQ(refused.error(), Code::storageFull);
  EXPECT_EQ(report.value().accepted.size(), 1u);
  EXPECT_EQ(state_of(id), JobState::finished);
}

TEST_F(EngineTick, AnUnknownCommitIsAnsweredByWhatTheStoreHolds) {
  push();
  for (const bool done : {true, false}) {
    const auto before = store->reads().jobs({}, {}).jobs.size();
    store->next_commit = FaultyStore::CommitFault{Failure::unknown, done};
    Slot<Submitted> slot;
    ask_submit(slot);
    tick();
    ASSERT_TRUE(slot.answered());
    EXPECT_EQ(slot.result->has_value(), done);
    EXPECT_EQ(store->reads().jobs({}, {}).jobs.size(), before + (done ? 1 : 0));
  }
}

TEST_F(EngineTick, AGrantWhoseCommitIsUnknownIsToldToTheFetchThatWaits) {
  push();
  submit(job());
  auto host = join("h");
  Slot<FetchAnswer> open;
  open_fetch(host, 1, open);
  store->next_commit = FaultyStore::CommitFault{Failure::unknown, true};
  tick();
  tick();
  ASSERT_TRUE(open.answered());
  EXPECT_EQ(open.value().leases.size(), 1u);
}

TEST_F(EngineTick, AFatalStoreStopsTheEngine) {
  push();
  store->next_commit = FaultyStore::CommitFault{Failure::fatal, false};
  Slot<Submitted> slot;
  ask_submit(slot);
  EXPECT_THROW(engine->tick(), store::StoreFailed);
  EXPECT_EQ(slot.error(), Code::unknown);
}

// ---- a store that is away for a while

class EngineStoreAway : public EngineTest {
 protected:
  void round() { engine->tick(); }  // memory and store may differ now
  // Rounds until the store answers; returns how much time that took.
  Millis come_back() {
    const auto before = clock.monotonic();
    for (int i = 0; i < 100 && store->away > 0; ++i) clock.advance(50), round();
    EXPECT_EQ(store->away, 0);
    clock.advance(1'000), round();
    return clock.monotonic() - before;
  }
};

TEST_F(EngineStoreAway, CommandsAreToldAndTheHubGoesOn) {
  push();
  store->away = 5;
  std::vector<Slot<Submitted>> refused(3);
  for (auto& slot : refused) {
    ask_submit(slot);
    round();
    EXPECT_EQ(slot.error(), Code::notDone);
    clock.advance(150);
  }
  come_back();
  Slot<Submitted> good;
  ask_submit(good);
  round();
  good.value();
  EXPECT_EQ(store->reads().jobs({}, {}).jobs.size(), 1u);
}

TEST_F(EngineStoreAway, ItIsAskedAgainInAMomentAndNotAllTheTime) {
  push();
  store->away = 1'000;
  for (int i = 0; i < 100; ++i) clock.advance(10), round();  // a second
  EXPECT_GE(store->away, 990);
  store->away = 1;
  come_back();
}

TEST_F(EngineStoreAway, WhoMayHaveBeenServedHearsWhatBecameOfIt) {
  push();
  for (const bool done : {true, false}) {
    const auto jobs = store->reads().jobs({}, {}).jobs.size();
    const auto told = events.size();
    store->next_commit = FaultyStore::CommitFault{Failure::unknown, done, 4};
    Slot<Submitted> slot;
    ask_submit(slot);
    round();
    EXPECT_FALSE(slot.answered()) << "nobody knows";
    come_back();
    ASSERT_TRUE(slot.answered());
    EXPECT_EQ(slot.result->has_value(), done);
    EXPECT_EQ(store->reads().jobs({}, {}).jobs.size(), jobs + (done ? 1 : 0));
    EXPECT_EQ(events.size(), told + (done ? 1 : 0));
  }
}

TEST_F(EngineStoreAway, NobodyWaitsForeverAndTheLogHasNoHole) {
  push();
  store->next_commit = FaultyStore::CommitFault{Failure::unknown, true, 1'000};
  Slot<Submitted> slot;
  ask_submit(slot);
  round();
  for (int i = 0; i < 12; ++i) clock.advance(1'000), round();
  EXPECT_EQ(slot.error(), Code::unknown);
  store->away = 1;
  come_back();
  submit(job());
  ASSERT_EQ(events.size(), 2u) << "of the first one, too: it was done";
  EXPECT_EQ(events[1].no, events[0].no + 1);
}

TEST_F(EngineStoreAway, NoLeaseRunsOutMeanwhile) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  const auto lease = fetch(host).leases.at(0).lease.name;
  store->away = 200;
  for (int i = 0; i < 200 && store->away > 0; ++i) clock.advance(1'000), round();
  come_back();
  finish(host, lease, Outcome::finished);
  EXPECT_EQ(state_of(id), JobState::finished);
  EXPECT_EQ(store->reads().job(id)->status.attempt, 1);
}

TEST_F(EngineStoreAway, AnOpenFetchHearsOfItWhenItsTimeIsOver) {
  push();
  auto host = join("h");
  Slot<FetchAnswer> open;
  open_fetch(host, 1, open);
  round();
  store->away = 1'000;
  Slot<Submitted> refused;
  ask_submit(refused);
  round();
  EXPECT_FALSE(open.answered());
  clock.advance(30'000), round();
  EXPECT_EQ(open.error(), Code::unavailable);
  store->away = 1;
  come_back();
}

TEST_F(EngineStoreAway, AHubThatStopsAnswersEverybody) {
  push();
  auto host = join("h");
  Slot<FetchAnswer> open;
  open_fetch(host, 1, open);
  round();
  store->next_commit = FaultyStore::CommitFault{Failure::unknown, true, 1'000};
  Slot<Submitted> doubtful;
  ask_submit(doubtful);
  round();
  engine->stop_accepting();
  round();
  EXPECT_EQ(open.error(), Code::unavailable);
  EXPECT_EQ(doubtful.error(), Code::unknown);
  store->away = 1;
  come_back();
}

// ---- another hub on the same store

class EngineTwoHubs : public EngineTest {
 protected:
  // The same store as a second hub finds it that takes the lead, while the first one does not know.
  EngineTwoHubs() {
    engine.reset();
    store.reset();
    store = std::make_unique<FaultyStore>(store::open_sqlite(store_file(), {.lock_file = false}));
    engine = std::make_unique<Engine>(*store, clock, random, options);
    engine->tick();
  }
  void take_over() {
    other_store = std::make_unique<FaultyStore>(store::open_sqlite(store_file(), {.lock_file = false}));
    other = std::make_unique<Engine>(*other_store, clock, other_random, options);
    other->tick();
  }
  void TearDown() override {
    other.reset();
    other_store.reset();
    EngineTest::TearDown();
  }

  SeededRandom other_random{77};
  std::unique_ptr<FaultyStore> other_store;
  std::unique_ptr<Engine> other;
};

TEST_F(EngineTwoHubs, TheOldLeaderTakesNothingMore) {
  push();
  take_over();
  Slot<Submitted> slot;
  ask_submit(slot);
  EXPECT_THROW(engine->tick(), store::StoreFailed);
  EXPECT_EQ(slot.error(), Code::notDone);
  EXPECT_TRUE(store->reads().jobs({}, {}).jobs.empty());
}

// The new leader has granted a lease that the old one does not know: its answer would tell the host to stop the job.
TEST_F(EngineTwoHubs, TheOldLeaderAnswersNothingEvenWhereItWritesNothing) {
  push();
  auto host = join("h");
  take_over();
  ReportCall call;
  call.host = host.id;
  call.seq = 100;
  call.running = {Uuid{1, 2}};
  Slot<ReportAnswer> report;
  engine->ask(call, report.answer());
  EXPECT_THROW(engine->tick(), store::StoreFailed);
  EXPECT_EQ(report.error(), Code::notDone);
}

// The new leader's ticks have the numbers that the old one's lost commit would have had.
TEST_F(EngineTwoHubs, ALostCommitIsNotTakenForDoneBecauseTheOtherHubWentOn) {
  push();
  store->next_commit = FaultyStore::CommitFault{Failure::unknown, false, 1};
  Slot<Submitted> slot;
  ask_submit(slot);
  engine->tick();
  EXPECT_FALSE(slot.answered());
  take_over();
  for (int i = 0; i < 3; ++i) {
    NewBatch batch;
    batch.name = "b" + std::to_string(i);
    Slot<model::Batch> made;
    other->ask(CreateBatch{admin(), batch}, made.answer());
    other->tick();
    made.value();
  }
  clock.advance(2'000);
  EXPECT_THROW(engine->tick(), store::StoreFailed);
  EXPECT_EQ(slot.error(), Code::unknown);
  EXPECT_TRUE(store->reads().jobs({}, {}).jobs.empty());
}

TEST_F(EngineTick, AnIdleTickWritesNothing) {
  push();
  auto host = join("h");
  fetch(host, 0);
  const auto commits = engine->stats().commits.load();
  for (int i = 0; i < 5; ++i) beat(host);
  fetch(host, 2);
  EXPECT_EQ(engine->stats().commits.load(), commits) << "a heartbeat must not cost a sync";
}

TEST_F(EngineTick, StoppingRefusesNewCommandsAndEndsFetches) {
  push();
  auto host = join("h");
  Slot<FetchAnswer> open;
  open_fetch(host, 1, open);
  tick();
  engine->stop_accepting();
  Slot<Submitted> late;
  ask_submit(late);
  EXPECT_EQ(late.error(), Code::unavailable);
  tick();
  EXPECT_TRUE(open.answered());
}

TEST_F(EngineTick, WhoHasAnAnswerFindsItsEvents) {
  push();
  bool answered = false, told = false;
  const auto told_of = [&](Uuid id) {
    return std::any_of(events.begin(), events.end(), [&](const auto& event) { return event.subject == id; });
  };
  Submit submit;
  submit.caller = admin();
  submit.jobs = {job()};
  engine->ask(std::move(submit), [&](Result<Submitted> done) {
    answered = true;
    told = told_of(done.value().jobs.front().id);
  });
  tick();
  EXPECT_TRUE(answered);
  EXPECT_TRUE(told);
}

TEST_F(EngineTick, EventsHaveNoHolesAndNoTwoNumbers) {
  push();
  auto host = join("h");
  for (int i = 0; i < 20; ++i) {
    submit(job());
    for (const auto& granted : fetch(host, 1).leases)
      finish(host, granted.lease.name, i % 3 == 0 ? Outcome::failed : Outcome::finished, i % 3 == 0);
    if (i == 10) restart();
  }
  for (std::size_t i = 1; i < events.size(); ++i) EXPECT_EQ(events[i].no, events[i - 1].no + 1);
}

}  // namespace
}  // namespace geres::hub::engine
