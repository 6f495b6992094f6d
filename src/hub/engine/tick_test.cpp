// SPDX-License-Identifier: Apache-2.0
// The transaction around it all: how it can end, and what is answered then.
#include <deque>

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

// On a store that is a network away each question costs as much as a commit.
TEST_F(EngineTick, AsksTheStoreOnceForAllItsCommands) {
  push();
  auto host = join("h");
  submit_all({job(), job(), job()});
  ReportCall ends;
  for (const auto& granted : fetch(host, 3).leases)
    ends.finished.push_back(completion(granted.lease.name, Outcome::finished));
  const auto waiting = submit_all({job(), job(), job(), job()});
  send(host, ends);
  // Once more, as its answer was lost.
  std::deque<Slot<Submitted>> submits;
  std::deque<Slot<model::Job>> cancels;
  for (int i = 0; i < 16; ++i) {
    auto keyed = job();
    keyed.spec.key = "key" + std::to_string(i);
    keyed.spec.key_digest = "digest";
    ask_submit(submits.emplace_back(), keyed);
  }
  for (const auto id : waiting) engine->ask(CancelJob{admin(), id, {}}, cancels.emplace_back().answer());
  store->waits = 0;
  const auto accepted = send(host, ends).accepted;
  EXPECT_LE(store->waits, 3) << "to begin, for the lanes' heads, to commit";
  EXPECT_EQ(accepted.size(), ends.finished.size());
  for (auto& made : submits) EXPECT_EQ(made.value().jobs.size(), 1u);
  for (auto& cancelled : cancels) EXPECT_EQ(cancelled.value().status.state, model::JobState::cancelled);
}

// Whatever verb changes them: who serves requests knows of them before the answer, and of what was refused never.
TEST_F(EngineTick, TokensHostsAndBatchesAreTold) {
  std::vector<std::string> told;
  engine->on_registry([&](const RegistryNews& news) {
    for (const auto& token : news.tokens) told.push_back("token " + token.name);
    for (std::size_t i = 0; i < news.tokens_removed.size(); ++i) told.emplace_back("token gone");
    for (const auto& host : news.hosts) told.push_back("host " + host.name);
    for (std::size_t i = 0; i < news.hosts_removed.size(); ++i) told.emplace_back("host gone");
    for (const auto& batch : news.batches) told.push_back("batch " + batch.name);
    for (std::size_t i = 0; i < news.batches_removed.size(); ++i) told.emplace_back("batch gone");
  });
  const auto expect = [&](const std::vector<std::string>& news) { EXPECT_EQ(std::exchange(told, {}), news); };
  model::Token token;
  token.name = "ci";
  token.sha256 = std::string(64, 'b');
  token.roles = {model::Role::viewer};
  Uuid made;
  engine->ask(CreateToken{token}, [&](Result<model::Token> answer) {
    made = answer.value().id;
    expect({"token ci"});
  });
  tick();
  engine->ask(CreateToken{token}, [](auto answer) { EXPECT_EQ(answer.error().code, Code::nameTaken); });
  tick();
  expect({});
  engine->ask(DeleteToken{made}, [&](auto) { expect({"token gone"}); });
  tick();
  join("h");
  expect({"host h"});
  batch("photos");
  expect({"batch photos"});
  engine->ask(CloseBatch{admin(), "photos"}, [](auto) {});
  Slot<BulkDone> deleted;
  engine->ask(DeleteBatch{admin(), "photos"}, deleted.answer());
  settle();
  deleted.value();
  EXPECT_EQ(told.back(), "batch gone");
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
