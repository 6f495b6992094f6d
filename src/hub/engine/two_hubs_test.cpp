// SPDX-License-Identifier: Apache-2.0
// Two engines on one store: the one that no longer leads answers nothing more.
#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

using store::Failure;

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

}  // namespace
}  // namespace geres::hub::engine
