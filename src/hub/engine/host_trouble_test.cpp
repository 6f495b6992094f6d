// SPDX-License-Identifier: Apache-2.0
// A sick host is no black hole: what it could not start costs the job nothing, and it itself gets no more.
#include <gmock/gmock.h>

#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

using model::Health;
using model::JobState;
using model::Outcome;
using model::Reason;
using testing::HasSubstr;

class EngineHostTrouble : public EngineTest {
 protected:
  void give_back(TestHost& host, Uuid lease, GivenBack how = GivenBack::not_started,
                 const std::string& reason = "no space left") {
    ReportCall call;
    call.finished = {completion(lease, Outcome::released)};
    call.finished[0].given_back = how;
    call.finished[0].reason = call.finished[0].error = reason;
    send(host, call);
  }
  // One job is granted to it, and comes back at once; false: it gets none.
  bool fails_one(TestHost& host, GivenBack how = GivenBack::not_started) {
    const auto got = fetch(host);
    for (const auto& granted : got.leases) give_back(host, granted.lease.name, how);
    return !got.leases.empty();
  }
  // All keep reporting, so that time alone does not make them lost.
  void pass_with(std::vector<TestHost*> hosts, Millis time) {
    for (Millis left = time; left > 0; left -= 5'000) {
      pass(std::min<Millis>(left, 5'000));
      for (auto* host : hosts) beat(*host);
    }
  }
  HostInfo info(const TestHost& host) {
    tick();
    const auto fleet = snapshot();
    for (const auto& one : fleet->hosts)
      if (one.info->host.id == host.id) return *one.info;
    return {};
  }
  static std::string codes(const WhyAnswer& answer) {
    std::string text;
    for (const auto& reason : answer.reasons) text += (text.empty() ? "" : " ") + reason.code;
    return text;
  }
};

// ---- jobs that could not be started

TEST_F(EngineHostTrouble, AJobThatCouldNotBeStartedPausesLongerEachTime) {
  push();
  const auto id = submit(job());
  auto host = join("tiny");
  for (const Millis pause : {1'000, 2'000, 4'000, 8'000, 16'000, 32'000, 60'000, 60'000}) {
    give_back(host, fetch(host).leases.at(0).lease.name, GivenBack::no_room);
    EXPECT_EQ(state_of(id), JobState::scheduled);
    EXPECT_EQ(get(id).status.due_at, clock.wall() + pause);
    pass_with({&host}, pause);
    EXPECT_EQ(state_of(id), JobState::ready);
  }
  const auto status = get(id).status;
  EXPECT_EQ(status.failures + status.host_losses, 0);
  EXPECT_EQ(status.trouble.unstarted, 8);
  finish(host, fetch(host).leases.at(0).lease.name);
  EXPECT_EQ(state_of(id), JobState::finished);
  EXPECT_EQ(get(id).status.trouble, model::HostTrouble{});
}

TEST_F(EngineHostTrouble, ItGoesToAnotherHostWhileOneFits) {
  push();
  const auto id = submit(job());
  auto tiny = join("tiny"), big = join("big", 1);
  give_back(tiny, fetch(tiny).leases.at(0).lease.name);
  pass(1'000);
  restart();  // it remembers
  EXPECT_TRUE(fetch(tiny, 4).leases.empty());
  EXPECT_THAT(codes(why(id)), HasSubstr("hostsUnfit"));
  EXPECT_EQ(fetch(big).leases.at(0).job.id, id);
}

TEST_F(EngineHostTrouble, ItGoesToTheSameHostWhereNoOtherFits) {
  push();
  auto wide = job();
  wide.spec.requirements.slots = 2;
  const auto id = submit(wide);
  auto tiny = join("tiny"), small = join("small", 1), drained = join("drained"), sick = join("sick");
  Slot<HostInfo> mode;
  engine->ask(SetHostMode{"drained", model::HostMode::drain}, mode.answer());
  give_back(tiny, fetch(tiny, 4).leases.at(0).lease.name);
  pass(1'000);
  EXPECT_TRUE(fetch(tiny, 4).leases.empty()) << "'sick' still fits";
  engine->state().hosts.at(sick.id).health.told(Health::unfit, "no disk", clock.monotonic() + 60'000);
  EXPECT_EQ(fetch(tiny, 4).leases.at(0).job.id, id);
}

TEST_F(EngineHostTrouble, TwoHostsDoNotPassItOnToEachOtherBesideAThird) {
  push();
  const auto id = submit(job());
  auto a = join("a"), b = join("b"), good = join("good", 1);
  give_back(a, fetch(a).leases.at(0).lease.name, GivenBack::no_room);
  pass(1'000);
  give_back(b, fetch(b).leases.at(0).lease.name, GivenBack::no_room);
  pass(2'000);
  EXPECT_TRUE(fetch(a).leases.empty());
  EXPECT_TRUE(fetch(b).leases.empty());
  EXPECT_EQ(fetch(good).leases.at(0).job.id, id);
}

TEST_F(EngineHostTrouble, AHostThatAsksForNothingIsNoOther) {
  push();
  const auto id = submit(job());
  auto tiny = join("tiny"), stuck = join("stuck");
  give_back(tiny, fetch(tiny).leases.at(0).lease.name);
  Slot<FetchAnswer> nothing;
  open_fetch(stuck, 0, nothing);
  pass(2'000);
  EXPECT_TRUE(fetch(tiny).leases.empty());
  pass(5'000);
  EXPECT_EQ(fetch(tiny).leases.at(0).job.id, id);
}

TEST_F(EngineHostTrouble, AHostThatWorksForADedicatedBatchIsNoOther) {
  push();
  batch("alone", 100, "acme", 0, true);
  auto tiny = join("tiny"), other = join("other");
  auto first = job();
  first.batch = "alone";
  submit(first);
  start(other, fetch(other).leases.at(0).lease.name);
  const auto id = submit(job());
  give_back(tiny, fetch(tiny).leases.at(0).lease.name);
  pass(1'000);
  EXPECT_EQ(fetch(tiny).leases.at(0).job.id, id);
}

TEST_F(EngineHostTrouble, AfterADayOfNothingElseItHasFailed) {
  EXPECT_EQ(options.unstarted_max, 24 * 3'600'000);
  options.unstarted_max = 120'000;  // a shorter day
  restart();
  push();
  const auto id = submit(job());
  auto host = join("tiny"), late = join("late");
  give_back(host, fetch(host).leases.at(0).lease.name, GivenBack::no_room, "no room for 200 MB");
  pass_with({&host, &late}, 120'000 - 1);
  EXPECT_EQ(state_of(id), JobState::ready);
  EXPECT_THAT(codes(why(id)), HasSubstr("hostsUnfit"));
  pass(1);
  give_back(late, fetch(late).leases.at(0).lease.name, GivenBack::not_started, "its disk is broken");
  const auto status = get(id).status;
  EXPECT_EQ(status.state, JobState::failed);
  EXPECT_EQ(status.reason, Reason::internal);
  EXPECT_EQ(status.error,
            "no host could start it for 2m: host late: its disk is broken; host tiny: no room for 200 MB");
}

TEST_F(EngineHostTrouble, AStartBeginsTheDayAnew) {
  options.unstarted_max = 120'000;
  restart();
  push();
  const auto id = submit(job());
  auto host = join("tiny");
  give_back(host, fetch(host).leases.at(0).lease.name);
  pass_with({&host}, 1'000);
  const auto lease = fetch(host).leases.at(0).lease.name;
  start(host, lease);
  finish(host, lease, Outcome::failed, 1);
  pass_with({&host}, 120'000);
  give_back(host, fetch(host).leases.at(0).lease.name);
  EXPECT_EQ(state_of(id), JobState::scheduled);
}

TEST_F(EngineHostTrouble, WhatAHostGivesBackInOrderIsReadyAtOnce) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  give_back(host, fetch(host).leases.at(0).lease.name, GivenBack::in_order);
  EXPECT_EQ(state_of(id), JobState::ready);
  const auto lease = fetch(host).leases.at(0).lease.name;
  start(host, lease);
  give_back(host, lease);  // it had started: not this kind
  EXPECT_EQ(state_of(id), JobState::ready);
  EXPECT_EQ(info(host).health, Health::well);
}

TEST_F(EngineHostTrouble, AJobThatPausesCanBeCancelledAndChanged) {
  push();
  const auto id = submit(job()), other = submit(job());
  auto host = join("h"), second = join("second");
  give_back(host, fetch(host).leases.at(0).lease.name);
  EXPECT_EQ(cancel(id).status.state, JobState::cancelled);
  give_back(host, fetch(host).leases.at(0).lease.name);
  Slot<model::Job> slot;
  engine->ask(PatchJob{admin(), other, {.priority = -3, .not_before = std::optional<Millis>()}}, slot.answer());
  tick();
  EXPECT_EQ(slot.value().status.state, JobState::ready);
  EXPECT_TRUE(fetch(host).leases.empty());
  EXPECT_EQ(fetch(second).leases.at(0).job.id, other);
}

// ---- losses

TEST_F(EngineHostTrouble, ThreeLossesOnOneHostAreNoPoisonWhileAnotherFits) {
  push();
  const auto id = submit(job());
  auto bad = join("bad");
  for (int i = 0; i < 2; ++i) finish(bad, fetch(bad).leases.at(0).lease.name, Outcome::lost);
  const auto last = fetch(bad).leases.at(0).lease.name;
  auto good = join("good");
  start(bad, last);
  finish(bad, last, Outcome::lost);
  EXPECT_EQ(state_of(id), JobState::ready);
  EXPECT_EQ(get(id).status.host_losses, 3);
  EXPECT_TRUE(fetch(bad).leases.empty());
  finish(good, fetch(good).leases.at(0).lease.name);
  EXPECT_EQ(state_of(id), JobState::finished);
}

TEST_F(EngineHostTrouble, OnTwoHostsTheThirdLossIsPoison) {
  push();
  const auto id = submit(job());
  auto a = join("a"), b = join("b");
  finish(a, fetch(a).leases.at(0).lease.name, Outcome::lost);
  finish(b, fetch(b).leases.at(0).lease.name, Outcome::lost);
  finish(a, fetch(a).leases.at(0).lease.name, Outcome::lost);
  EXPECT_EQ(get(id).status.reason, Reason::poison);
}

// ---- the host's health

TEST_F(EngineHostTrouble, AHostThatSaysThatItRestsIsGrantedNothingUntilItIsWell) {
  push();
  submit(job());
  auto host = join("full");
  ReportCall call;
  call.health = Health::resting;
  call.health_reason = "the disk is full";
  send(host, call);
  EXPECT_EQ(info(host).health, Health::resting);
  EXPECT_EQ(info(host).health_reason, "the disk is full");
  EXPECT_TRUE(fetch(host, 1).leases.empty());
  beat(host);
  EXPECT_EQ(info(host).health, Health::well);
  EXPECT_EQ(fetch(host, 1).leases.size(), 1u);
}

TEST_F(EngineHostTrouble, AHostThatGivesBackThreeInARowRests) {
  push();
  for (int i = 0; i < 50; ++i) submit(job());
  auto host = join("tiny");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(info(host).health, Health::well);
    EXPECT_TRUE(fails_one(host));
  }
  for (const Millis rest : {1'000, 2'000, 4'000, 8'000, 16'000, 32'000, 60'000, 60'000}) {
    const auto now = info(host);
    EXPECT_EQ(now.health, rest < 60'000 ? Health::resting : Health::unfit);
    EXPECT_EQ(now.health_reason, "no space left");
    EXPECT_EQ(now.health_tested_at, clock.wall() + rest);
    pass_with({&host}, rest - 1);
    EXPECT_TRUE(fetch(host, 4).leases.empty());
    pass(1);
    const auto got = fetch(host, 4);
    ASSERT_EQ(got.leases.size(), 1u) << "tried with one";
    EXPECT_TRUE(fetch(host, 3).leases.empty());
    give_back(host, got.leases.at(0).lease.name);
  }
  pass_with({&host}, 60'000);
  start(host, fetch(host, 4).leases.at(0).lease.name);
  EXPECT_EQ(info(host).health, Health::well);
  EXPECT_EQ(fetch(host, 3).leases.size(), 3u);
}

TEST_F(EngineHostTrouble, ItKeepsItsRestWhenTheStateIsReadAnew) {
  push();
  for (int i = 0; i < 5; ++i) submit(job());
  auto host = join("tiny");
  for (int i = 0; i < 3; ++i) fails_one(host);
  store->next_commit = FaultyStore::CommitFault{store::Failure::refused};
  EXPECT_EQ(submit_error(job()), Code::notDone);
  EXPECT_EQ(info(host).health, Health::resting);
}

TEST_F(EngineHostTrouble, JobsTooLargeForItSayNothingOfTheHost) {
  push();
  for (int i = 0; i < 10; ++i) submit(job());
  auto host = join("tiny");
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(fails_one(host, GivenBack::no_room));
  EXPECT_EQ(info(host).health, Health::well);
}

TEST_F(EngineHostTrouble, AHostThatLosesMoreThanItsPeersRests) {
  push();
  auto bad = join("bad"), good = join("good");
  const auto one = [&](TestHost& host, Outcome outcome) {
    submit(job());
    const auto lease = fetch(host).leases.at(0).lease.name;
    start(host, lease);
    finish(host, lease, outcome);
  };
  for (int i = 0; i < 12; ++i) one(good, Outcome::finished);
  for (int i = 0; i < 9; ++i) {
    one(bad, Outcome::lost);
    if (state_of(store->reads().jobs({}, {1, 0, false}).jobs.at(0).id) == JobState::ready) one(good, Outcome::finished);
  }
  EXPECT_EQ(info(bad).health, Health::well) << "too few to tell";
  one(bad, Outcome::lost);
  EXPECT_EQ(info(bad).health, Health::resting);
  EXPECT_EQ(info(good).health, Health::well);
}

TEST_F(EngineHostTrouble, WhereAllLoseNobodyRests) {
  push();
  auto a = join("a", 20), b = join("b", 20);
  submit_all(std::vector<NewJob>(40, job()));
  for (auto* host : {&a, &b})
    for (const auto& granted : fetch(*host, 20).leases) start(*host, granted.lease.name);
  pass(29'000);
  EXPECT_GT(engine->stats().leases.load(), 0);
  pass(2'000);
  EXPECT_EQ(info(a).health, Health::well);
  EXPECT_EQ(info(b).health, Health::well);
}

TEST_F(EngineHostTrouble, WhyTellsOfHostsThatAreNotWell) {
  push();
  for (int i = 0; i < 3; ++i) submit(job());
  auto host = join("tiny");
  for (int i = 0; i < 3; ++i) fails_one(host);
  const auto fresh = submit(job());
  const auto answer = why(fresh);
  EXPECT_THAT(codes(answer), HasSubstr("hostsUnfit"));
  EXPECT_EQ(answer.summary, "1 host cannot start jobs just now")
      << "what went wrong with the jobs of others is not told";
}

}  // namespace
}  // namespace geres::hub::engine
