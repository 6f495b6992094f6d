// SPDX-License-Identifier: Apache-2.0
// Cancel reaches a job in every state, and its host until it has heard.
#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

using model::JobState;
using model::Outcome;

class EngineCancel : public EngineTest {};

TEST_F(EngineCancel, WhatHasNotStartedEndsAtOnce) {
  push();
  auto delayed = job();
  delayed.spec.delay = 60'000;
  const auto ready = submit(job()), scheduled = submit(delayed);
  EXPECT_EQ(cancel(ready).status.state, JobState::cancelled);
  EXPECT_EQ(cancel(scheduled).status.state, JobState::cancelled);
  const auto version = get(ready).status.version;
  EXPECT_EQ(cancel(ready).status.version, version) << "an ended job is left as it is";
  auto host = join("h");
  EXPECT_TRUE(fetch(host, 4).leases.empty());
  pass(61'000);
  EXPECT_EQ(state_of(scheduled), JobState::cancelled);
}

TEST_F(EngineCancel, SubmitAndCancelInOneTick) {
  push();
  Slot<Submitted> submitted;
  Submit submit;
  submit.caller = admin();
  submit.jobs = {job()};
  submit.jobs[0].spec.key = "k";
  submit.jobs[0].spec.key_digest = "d";
  auto host = join("h");
  Slot<FetchAnswer> open;
  open_fetch(host, 1, open);
  tick();
  engine->ask(std::move(submit), submitted.answer());
  Slot<BulkDone> cancelled;
  store::JobFilter filter;
  filter.tenants = {"acme"};
  engine->ask(CancelWhere{admin(), filter, {}}, cancelled.answer());
  tick();
  EXPECT_EQ(cancelled.value().count, 1);
  EXPECT_EQ(state_of(submitted.value().ids[0]), JobState::cancelled);
  EXPECT_FALSE(open.answered());
}

TEST_F(EngineCancel, ARunningJobsHostHearsThroughItsOpenFetch) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  const auto lease = fetch(host).leases.at(0).lease.name;
  start(host, lease);
  Slot<FetchAnswer> open;
  open_fetch(host, 0, open);
  tick();
  const auto answer = cancel(id, {3'000, "not needed"});
  EXPECT_EQ(answer.status.state, JobState::running);
  EXPECT_TRUE(answer.status.cancel_requested_at);
  ASSERT_EQ(open.value().cancel.size(), 1u);
  EXPECT_EQ(open.value().cancel[0].lease, lease);
  EXPECT_EQ(open.value().cancel[0].grace, 3'000);
  finish(host, lease, Outcome::cancelled, 143);
  EXPECT_EQ(state_of(id), JobState::cancelled);
  EXPECT_EQ(history(id).back(), "cancelled");
}

TEST_F(EngineCancel, TheOrderIsToldUntilItIsHeardAndThenNoMore) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  fetch(host);
  beat(host);
  cancel(id);
  EXPECT_EQ(fetch(host, 0).cancel.size(), 1u);
  --host.fetches;  // the answer was lost: the same fetch again
  EXPECT_EQ(fetch(host, 0).cancel.size(), 1u);
  host.fetched.clear();
  EXPECT_EQ(beat(host).cancel.size(), 1u) << "a report that names no fetch is told again";
  EXPECT_TRUE(fetch(host, 0).cancel.empty()) << "the next fetch is not answered with it at once";
  host.fetched = "h-2";
  beat(host);
  EXPECT_TRUE(beat(host).cancel.empty()) << "the report says that the answer came";
  restart();
  EXPECT_EQ(fetch(host, 0).cancel.size(), 1u) << "a new hub does not know what was heard";
}

// The agent names a fetch as heard when its repeat was answered: what the lost answer ordered has to stand in that one.
TEST_F(EngineCancel, TheRepeatOfAnOlderFetchTellsItsOrderAgain) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  fetch(host);
  cancel(id);
  EXPECT_EQ(fetch(host, 0).cancel.size(), 1u);
  Slot<FetchAnswer> newest, repeat;
  open_fetch(host, 1, newest);
  --host.fetches;
  --host.fetches;
  open_fetch(host, 0, repeat);
  host.fetches += 1;
  tick();
  EXPECT_EQ(repeat.value().cancel.size(), 1u);
}

// Two fetches side by side: the order that stands in the newer one's answer may come before the grant in the older
// one's.
TEST_F(EngineCancel, AnOrderThatOvertookItsLeaseIsToldAgain) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  fetch(host);
  cancel(id);
  EXPECT_EQ(fetch(host, 0).cancel.size(), 1u) << "before the host has named the lease";
  host.fetched = "h-2";
  EXPECT_EQ(beat(host).cancel.size(), 1u) << "it names the lease now, but may have dropped the order";
  EXPECT_EQ(fetch(host, 0).cancel.size(), 1u);
  host.fetched = "h-3";
  EXPECT_TRUE(beat(host).cancel.empty());
}

// A fetch that came twice, its copies answered at different times: only the first answer reached anybody.
TEST_F(EngineCancel, AnOrderInASecondAnswerToAFetchIsToldAgain) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  fetch(host);
  beat(host);
  EXPECT_TRUE(fetch(host, 0).cancel.empty());
  cancel(id);
  --host.fetches;
  EXPECT_EQ(fetch(host, 0).cancel.size(), 1u) << "a late copy of the same";
  EXPECT_EQ(beat(host).cancel.size(), 1u) << "the report may mean the first answer";
  EXPECT_EQ(fetch(host, 0).cancel.size(), 1u);
  EXPECT_TRUE(beat(host).cancel.empty());
}

// A hub that has just started does not know which fetches were answered before.
TEST_F(EngineCancel, AfterAStartAFetchThatMayHaveBeenAnsweredConfirmsNothing) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  fetch(host);
  beat(host);
  EXPECT_TRUE(fetch(host, 0).cancel.empty());
  cancel(id);
  restart();
  --host.fetches;
  EXPECT_EQ(fetch(host, 0).cancel.size(), 1u) << "a late copy of the same";
  EXPECT_EQ(beat(host).cancel.size(), 1u);
  EXPECT_EQ(fetch(host, 0).cancel.size(), 1u);
  EXPECT_TRUE(beat(host).cancel.empty());
}

// Nobody awaits the answer to a late copy of a fetch that was heard: what it is granted would lie about.
TEST_F(EngineCancel, ALateCopyOfAHeardFetchIsGrantedNothing) {
  push();
  auto host = join("h");
  EXPECT_TRUE(fetch(host).leases.empty());
  beat(host);
  submit(job());
  --host.fetches;
  EXPECT_TRUE(fetch(host).leases.empty());
  EXPECT_EQ(fetch(host).leases.size(), 1u);
}

TEST_F(EngineCancel, AJobThatEndedBeforeTheCancelReachedItKeepsItsEnd) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  const auto lease = fetch(host).leases.at(0).lease.name;
  cancel(id);
  finish(host, lease);
  EXPECT_EQ(state_of(id), JobState::finished);
}

TEST_F(EngineCancel, NothingIsRetriedOnceACancelIsAskedFor) {
  push();
  auto host = join("h");
  for (const auto outcome : {Outcome::failed, Outcome::timeout, Outcome::released, Outcome::lost}) {
    const auto id = submit(job());
    const auto lease = fetch(host).leases.at(0).lease.name;
    cancel(id);
    finish(host, lease, outcome, 1);
    EXPECT_EQ(state_of(id), JobState::cancelled);
  }
  const auto id = submit(job());
  fetch(host);
  cancel(id);
  pass(31'000);
  EXPECT_EQ(state_of(id), JobState::cancelled) << "its host is lost";
}

TEST_F(EngineCancel, AnotherTenantsJobIsNotThere) {
  push();
  const auto id = submit(job());
  Slot<model::Job> slot;
  engine->ask(CancelJob{caller("globex"), id, {}}, slot.answer());
  Slot<BulkDone> bulk;
  store::JobFilter filter;
  filter.tenants = {"acme"};
  engine->ask(CancelWhere{caller("globex"), filter, {}}, bulk.answer());
  tick();
  EXPECT_EQ(slot.error(), Code::unknownJob);
  EXPECT_EQ(bulk.value().count, 0);
  EXPECT_EQ(state_of(id), JobState::ready);
}

}  // namespace
}  // namespace geres::hub::engine
