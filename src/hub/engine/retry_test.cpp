// SPDX-License-Identifier: Apache-2.0
// What becomes of a job when an attempt ends, and when it waits for its time.
#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

using model::JobState;
using model::Outcome;
using model::Reason;

class EngineRetry : public EngineTest {};

TEST_F(EngineRetry, FailuresWaitLongerEachTimeThenEndAsDeadLetter) {
  push();
  auto spec = job();
  spec.spec.max_attempts = 3;
  const auto id = submit(spec);
  auto host = join("h");
  Millis expected = 1'000;
  for (int failure = 1; failure <= 3; ++failure) {
    finish(host, fetch(host).leases.at(0).lease.name, Outcome::failed, 7);
    if (failure == 3) break;
    EXPECT_EQ(state_of(id), JobState::scheduled);
    const Millis pause = *get(id).status.due_at - clock.wall();
    EXPECT_GE(pause, expected * 9 / 10);
    EXPECT_LE(pause, expected * 11 / 10 + 1);
    pass(pause);
    EXPECT_EQ(state_of(id), JobState::ready);
    expected *= 2;
  }
  const auto dead = get(id);
  EXPECT_EQ(dead.status.state, JobState::failed);
  EXPECT_EQ(dead.status.reason, Reason::maxAttempts);
  EXPECT_EQ(dead.status.failures, 3);
  EXPECT_EQ(dead.status.error, "exit 7");
  EXPECT_EQ(store->reads().attempts(id).size(), 3u);
}

TEST_F(EngineRetry, AnAttemptThatIsTheOnlyOneKeepsItsOwnReason) {
  push();
  auto spec = job();
  spec.spec.max_attempts = 1;
  auto host = join("h");
  for (const auto& [outcome, reason] :
       {std::pair{Outcome::failed, Reason::error}, {Outcome::timeout, Reason::timeout}}) {
    const auto id = submit(spec);
    finish(host, fetch(host).leases.at(0).lease.name, outcome, 1);
    EXPECT_EQ(get(id).status.reason, reason);
  }
}

TEST_F(EngineRetry, WhatWillNotGetBetterFailsAtOnce) {
  push();
  auto host = join("h");
  for (const auto& [outcome, reason] : {std::pair{Outcome::aborted, Reason::aborted},
                                        {Outcome::package, Reason::package},
                                        {Outcome::type, Reason::type}}) {
    const auto id = submit(job());
    finish(host, fetch(host).leases.at(0).lease.name, outcome, 60);
    EXPECT_EQ(state_of(id), JobState::failed);
    EXPECT_EQ(get(id).status.reason, reason);
  }
}

TEST_F(EngineRetry, AReleaseCountsNothing) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  for (int i = 0; i < 10; ++i) finish(host, fetch(host).leases.at(0).lease.name, Outcome::released);
  EXPECT_EQ(state_of(id), JobState::ready);
  EXPECT_EQ(get(id).status.failures, 0);
  EXPECT_EQ(get(id).status.host_losses, 0);
  EXPECT_EQ(get(id).status.attempt, 10);
}

TEST_F(EngineRetry, ARetryPauseDoesNotFollowTheWallClockButIsCappedAtStart) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  finish(host, fetch(host).leases.at(0).lease.name, Outcome::failed, 1);
  clock.jump_wall(-3'600'000);
  pass(1'200);
  EXPECT_EQ(state_of(id), JobState::ready) << "the hub lived on: the pause ran on its own clock";
  finish(host, fetch(host).leases.at(0).lease.name, Outcome::failed, 1);
  clock.jump_wall(-3'600'000);
  restart();
  pass(2'300);
  EXPECT_EQ(state_of(id), JobState::ready) << "a restart an hour earlier by the wall clock waits the pause, no hour";
}

TEST_F(EngineRetry, QueueTimeoutEndsAJobThatNobodyTakes) {
  push();
  auto spec = job();
  spec.spec.queue_timeout = 5'000;
  const auto waits = submit(spec), runs = submit(spec);
  auto host = join("h");
  Slot<FetchAnswer> none;
  pass(4'000);
  EXPECT_EQ(fetch(host).leases.at(0).job.id, waits);
  pass(2'000);
  EXPECT_EQ(state_of(waits), JobState::leased) << "it counts only while ready";
  EXPECT_EQ(state_of(runs), JobState::failed);
  EXPECT_EQ(get(runs).status.reason, Reason::queueTimeout);
}

TEST_F(EngineRetry, DelayAndNotBefore) {
  push();
  auto delayed = job();
  delayed.spec.delay = 10'000;
  auto at = job();
  at.spec.not_before = clock.wall() + 20'000;
  const auto a = submit(delayed), b = submit(at);
  EXPECT_EQ(state_of(a), JobState::scheduled);
  pass(10'000);
  EXPECT_EQ(state_of(a), JobState::ready);
  EXPECT_EQ(state_of(b), JobState::scheduled);
  clock.jump_wall(10'000);
  settle();
  EXPECT_EQ(state_of(b), JobState::ready) << "notBefore is a time of day";
  EXPECT_EQ(history(b), (std::vector<std::string>{"submitted", "ready"}));
}

TEST_F(EngineRetry, PatchMovesAWaitingJob) {
  push();
  const auto first = submit(job()), second = submit(job());
  const auto patch = [&](Uuid id, JobPatch what) {
    Slot<model::Job> slot;
    engine->ask(PatchJob{caller(), id, what}, slot.answer());
    tick();
    return slot.result->has_value() ? Code::internal : slot.error();
  };
  JobPatch urgent;
  urgent.priority = -1;
  patch(second, urgent);
  auto host = join("h");
  EXPECT_EQ(fetch(host).leases.at(0).job.id, second);
  JobPatch later;
  later.not_before.emplace(clock.wall() + 60'000);
  patch(first, later);
  EXPECT_EQ(state_of(first), JobState::scheduled);
  patch(first, urgent);
  EXPECT_EQ(state_of(first), JobState::scheduled) << "a new priority does not make it due";
  JobPatch now;
  now.not_before.emplace(std::nullopt);
  now.tags.emplace();
  (*now.tags)["k"] = "v";
  patch(first, now);
  EXPECT_EQ(state_of(first), JobState::ready);
  EXPECT_EQ(get(first).spec.tags.at("k"), "v");
  EXPECT_EQ(get(first).spec.priority, -1);
  EXPECT_EQ(patch(second, urgent), Code::notWaiting);
}

TEST_F(EngineRetry, RedriveMakesALinkedJobAndARepeatFindsIt) {
  push();
  auto spec = job();
  spec.spec.max_attempts = 1;
  const auto id = submit(spec);
  const auto redrive = [&] {
    auto slot = std::make_unique<Slot<model::Job>>();
    engine->ask(RedriveJob{caller(), id}, slot->answer());
    tick();
    return slot;
  };
  EXPECT_EQ(redrive()->error(), Code::notEnded);
  auto host = join("h");
  finish(host, fetch(host).leases.at(0).lease.name, Outcome::failed, 1);
  const auto ended = get(id).status;
  const auto made = redrive()->value();
  EXPECT_EQ(made.status.redrive_of, id);
  EXPECT_EQ(made.status.failures, 0);
  EXPECT_EQ(get(id).status.redriven_as, made.id);
  EXPECT_EQ(get(id).status.state, ended.state);
  EXPECT_EQ(redrive()->value().id, made.id);
  EXPECT_EQ(made.spec.package_sha256, get(id).spec.package_sha256);
}

class EngineDeadLetters : public EngineTest {
 protected:
  void SetUp() override { push(); }
  Uuid dead() {
    auto what = job();
    what.spec.max_attempts = 1;
    const auto id = submit(what);
    end(Outcome::failed);
    return id;
  }
  void end(Outcome outcome) {
    finish(host_, fetch(host_).leases.at(0).lease.name, outcome, outcome == Outcome::failed);
  }
  Uuid redrive(Uuid id) {
    Slot<model::Job> slot;
    engine->ask(RedriveJob{admin(), id}, slot.answer());
    tick();
    return slot.value().id;
  }
  std::unique_ptr<Slot<model::Job>> dismiss(Uuid id, const Caller& who) {
    auto slot = std::make_unique<Slot<model::Job>>();
    engine->ask(DismissJob{who, id}, slot->answer());
    tick();
    return slot;
  }
  std::int64_t open_ones() {
    std::int64_t sum = 0;
    for (const auto& [reason, n] : store->reads().dead_letters({})) sum += n;
    return sum;
  }

 private:
  TestHost host_ = join("h");
};

TEST_F(EngineDeadLetters, ADismissedOneStaysFailedAndIsCountedNoMore) {
  const auto id = dead();
  EXPECT_EQ(open_ones(), 1);
  Caller stranger;
  stranger.tenants = {"other"};
  EXPECT_EQ(dismiss(id, stranger)->error(), Code::unknownJob);
  const auto version = get(id).status.version;
  EXPECT_EQ(dismiss(id, admin())->value().status.settled_at, clock.wall());
  EXPECT_EQ(open_ones(), 0);
  EXPECT_EQ(state_of(id), JobState::failed);
  EXPECT_EQ(get(id).status.version, version + 1);
  EXPECT_EQ(dismiss(id, admin())->value().status.version, version + 1) << "again changes nothing";
  const auto waits = submit(job());
  EXPECT_EQ(dismiss(waits, admin())->error(), Code::notEnded);
  end(Outcome::finished);
  EXPECT_EQ(dismiss(waits, admin())->error(), Code::conflict);
  EXPECT_EQ(open_ones(), 0);
}

TEST_F(EngineDeadLetters, ARedriveThatSucceedsSettlesAllBeforeIt) {
  const auto first = dead();
  const auto second = redrive(first);
  EXPECT_EQ(open_ones(), 1) << "it has not succeeded yet";
  end(Outcome::failed);
  ASSERT_EQ(state_of(second), JobState::failed);
  EXPECT_EQ(open_ones(), 2);
  const auto third = redrive(second);
  end(Outcome::finished);
  ASSERT_EQ(state_of(third), JobState::finished);
  EXPECT_EQ(open_ones(), 0);
  EXPECT_TRUE(get(first).status.settled_at && get(second).status.settled_at);
  EXPECT_FALSE(get(third).status.settled_at);
}

TEST_F(EngineDeadLetters, ManyAreDismissedAtOnceAndNotRunAgainWithOthers) {
  for (int i = 0; i < 3; ++i) dead();
  Slot<BulkDone> dismissed, redriven;
  engine->ask(DismissWhere{admin(), {.type = "Work"}}, dismissed.answer());
  settle();
  EXPECT_EQ(dismissed.value().count, 3);
  EXPECT_EQ(open_ones(), 0);
  const auto fresh = dead();
  engine->ask(RedriveWhere{admin(), {.states = {JobState::failed}}}, redriven.answer());
  settle();
  EXPECT_EQ(redriven.value().count, 1);
  EXPECT_TRUE(get(fresh).status.redriven_as);
  clock.advance(options.keep_failed + 61'000);
  settle();
  EXPECT_EQ(open_ones(), 0) << "what is purged counts no more";
}

}  // namespace
}  // namespace geres::hub::engine
