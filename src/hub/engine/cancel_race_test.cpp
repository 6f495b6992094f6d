// SPDX-License-Identifier: Apache-2.0
// Cancel against every state a job can be in, and against everything that can happen to it in the same tick, in both
// orders. What must hold: the answer is right, no attempt starts after it, the job ends once, also over a restart.
#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

using model::JobState;
using model::Outcome;

class EngineCancelRace : public EngineTest {
 protected:
  EngineCancelRace() { push(); }

  Uuid fresh(const std::string& batch_name = {}) {
    auto one = job();
    one.batch = batch_name;
    one.spec.backoff = {1'000, 1.0, 1'000};
    return submit(one);
  }
  Uuid leased() {
    const auto id = fresh();
    lease = fetch(host).leases.at(0).lease.name;
    return id;
  }
  Uuid running() {
    const auto id = leased();
    start(host, lease);
    return id;
  }
  void pause(const std::string& name) {
    Slot<model::Batch> slot;
    engine->ask(PauseBatch{admin(), name, true}, slot.answer());
    tick();
    slot.value();
  }
  // Everybody who could start it asks, long enough for every pause and lease to pass. The host does not name `lease`.
  int starts_after(Uuid id) {
    int starts = 0;
    auto other = join("other-" + std::to_string(++others_));
    for (int i = 0; i < 80; ++i) {
      pass(500);
      for (const auto& granted : fetch(other, 4).leases) starts += granted.job.id == id ? 1 : 0;
    }
    return starts;
  }

  TestHost host = join("h");
  Uuid lease;

 private:
  int others_ = 0;
};

// ---- every state ----------------------------------------------------------------------------------------------------

TEST_F(EngineCancelRace, WhereNothingRunsItEndsInTheTickOfTheAnswer) {
  struct Case {
    std::string name;
    std::function<Uuid()> reach;
    JobState from;
  };
  batch("paused");
  batch("one", 500, "acme", 1);
  pause("paused");
  auto blocker = job();
  blocker.batch = "one";
  submit(blocker);
  ASSERT_EQ(fetch(host).leases.size(), 1u);
  const std::vector<Case> cases = {
      {"scheduled",
       [&] {
         auto one = job();
         one.spec.delay = 5'000;
         return submit(one);
       },
       JobState::scheduled},
      {"ready", [&] { return fresh(); }, JobState::ready},
      {"retrying",
       [&] {
         const auto id = running();
         finish(host, lease, Outcome::failed, 1);
         return id;
       },
       JobState::scheduled},
      {"in a paused batch", [&] { return fresh("paused"); }, JobState::ready},
      {"held by a limit", [&] { return fresh("one"); }, JobState::ready},
      {"given back",
       [&] {
         const auto id = leased();
         finish(host, lease, Outcome::released);
         return id;
       },
       JobState::ready},
      {"after its host was lost",
       [&] {
         const auto id = running();
         finish(host, lease, Outcome::lost);
         return id;
       },
       JobState::ready},
      {"after its lease ran out",
       [&] {
         const auto id = running();
         std::erase(host.running, lease);
         auto& row = engine->state().leases.at(id.seq());
         row.deadline = clock.monotonic();
         engine->state().deadlines.emplace(row.deadline, lease);
         settle();
         return id;
       },
       JobState::ready},
  };
  std::vector<Uuid> all;
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const auto id = c.reach();
    ASSERT_EQ(state_of(id), c.from);
    const auto answer = cancel(id, {0, "no longer wanted"});
    EXPECT_EQ(answer.status.state, JobState::cancelled);
    const auto again = cancel(id);
    EXPECT_EQ(again.status.version, answer.status.version) << "twice is once";
    EXPECT_EQ(history(id).back(), "cancelled");
    all.push_back(id);
  }
  restart();
  for (const auto id : all) {
    EXPECT_EQ(starts_after(id), 0);
    EXPECT_EQ(state_of(id), JobState::cancelled);
    const auto names = history(id);
    EXPECT_EQ(std::count(names.begin(), names.end(), "cancelled"), 1);
  }
}

TEST_F(EngineCancelRace, WhereAHostHasItTheHostIsToldAndNothingFollows) {
  for (const bool began : {false, true})
    for (const bool twice : {false, true})
      for (const bool restarted : {false, true}) {
        SCOPED_TRACE(testing::Message() << began << twice << restarted);
        const auto id = began ? running() : leased();
        cancel(id, {7'000, {}});
        if (twice) cancel(id, {2'000, {}});
        if (restarted) restart();
        const auto told = beat(host).cancel;
        ASSERT_EQ(told.size(), 1u);
        EXPECT_EQ(told[0].lease, lease);
        finish(host, lease, Outcome::cancelled, 143);
        EXPECT_EQ(state_of(id), JobState::cancelled);
        EXPECT_EQ(starts_after(id), 0);
      }
}

TEST_F(EngineCancelRace, ASecondCancelCanOnlyHasten) {
  const auto id = running();
  beat(host);
  const auto grace_told = [&] { return beat(host).cancel.at(0).grace; };
  cancel(id, {7'000, {}});
  EXPECT_EQ(grace_told(), 7'000);
  cancel(id, {2'000, {}});
  EXPECT_EQ(grace_told(), 2'000);
  cancel(id, {60'000, {}});
  EXPECT_EQ(grace_told(), 2'000);
}

TEST_F(EngineCancelRace, AHostThatIsAwayCannotMakeItRunAgain) {
  const auto id = running();
  cancel(id);
  EXPECT_EQ(state_of(id), JobState::running) << "its host may still be running it";
  EXPECT_EQ(starts_after(id), 0);
  EXPECT_EQ(state_of(id), JobState::cancelled) << "the lease has run out";
  host.running = {lease};
  EXPECT_EQ(beat(host).lost.size(), 1u) << "the host is told to kill it";
  const auto late = finish(host, lease, Outcome::finished);
  EXPECT_EQ(late.refused.size(), 1u);
  EXPECT_EQ(state_of(id), JobState::cancelled);
}

TEST_F(EngineCancelRace, AHostThatComesBackAnewBringsNothingBack) {
  const auto id = running();
  cancel(id);
  host = join("h", 4, {}, host.id);
  EXPECT_EQ(state_of(id), JobState::cancelled);
  EXPECT_EQ(starts_after(id), 0);
}

TEST_F(EngineCancelRace, InBulkEveryStateIsReached) {
  options.slice = 2;
  restart();
  batch("photos");
  auto delayed = job();
  delayed.spec.delay = 5'000;
  delayed.batch = "photos";
  for (const bool by_filter : {true, false}) {
    SCOPED_TRACE(by_filter);
    std::vector<Uuid> ids;
    for (int i = 0; i < 3; ++i) ids.push_back(fresh("photos"));
    const auto granted = fetch(host, 2).leases;
    ASSERT_EQ(granted.size(), 2u);
    start(host, granted[0].lease.name);
    ids.push_back(submit(delayed));
    ids.push_back(fresh("photos"));
    Slot<BulkDone> filtered;
    Slot<model::Batch> whole;
    store::JobFilter filter;
    filter.type = "Work";
    if (by_filter)
      engine->ask(CancelWhere{admin(), filter, {}}, filtered.answer());
    else
      engine->ask(CancelBatch{admin(), "photos", {}}, whole.answer());
    settle();
    EXPECT_TRUE(by_filter ? filtered.answered() : whole.answered());
    EXPECT_EQ(beat(host).cancel.size(), 2u);
    for (const auto& one : granted) finish(host, one.lease.name, Outcome::cancelled);
    for (const auto id : ids) {
      EXPECT_EQ(state_of(id), JobState::cancelled);
      EXPECT_EQ(starts_after(id), 0);
    }
  }
}

// One job is cancelled while an operation that will come to it is under way, and the other way round.
TEST_F(EngineCancelRace, AnOperationUnderWayAndACancelOfOneMeetOnce) {
  options.slice = 2;
  restart();
  std::vector<Uuid> ids;
  for (int i = 0; i < 7; ++i) ids.push_back(fresh());
  Slot<BulkDone> bulk;
  store::JobFilter filter;
  filter.type = "Work";
  engine->ask(CancelWhere{admin(), filter, {}}, bulk.answer());
  tick();
  ASSERT_FALSE(bulk.answered());
  for (const auto id : ids) EXPECT_EQ(cancel(id).status.state, JobState::cancelled);
  settle();
  EXPECT_TRUE(bulk.answered());
  for (const auto id : ids) {
    const auto names = history(id);
    EXPECT_EQ(std::count(names.begin(), names.end(), "cancelled"), 1);
  }
}

// ---- every race: both commands in one tick, in both orders ----------------------------------------------------------

class EngineCancelMeets : public EngineCancelRace, public testing::WithParamInterface<bool> {
 protected:
  bool cancel_first() const { return GetParam(); }
  // Posts both, the cancel first or last, and ticks once.
  template <class Other>
  void meet(Uuid id, Other other) {
    if (!cancel_first()) other();
    engine->ask(CancelJob{admin(), id, {}}, cancelled.answer());
    if (cancel_first()) other();
    tick();
    EXPECT_TRUE(cancelled.answered());
  }
  void post_report(ReportCall call) {
    call.host = host.id;
    call.seq = ++host.seq;
    call.fetched = host.fetched;
    call.running = host.running;
    for (const auto& item : call.finished) std::erase(call.running, item.lease);
    engine->ask(call, reported.answer());
  }
  void meet_end(Uuid id, Outcome outcome, int code = 0) {
    meet(id, [&] {
      ReportCall call;
      call.finished = {completion(lease, outcome, code)};
      post_report(call);
    });
    EXPECT_EQ(reported.value().accepted.size(), 1u);
    std::erase(host.running, lease);
  }
  Slot<model::Job> cancelled;
  Slot<ReportAnswer> reported;
};

INSTANTIATE_TEST_SUITE_P(Order, EngineCancelMeets, testing::Bool(),
                         [](const auto& first) { return first.param ? "CancelFirst" : "CancelLast"; });

TEST_P(EngineCancelMeets, AGrant) {
  const auto id = fresh();
  Slot<FetchAnswer> open;
  meet(id, [&] { open_fetch(host, 1, open, 0); });
  EXPECT_EQ(cancelled.value().status.state, JobState::cancelled);
  EXPECT_TRUE(open.value().leases.empty());
  EXPECT_EQ(starts_after(id), 0);
}

TEST_P(EngineCancelMeets, AStart) {
  const auto id = leased();
  meet(id, [&] {
    ReportCall call;
    call.started = {lease};
    post_report(call);
  });
  EXPECT_TRUE(cancelled.value().status.cancel_requested_at);
  EXPECT_EQ(state_of(id), JobState::running);
  EXPECT_EQ(beat(host).cancel.size(), 1u);
  finish(host, lease, Outcome::cancelled);
  EXPECT_EQ(state_of(id), JobState::cancelled);
}

TEST_P(EngineCancelMeets, AGoodEnd) {
  const auto id = running();
  meet_end(id, Outcome::finished);
  EXPECT_EQ(state_of(id), JobState::finished) << "it had ended before the cancel could reach it";
  EXPECT_EQ(starts_after(id), 0);
}

TEST_P(EngineCancelMeets, AFailureThatWouldRetry) {
  const auto id = running();
  meet_end(id, Outcome::failed, 3);
  EXPECT_EQ(state_of(id), JobState::cancelled);
  EXPECT_EQ(starts_after(id), 0);
}

TEST_P(EngineCancelMeets, ALastFailure) {
  auto one = job();
  one.spec.max_attempts = 1;
  const auto id = submit(one);
  lease = fetch(host).leases.at(0).lease.name;
  meet_end(id, Outcome::failed, 3);
  EXPECT_EQ(state_of(id), JobState::failed) << "it ended by itself";
  EXPECT_EQ(starts_after(id), 0);
}

TEST_P(EngineCancelMeets, ARelease) {
  const auto id = leased();
  meet_end(id, Outcome::released);
  EXPECT_EQ(state_of(id), JobState::cancelled);
  EXPECT_EQ(starts_after(id), 0);
}

// The host has heard of the grant but does not hold it: its report gives it back.
TEST_P(EngineCancelMeets, AReleaseOfWhatNobodyHolds) {
  const auto id = leased();
  host.running.clear();
  meet(id, [&] { post_report({}); });
  EXPECT_EQ(state_of(id), JobState::cancelled);
  EXPECT_EQ(starts_after(id), 0);
}

TEST_P(EngineCancelMeets, TheEndOfTheLease) {
  const auto id = running();
  pass(29'800);
  ASSERT_EQ(state_of(id), JobState::running);
  clock.advance(400);
  meet(id, [&] { post_report({}); });  // a report that comes in the same tick does not save it from the cancel
  finish(host, lease, Outcome::cancelled);
  EXPECT_EQ(state_of(id), JobState::cancelled);
  EXPECT_EQ(starts_after(id), 0);
}

TEST_P(EngineCancelMeets, AHostsComingBackAnew) {
  const auto id = running();
  Slot<model::Host> joined;
  meet(id, [&] {
    RegisterHost again;
    again.host.name = "h";
    again.host.slots = 4;
    again.replaces = host.id;
    engine->ask(again, joined.answer());
  });
  EXPECT_TRUE(joined.answered());
  EXPECT_EQ(state_of(id), JobState::cancelled);
  EXPECT_EQ(starts_after(id), 0);
}

TEST_P(EngineCancelMeets, AClose) {
  batch("photos");
  const auto id = fresh("photos");
  Slot<model::Batch> closed;
  meet(id, [&] { engine->ask(CloseBatch{admin(), "photos"}, closed.answer()); });
  settle();
  EXPECT_TRUE(closed.answered());
  EXPECT_EQ(state_of(id), JobState::cancelled);
  EXPECT_EQ(store::event_name(events.back().type), "geres.batch.completed");
}

TEST_P(EngineCancelMeets, ACancelOfItsBatch) {
  batch("photos");
  const auto id = fresh("photos");
  Slot<model::Batch> gone;
  meet(id, [&] { engine->ask(CancelBatch{admin(), "photos", {}}, gone.answer()); });
  settle();
  EXPECT_EQ(state_of(id), JobState::cancelled);
  const auto names = history(id);
  EXPECT_EQ(std::count(names.begin(), names.end(), "cancelled"), 1);
}

TEST_P(EngineCancelMeets, AChangeThatWouldStartIt) {
  auto one = job();
  one.spec.delay = 60'000;
  const auto id = submit(one);
  Slot<model::Job> patched;
  JobPatch now_please;
  now_please.not_before.emplace();
  meet(id, [&] { engine->ask(PatchJob{admin(), id, now_please}, patched.answer()); });
  EXPECT_EQ(state_of(id), JobState::cancelled);
  EXPECT_EQ(starts_after(id), 0);
}

TEST_P(EngineCancelMeets, ItsBeingDue) {
  auto one = job();
  one.spec.delay = 1'000;
  const auto id = submit(one);
  Slot<FetchAnswer> open;
  clock.advance(1'000);
  meet(id, [&] { open_fetch(host, 1, open, 0); });
  EXPECT_EQ(state_of(id), JobState::cancelled);
  EXPECT_TRUE(open.value().leases.empty());
  EXPECT_EQ(starts_after(id), 0);
}

// The answer to the cancel is only right if what it says survives a crash in or after the commit.
TEST_P(EngineCancelMeets, ACommitOfUnknownOutcome) {
  for (const bool done : {true, false}) {
    SCOPED_TRACE(done);
    const auto id = running();
    store->next_commit = FaultyStore::CommitFault{store::Failure::unknown, done};
    Slot<model::Job> slot;
    engine->ask(CancelJob{admin(), id, {}}, slot.answer());
    if (cancel_first()) beat(host);
    settle();
    ASSERT_TRUE(slot.answered());
    if (slot.error() != Code::internal) cancel(id);  // told that nothing is known: ask again
    finish(host, lease, Outcome::failed, 1);
    EXPECT_EQ(state_of(id), JobState::cancelled);
  }
}

}  // namespace
}  // namespace geres::hub::engine
