// SPDX-License-Identifier: Apache-2.0
// A store that is away for a while: nobody is told what is not so, and the hub goes on.
#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

using model::JobState;
using model::Outcome;
using store::Failure;

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
  EXPECT_EQ(engine->stats().store_away_at.load(), clock.monotonic() - 450) << "for whoever asks whether it is ready";
  come_back();
  EXPECT_EQ(engine->stats().store_away_at.load(), 0);
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

}  // namespace
}  // namespace geres::hub::engine
