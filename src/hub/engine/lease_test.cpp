// SPDX-License-Identifier: Apache-2.0
// Who gets a job, who may write about it, and when it is given to another.
#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

using model::JobState;
using model::Outcome;
using model::Reason;

class EngineLease : public EngineTest {};

TEST_F(EngineLease, ASubmittedJobGoesToAWaitingHostInTheSameTick) {
  push();
  auto host = join("h");
  Slot<FetchAnswer> open;
  open_fetch(host, 1, open);
  tick();
  EXPECT_FALSE(open.answered());
  const auto commits = engine->stats().commits.load();
  const auto id = submit(job());
  EXPECT_EQ(engine->stats().commits.load(), commits + 1);
  const auto& granted = open.value().leases.at(0);
  EXPECT_EQ(granted.job.id, id);
  EXPECT_EQ(granted.lease.attempt, 1);
  EXPECT_EQ(state_of(id), JobState::leased);
}

TEST_F(EngineLease, TheWholeLifeIsInTheHistory) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  const auto lease = fetch(host).leases.at(0).lease.name;
  start(host, lease);
  EXPECT_EQ(state_of(id), JobState::running);
  ReportCall progress;
  progress.progress = {{lease, {50, "half"}}};
  send(host, progress);
  EXPECT_EQ(get(id).status.progress->percent, 50);
  auto item = completion(lease, Outcome::finished);
  item.result = "42";
  ReportCall last;
  last.finished = {item};
  EXPECT_EQ(send(host, last).accepted.size(), 1u);
  const auto done = get(id);
  EXPECT_EQ(done.status.state, JobState::finished);
  EXPECT_EQ(done.status.result, "42");
  EXPECT_EQ(done.status.exit->code, 0);
  EXPECT_EQ(history(id), (std::vector<std::string>{"submitted", "leased", "started", "progressed", "finished"}));
  EXPECT_FALSE(engine->lease(lease));
}

TEST_F(EngineLease, PriorityThenAgeDecideWithinALane) {
  push();
  auto late = job(), urgent = job();
  urgent.spec.priority = -5;
  const auto first = submit(late), second = submit(late), third = submit(urgent);
  auto host = join("h");
  EXPECT_EQ(fetch(host).leases.at(0).job.id, third);
  EXPECT_EQ(fetch(host).leases.at(0).job.id, first);
  EXPECT_EQ(fetch(host).leases.at(0).job.id, second);
}

TEST_F(EngineLease, AStaleLeaseChangesNothing) {
  push();
  const auto id = submit(job());
  auto slow = join("slow");
  const auto old = fetch(slow).leases.at(0).lease.name;
  start(slow, old);
  pass(31'000);
  EXPECT_EQ(state_of(id), JobState::ready);
  EXPECT_EQ(get(id).status.host_losses, 1);
  auto quick = join("quick");
  const auto current = fetch(quick).leases.at(0).lease.name;
  const auto before = get(id);
  const auto events_before = events.size();
  ReportCall call;
  call.started = {old};
  call.progress = {{old, {99, "still here"}}};
  call.finished = {completion(old, Outcome::finished)};
  slow.running = {old};
  const auto answer = send(slow, call);
  ASSERT_EQ(answer.refused.size(), 1u);
  EXPECT_EQ(answer.refused[0].code, Code::stale);
  EXPECT_EQ(get(id).status.version, before.status.version);
  for (std::size_t i = events_before; i < events.size(); ++i) EXPECT_NE(events[i].subject, id);
  finish(quick, current);
  EXPECT_EQ(state_of(id), JobState::finished);
  EXPECT_EQ(get(id).status.attempt, 2);
}

TEST_F(EngineLease, AnotherHostsLeaseIsStaleToo) {
  push();
  const auto id = submit(job());
  auto owner = join("owner"), thief = join("thief");
  const auto lease = fetch(owner).leases.at(0).lease.name;
  const auto answer = finish(thief, lease);
  EXPECT_EQ(answer.refused.at(0).code, Code::stale);
  EXPECT_EQ(state_of(id), JobState::leased);
}

TEST_F(EngineLease, TheSameCompletionAgainIsAcceptedADifferentOneIsNot) {
  push();
  submit(job());
  auto host = join("h");
  const auto lease = fetch(host).leases.at(0).lease.name;
  EXPECT_EQ(finish(host, lease).accepted.size(), 1u);
  EXPECT_EQ(finish(host, lease).accepted.size(), 1u);
  restart();
  EXPECT_EQ(finish(host, lease).accepted.size(), 1u) << "also in another life of the hub";
  EXPECT_EQ(finish(host, lease, Outcome::failed, 3).refused.at(0).code, Code::conflict);
}

TEST_F(EngineLease, ReportsRenewAndALateOneDoesNot) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  fetch(host);
  for (int i = 0; i < 10; ++i) {
    pass(10'000);
    EXPECT_TRUE(beat(host).lost.empty());
  }
  EXPECT_EQ(state_of(id), JobState::leased);
  const auto seq = host.seq;
  pass(20'000);
  host.seq = seq - 3;  // a report that was long on its way
  beat(host);
  pass(11'000);
  EXPECT_EQ(state_of(id), JobState::ready);
}

TEST_F(EngineLease, ARepeatedFetchGetsTheSameAnswerAlsoFromAnotherHub) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  const auto first = fetch(host).leases.at(0);
  const auto repeat = [&] {
    --host.fetches;
    return fetch(host, 1);
  };
  submit(job());
  EXPECT_EQ(repeat().leases.at(0).lease.name, first.lease.name);
  restart();
  const auto again = repeat();
  ASSERT_EQ(again.leases.size(), 1u);
  EXPECT_EQ(again.leases[0].lease.name, first.lease.name);
  EXPECT_EQ(again.leases[0].job.id, id);
}

TEST_F(EngineLease, AnOlderFetchMakesWayForANewOne) {
  push();
  auto host = join("h");
  Slot<FetchAnswer> older, newer;
  open_fetch(host, 0, older);
  tick();
  open_fetch(host, 2, newer);
  tick();
  EXPECT_TRUE(older.value().leases.empty());
  EXPECT_FALSE(newer.answered());
  submit_all({job(), job(), job()});
  EXPECT_EQ(newer.value().leases.size(), 2u);
}

TEST_F(EngineLease, AFetchWhoseCallerHasGoneGetsNothing) {
  push();
  auto host = join("h");
  Slot<FetchAnswer> open;
  open_fetch(host, 1, open);
  tick();
  engine->abandon_fetch(host.id, "h-1", clock.monotonic());
  tick();
  const auto id = submit(job());
  EXPECT_FALSE(open.answered());
  EXPECT_EQ(state_of(id), JobState::ready);
}

TEST_F(EngineLease, WhatAHostNeverHeardOfIsReleasedAtOnce) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  Slot<FetchAnswer> lost_answer;
  open_fetch(host, 1, lost_answer);
  tick();
  ASSERT_EQ(lost_answer.value().leases.size(), 1u);
  beat(host);  // names no fetch: the answer may be on its way
  EXPECT_EQ(state_of(id), JobState::leased);
  fetch(host, 0);
  beat(host);  // names another one
  EXPECT_EQ(state_of(id), JobState::leased);
  host.fetched = "h-1";
  beat(host);  // has taken in the answer and does not run it
  EXPECT_EQ(state_of(id), JobState::ready);
  EXPECT_EQ(get(id).status.host_losses, 0);
  EXPECT_EQ(get(id).status.failures, 0);
}

TEST_F(EngineLease, AHostThatLeavesTakesNothingWithIt) {
  push();
  auto host = join("h");
  Slot<FetchAnswer> open;
  open_fetch(host, 1, open);
  tick();
  const auto id = submit(job());  // granted to the open fetch while the goodbye is on its way
  ASSERT_EQ(open.value().leases.size(), 1u);
  ReportCall goodbye;
  goodbye.leaving = true;
  send(host, goodbye);
  EXPECT_EQ(state_of(id), JobState::ready);
  EXPECT_EQ(get(id).status.host_losses, 0);
  EXPECT_TRUE(engine->state().hosts.empty());
}

TEST_F(EngineLease, AReplacedHostGivesItsAttemptsBackAtOnce) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  fetch(host);
  Slot<model::Host> refused;
  RegisterHost same;
  same.host.name = "h";
  engine->ask(same, refused.answer());
  tick();
  EXPECT_EQ(refused.error(), Code::hostAlive);
  join("h", 4, {}, host.id);
  EXPECT_EQ(state_of(id), JobState::ready);
  EXPECT_EQ(get(id).status.host_losses, 1);
  Slot<ReportAnswer> gone;
  ReportCall late;
  late.host = host.id;
  late.seq = 9;
  engine->ask(late, gone.answer());
  tick();
  EXPECT_EQ(gone.error(), Code::hostGone);
}

TEST_F(EngineLease, HostsOfDifferentTenantsMayHaveOneName) {
  const auto enrol = [&](std::optional<std::vector<std::string>> tenants) {
    RegisterHost wanted;
    wanted.host.name = "h";
    wanted.host.tenants = std::move(tenants);
    auto slot = std::make_unique<Slot<model::Host>>();
    engine->ask(wanted, slot->answer());
    tick();
    if (slot->result && *slot->result) {
      TestHost host{.id = slot->value().id, .name = "h"};
      send(host, {});  // heard of
    }
    return slot;
  };
  const auto everybodys = enrol({})->value().id, acmes = enrol({{"acme", "other"}})->value().id;
  enrol({{"other"}})->value();
  EXPECT_EQ(enrol({{"other", "acme"}})->error(), Code::hostAlive) << "the same tenants in another order";
  EXPECT_EQ(enrol({})->error(), Code::hostAlive);
  restart();
  EXPECT_EQ(engine->state().hosts.size(), 3u);
  EXPECT_EQ(engine->state().host_names.size(), 3u);
  const auto drain = [&](const std::string& host) {
    auto slot = std::make_unique<Slot<HostInfo>>();
    engine->ask(SetHostMode{host, model::HostMode::drain}, slot->answer());
    tick();
    return slot;
  };
  const auto refused = drain("h");
  ASSERT_EQ(refused->error(), Code::conflict);
  for (const auto id : {everybodys, acmes})
    EXPECT_NE(refused->result->error().message.find(id.str()), std::string::npos);
  EXPECT_EQ(drain(acmes.str())->value().host.mode, model::HostMode::drain);
  EXPECT_EQ(engine->state().hosts.at(everybodys).row.mode, model::HostMode::run);
}

TEST_F(EngineLease, TheThirdLostHostMakesItPoison) {
  push();
  const auto id = submit(job());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(state_of(id), JobState::ready);
    auto host = join("h" + std::to_string(i));
    fetch(host);
    pass(31'000);
  }
  EXPECT_EQ(state_of(id), JobState::failed);
  EXPECT_EQ(get(id).status.reason, Reason::poison);
  EXPECT_EQ(store->reads().attempts(id).size(), 3u);
}

TEST_F(EngineLease, APauseOfTheEngineMovesAllDeadlines) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  fetch(host);
  clock.advance(120'000);  // nobody ticked: the hub was stopped
  tick();
  EXPECT_EQ(state_of(id), JobState::leased);
  pass(29'000);
  EXPECT_EQ(state_of(id), JobState::leased);
  pass(2'000);
  EXPECT_EQ(state_of(id), JobState::ready);
}

TEST_F(EngineLease, ARestartGivesEveryLeaseItsFullTimeAgain) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  fetch(host);
  pass(25'000);
  clock.advance(500'000);
  restart();
  pass(29'000);
  EXPECT_EQ(state_of(id), JobState::leased);
  pass(2'000);
  EXPECT_EQ(state_of(id), JobState::ready);
}

TEST_F(EngineLease, AWallClockThatJumpsExpiresNothing) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  fetch(host);
  clock.jump_wall(86'400'000);
  tick();
  EXPECT_EQ(state_of(id), JobState::leased);
  clock.jump_wall(-2 * 86'400'000LL);
  pass(31'000);
  EXPECT_EQ(state_of(id), JobState::ready);
}

TEST_F(EngineLease, ADrainingHostGetsNothingNewAndHearsOfIt) {
  push();
  auto host = join("h");
  Slot<FetchAnswer> open;
  open_fetch(host, 2, open);
  tick();
  Slot<HostInfo> drained;
  engine->ask(SetHostMode{"h", model::HostMode::drain}, drained.answer());
  tick();
  EXPECT_EQ(open.value().mode, model::HostMode::drain);
  const auto id = submit(job());
  EXPECT_TRUE(fetch(host, 2).leases.empty());
  EXPECT_EQ(state_of(id), JobState::ready);
}

TEST_F(EngineLease, ProgressIsLatestWinsOnceASecond) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  const auto lease = fetch(host).leases.at(0).lease.name;
  start(host, lease);
  for (int percent = 1; percent <= 50; ++percent) {
    ReportCall call;
    call.progress = {{lease, {percent, ""}}};
    send(host, call);
  }
  EXPECT_EQ(get(id).status.progress->percent, 1);
  pass(1'000);
  EXPECT_EQ(get(id).status.progress->percent, 50);
  EXPECT_EQ(history(id).size(), 5u);
}

TEST_F(EngineLease, MissingFilesRefuseTheItemAndKeepTheLease) {
  push();
  const auto id = submit(job());
  auto host = join("h");
  const auto lease = fetch(host).leases.at(0).lease.name;
  ReportCall call;
  call.finished = {completion(lease, Outcome::finished)};
  call.finished[0].files = {{"out.png", 3, std::string(64, 'f')}};
  call.finished[0].files_missing = true;
  EXPECT_EQ(send(host, call).refused.at(0).code, Code::filesMissing);
  EXPECT_NE(state_of(id), JobState::finished);
  call.finished[0].files_missing = false;
  EXPECT_EQ(send(host, call).accepted.size(), 1u);
  EXPECT_EQ(store->reads().files(id).at(0).path, "out.png");
}

// The host counts from heldMs, the hub from the tick's beginning: a slow disk must not make the host's end the later.
TEST_F(EngineLease, ASlowCommitGivesNoHostALongerLease) {
  push();
  auto host = join("h");
  Slot<FetchAnswer> open;
  open_fetch(host, 1, open);
  tick();
  clock.advance(100);
  store->before_commit = [&] { clock.advance(5'000); };
  submit(job());
  store->before_commit = nullptr;
  EXPECT_EQ(open.value().leases.size(), 1u);
  EXPECT_EQ(open.value().held, 100);
}

TEST_F(EngineLease, ARepeatThatWaitsItsTurnIsGivenNoLongerLease) {
  push();
  submit(job());
  auto host = join("h");
  fetch(host);
  Slot<FetchAnswer> again;
  --host.fetches;
  open_fetch(host, 1, again);
  clock.advance(900);  // in the queue
  tick();
  EXPECT_EQ(again.value().leases.size(), 1u);
  EXPECT_EQ(again.value().held, 0);
}

// A host that lost its connection has sent its fetch again before the hub noticed.
TEST_F(EngineLease, ACallerThatHasGoneTakesNoRepeatWithIt) {
  push();
  auto host = join("h");
  Slot<FetchAnswer> first, repeat;
  open_fetch(host, 1, first);
  const Millis received = clock.monotonic();
  tick();
  clock.advance(10);
  --host.fetches;
  open_fetch(host, 1, repeat);
  tick();
  engine->abandon_fetch(host.id, "h-1", received);
  tick();
  const auto id = submit(job());
  EXPECT_EQ(repeat.value().leases.at(0).job.id, id);
}

// A copy of an older fetch that a network held back: it must not take the place of the one that the host waits on, nor
// take jobs that nobody would hear of.
TEST_F(EngineLease, ALateCopyOfAFetchTakesNothing) {
  push();
  auto host = join("h");
  submit(job());
  const auto first = fetch(host).leases.at(0).lease.name;
  Slot<FetchAnswer> newest, copy;
  open_fetch(host, 1, newest);
  tick();
  host.fetches -= 2;
  open_fetch(host, 1, copy);
  host.fetches += 1;
  tick();
  ASSERT_EQ(copy.value().leases.size(), 1u) << "what it was answered then";
  EXPECT_EQ(copy.value().leases[0].lease.name, first);
  EXPECT_FALSE(newest.answered());
  const auto id = submit(job());
  EXPECT_EQ(newest.value().leases.at(0).job.id, id);
}

TEST_F(EngineLease, ARepeatBesideTheNextFetchIsToldItsLeases) {
  push();
  auto host = join("h");
  submit(job());
  const auto lease = fetch(host).leases.at(0).lease.name;
  Slot<FetchAnswer> repeat, next;
  --host.fetches;
  open_fetch(host, 1, repeat);
  open_fetch(host, 1, next);
  tick();
  ASSERT_EQ(repeat.value().leases.size(), 1u);
  EXPECT_EQ(repeat.value().leases[0].lease.name, lease);
  EXPECT_FALSE(next.answered());
}

TEST_F(EngineLease, AHostIsNotIdleBecauseAnAnswerWithNothingGotLost) {
  push();
  auto host = join("h");
  Slot<FetchAnswer> nothing, repeat;
  open_fetch(host, 1, nothing);
  pass(61'000);
  EXPECT_TRUE(nothing.value().leases.empty());
  --host.fetches;
  open_fetch(host, 1, repeat);
  const auto id = submit(job());
  EXPECT_EQ(repeat.value().leases.at(0).job.id, id);
}

TEST_F(EngineLease, AHostWhoseRegistrationWasNotAnsweredJoinsAgainAtOnce) {
  const auto unheard = join("h");
  auto host = join("h");
  EXPECT_NE(host.id, unheard.id);
  beat(host);
  RegisterHost other;
  other.host.name = "h";
  Slot<model::Host> refused;
  engine->ask(other, refused.answer());
  tick();
  EXPECT_EQ(refused.error(), Code::hostAlive) << "one that was heard of is not pushed aside";
}

TEST_F(EngineLease, ALongLeaseDoesNotMakeADeadHostLookAlive) {
  options.lease = 3'600'000;
  restart();
  auto host = join("h");
  beat(host);
  pass(31'000);
  EXPECT_TRUE(engine->state().hosts.at(host.id).lost);
}

// Two fetches that were open side by side may come in either order. Naming the answer of one says nothing of the
// other's, which may still be on its way.
TEST_F(EngineLease, HearingOneAnswerSaysNothingOfAnother) {
  push();
  submit(job());
  auto host = join("h");
  host.fetches = 1;
  Slot<FetchAnswer> newer, older;
  open_fetch(host, 1, newer);  // h-2: its answer is slow
  tick();
  const auto lease = newer.value().leases.at(0).lease.name;
  host.fetches = 0;
  open_fetch(host, 1, older, 0);  // h-1: sent before, here later
  tick();
  heard(host, older.value());
  ReportCall one;
  send(host, one);
  EXPECT_TRUE(engine->lease(lease)) << "it was given away while its answer was on its way";
  host.fetched = "h-2";
  send(host, one);
  EXPECT_FALSE(engine->lease(lease)) << "now it is known to be unheard";
}

// Its host need not ask anew when an attempt ends, nor count what is free.
TEST_F(EngineLease, AFetchThatNamesAllSlotsIsGrantedWhatAReportFreesInTheSameTick) {
  push();
  submit_all({job(), job(), job(), job()});
  auto host = join("h", 2);
  const auto first = fetch(host, 2);
  ASSERT_EQ(first.leases.size(), 2u);
  Slot<FetchAnswer> open;
  open_fetch(host, 2, open);
  tick();
  EXPECT_FALSE(open.answered()) << "both slots are taken";
  EXPECT_EQ(finish(host, first.leases[0].lease.name).accepted.size(), 1u);
  ASSERT_EQ(open.value().leases.size(), 1u);
  EXPECT_EQ(engine->state().hosts.at(host.id).slots_used, 2);
}

// A frozen host's connection stays open, and its fetch names all its slots.
TEST_F(EngineLease, WhoLetALeaseRunOutIsGrantedNothingUntilItIsHeardOf) {
  push();
  const auto id = submit(job());
  auto host = join("h", 1);
  fetch(host);
  Slot<FetchAnswer> open;
  pass(29'000);
  open_fetch(host, 1, open);
  pass(2'000);
  EXPECT_EQ(state_of(id), JobState::ready);
  EXPECT_EQ(get(id).status.host_losses, 1);
  beat(host);
  EXPECT_EQ(open.value().leases.size(), 1u);
}

TEST_F(EngineLease, AHostIsAliveByItsOpenFetchAlone) {
  auto host = join("h");
  for (int i = 0; i < 5; ++i) {
    Slot<FetchAnswer> open;
    open_fetch(host, 4, open);
    pass(20'000);
    EXPECT_TRUE(open.answered());
    EXPECT_FALSE(engine->state().hosts.at(host.id).lost);
    EXPECT_LE(clock.wall() - engine->state().hosts.at(host.id).last_seen_wall, 1'000);
  }
  pass(31'000);
  EXPECT_TRUE(engine->state().hosts.at(host.id).lost) << "nothing of it any more";
}

// While a fetch waits the clocks of hub and host go apart, and the margin of a lease is only so large.
TEST_F(EngineLease, AFetchWaitsHalfAMinuteAtMost) {
  auto host = join("h");
  Slot<FetchAnswer> slot;
  open_fetch(host, 1, slot, 60'000);
  pass(29'500);
  EXPECT_FALSE(slot.answered());
  pass(1'000);
  EXPECT_TRUE(slot.answered());
}

}  // namespace
}  // namespace geres::hub::engine
