// SPDX-License-Identifier: Apache-2.0
// The engine's rules for many jobs: batches, fairness, limits, bulk verbs in slices, retention, why.
#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

using model::JobState;
using model::Outcome;

class EngineBulk : public EngineTest {
 protected:
  EngineBulk() {
    options.slice = 10;
    restart();
    push();
  }
  std::vector<Uuid> many(int n, const std::string& batch_name = {}, const std::string& tenant = "acme") {
    std::vector<NewJob> jobs;
    for (int i = 0; i < n; ++i) {
      jobs.push_back(job("Work", tenant));
      jobs.back().batch = batch_name;
    }
    return submit_all(std::move(jobs));
  }
  std::int64_t count(JobState state) {
    store::JobFilter filter;
    filter.states = {state};
    return store->reads().count(filter).count;
  }
};

TEST_F(EngineBulk, AFiltersAnswerComesAfterItsLastSliceAndCoversOnlyWhatWasThere) {
  many(35);
  Slot<BulkDone> slot;
  store::JobFilter filter;
  filter.type = "Work";
  engine->ask(CancelWhere{admin(), filter, {}}, slot.answer());
  tick();
  EXPECT_FALSE(slot.answered());
  EXPECT_LE(count(JobState::cancelled), 10);
  const auto later = submit(job());
  settle();
  EXPECT_EQ(slot.value().count, 35);
  EXPECT_EQ(slot.value().ids.size(), 35u) << "of all slices";
  EXPECT_EQ(count(JobState::cancelled), 35);
  EXPECT_EQ(state_of(later), JobState::ready);
}

TEST_F(EngineBulk, ABatchStopsInTheTickOfItsCancelAndItsJobsFollow) {
  batch("photos");
  const auto ids = many(35, "photos");
  auto host = join("h");
  const auto running = fetch(host).leases.at(0);
  Slot<model::Batch> slot;
  engine->ask(CancelBatch{admin(), "photos", {}}, slot.answer());
  tick();
  EXPECT_EQ(slot.value().state, model::BatchState::cancelled);
  EXPECT_TRUE(fetch(host, 4).leases.empty()) << "no attempt starts after the answer";
  restart();  // in the middle of the slices
  settle();
  EXPECT_EQ(count(JobState::cancelled), 34);
  EXPECT_TRUE(get(running.job.id).status.cancel_requested_at);
  finish(host, running.lease.name, Outcome::cancelled);
  EXPECT_EQ(count(JobState::cancelled), 35);
  EXPECT_EQ(store::event_name(events.back().type), "geres.batch.completed");
}

// What is purged is gone for good: a clock that is a year ahead is not believed at once, whether the hub runs or
// starts.
TEST_F(EngineBulk, AClockThatJumpsAheadPurgesNothingAtOnce) {
  auto host = join("h");
  const auto id = many(1)[0];
  finish(host, fetch(host).leases.at(0).lease.name);
  pass(options.sweep_pause + 1'000);
  constexpr Millis kYear = 365LL * 86'400'000;
  clock.jump_wall(kYear);
  pass(options.sweep_pause + 1'000);
  EXPECT_EQ(state_of(id), JobState::finished);
  clock.jump_wall(-kYear);
  const auto before = store->reads().event_range();
  engine.reset();
  store.reset();
  clock.jump_wall(kYear);  // a machine that boots with a bad clock
  open();
  pass(options.sweep_pause + 1'000);
  EXPECT_EQ(state_of(id), JobState::finished);
  EXPECT_EQ(store->reads().event_range().first, before.first);
  // Where it is right after all, what is too old goes some hours later.
  for (int hour = 0; hour < 8; ++hour) {
    clock.advance(3'600'000);
    settle();
    settle();
  }
  EXPECT_FALSE(store->reads().job(id));
}

TEST_F(EngineBulk, AHubThatWasOffForWeeksPurgesWhenItStarts) {
  auto host = join("h");
  const auto id = many(1)[0];
  finish(host, fetch(host).leases.at(0).lease.name);
  engine.reset();
  store.reset();
  clock.jump_wall(20LL * 86'400'000);
  open();
  pass(options.sweep_pause + 1'000);
  EXPECT_FALSE(store->reads().job(id));
}

// However many jobs of it have ended, and whatever else is under way.
TEST_F(EngineBulk, WhatRunsHearsOfACancelInTheTickOfItsAnswer) {
  options.slice = 2;
  restart();
  batch("photos");
  auto host = join("h", 8);
  for (int i = 0; i < 40; ++i) {
    many(1, "photos");
    finish(host, fetch(host).leases.at(0).lease.name);
  }
  many(1, "photos");
  const auto running = fetch(host).leases.at(0);
  beat(host);
  std::vector<Slot<BulkDone>> others(5);
  store::JobFilter ended;
  ended.states = {JobState::finished};
  for (auto& other : others) engine->ask(RedriveWhere{admin(), ended}, other.answer());
  Slot<FetchAnswer> open;
  open_fetch(host, 0, open);
  engine->ask(CancelBatch{admin(), "photos", {}}, [](auto) {});
  tick();
  ASSERT_EQ(open.value().cancel.size(), 1u);
  EXPECT_EQ(open.value().cancel[0].lease, running.lease.name);
  many(1);
  const auto another = fetch(host).leases.at(0);
  beat(host);
  open = {};
  open_fetch(host, 0, open);
  Slot<BulkDone> cancelled;
  store::JobFilter all;
  all.tenants = {"acme"};
  engine->ask(CancelWhere{admin(), all, {}}, cancelled.answer());
  tick();
  ASSERT_EQ(open.value().cancel.size(), 1u);
  EXPECT_EQ(open.value().cancel[0].lease, another.lease.name);
  settle();
  EXPECT_GE(cancelled.value().count, 1);
  EXPECT_EQ(std::count(cancelled.value().ids.begin(), cancelled.value().ids.end(), another.job.id), 1);
}

TEST_F(EngineBulk, OperationsTakeTurnsAndCancelsComeFirst) {
  options.slice = 2;
  restart();
  auto host = join("h");
  for (int i = 0; i < 60; ++i) {
    many(1);
    finish(host, fetch(host).leases.at(0).lease.name);
  }
  many(6);
  std::vector<Slot<BulkDone>> redrives(6);
  store::JobFilter ended;
  ended.states = {JobState::finished};
  for (auto& redrive : redrives) engine->ask(RedriveWhere{admin(), ended}, redrive.answer());
  tick();
  store::JobFilter waiting;
  waiting.ids.push_back(many(1)[0]);
  Slot<BulkDone> cancel;
  engine->ask(CancelWhere{admin(), waiting, {}}, cancel.answer());
  tick();
  EXPECT_EQ(cancel.value().count, 1) << "it does not wait for the end of six redrives";
  EXPECT_FALSE(redrives[0].answered());
  // The last one begins before the first has ended.
  std::map<Uuid, store::Seq> cursors;
  for (int i = 0; i < 3; ++i) tick();
  for (const auto& [id, operation] : engine->state().operations) cursors[id] = operation.cursor;
  ASSERT_EQ(cursors.size(), 6u);
  for (const auto& [id, cursor] : cursors) EXPECT_GT(cursor, 0);
  settle();
  std::int64_t redriven = 0;
  for (auto& redrive : redrives) redriven += redrive.value().count;
  EXPECT_EQ(redriven, 60);
}

// Bulk work and retention are stored: they hold up no stop.
TEST_F(EngineBulk, AStopWaitsForTheTickUnderWayAndNoLonger) {
  options.slice = 1;
  restart();
  many(3'000);
  Slot<BulkDone> cancel;
  store::JobFilter all;
  all.tenants = {"acme"};
  engine->ask(CancelWhere{admin(), all, {}}, cancel.answer());
  tick();
  {
    EngineThread thread(*engine, [](const std::string& why) { FAIL() << why; });
    thread.start();
    thread.stop();
  }
  EXPECT_EQ(cancel.error(), Code::unavailable);
  EXPECT_FALSE(engine->state().operations.empty());
  options.slice = 1'000;
  restart();
  settle();
  EXPECT_EQ(count(JobState::cancelled), 3'000);
}

TEST_F(EngineBulk, ARedriveKeepsToTheQueuesLimit) {
  auto host = join("h");
  std::vector<Uuid> failed;
  for (int i = 0; i < 4; ++i) {
    failed.push_back(many(1)[0]);
    finish(host, fetch(host).leases.at(0).lease.name, Outcome::aborted);
  }
  TenantSettings settings;
  settings.max_queued = 2;
  engine->ask(PutTenant{"acme", settings}, [](auto) {});
  Slot<BulkDone> bulk;
  store::JobFilter filter;
  filter.states = {JobState::failed};
  engine->ask(RedriveWhere{admin(), filter}, bulk.answer());
  settle();
  EXPECT_EQ(bulk.value().count, 2);
  Slot<model::Job> one;
  engine->ask(RedriveJob{admin(), failed[3]}, one.answer());
  tick();
  EXPECT_EQ(one.error(), Code::tooManyQueued);
  EXPECT_EQ(count(JobState::ready), 2);
}

// Else its answer would tell of all jobs, and the batch would stay for the sake of the new one.
TEST_F(EngineBulk, NoJobIsRunAgainInABatchThatIsBeingDeleted) {
  options.slice = 10;
  restart();
  const auto photos = batch("photos");
  const auto ids = many(25, "photos");
  for (const auto id : ids) cancel(id);
  Slot<model::Batch> closed;
  engine->ask(CloseBatch{admin(), "photos"}, closed.answer());
  Slot<BulkDone> deleted;
  engine->ask(DeleteBatch{admin(), "photos"}, deleted.answer());
  tick();
  ASSERT_FALSE(deleted.answered());
  Slot<model::Job> again;
  engine->ask(RedriveJob{admin(), ids[24]}, again.answer());
  tick();
  EXPECT_EQ(again.error(), Code::batchClosed);
  settle();
  EXPECT_EQ(deleted.value().count, 25);
  EXPECT_FALSE(store->reads().batch(photos.id));
}

TEST_F(EngineBulk, ABatchIsDeletedWithItsJobsOnceTheyHaveEnded) {
  options.slice = 10;
  restart();
  const auto photos = batch("photos");
  const auto ids = many(25, "photos");
  const auto other = many(1);
  const auto remove = [&](const std::string& name) {
    auto slot = std::make_unique<Slot<BulkDone>>();
    engine->ask(DeleteBatch{admin(), name}, slot->answer());
    tick();
    return slot;
  };
  EXPECT_EQ(remove("batch0")->error(), Code::batchFixed);
  EXPECT_EQ(remove("absent")->error(), Code::unknownBatch);
  EXPECT_EQ(remove("photos")->error(), Code::batchOpen);
  Slot<model::Batch> closed, cancelled;
  engine->ask(CloseBatch{admin(), "photos"}, closed.answer());
  tick();
  EXPECT_EQ(remove("photos")->error(), Code::notEnded);
  engine->ask(CancelBatch{admin(), "photos", {}}, cancelled.answer());
  settle();
  ASSERT_EQ(count(JobState::cancelled), 25);

  const auto slot = remove("photos");
  EXPECT_FALSE(slot->answered()) << "the first of three slices";
  EXPECT_TRUE(store->reads().batch(photos.id)) << "it is there until its last job goes";
  restart();  // the rest is done by the hub's next life
  settle();
  EXPECT_FALSE(store->reads().batch(photos.id));
  EXPECT_EQ(purged.size(), 25u);
  EXPECT_FALSE(store->reads().job(ids[24]));
  EXPECT_EQ(state_of(other[0]), JobState::ready);
  EXPECT_TRUE(std::none_of(engine->state().lanes.begin(), engine->state().lanes.end(),
                           [&](const auto& lane) { return lane.first.batch == photos.id; }));
  EXPECT_NE(batch("photos").id, photos.id) << "its name is free";
}

TEST_F(EngineBulk, ABatchGoesWithItsLastJobUnlessItIsOpen) {
  const auto closed = batch("closed"), open = batch("open"), empty = batch("empty");
  const auto in_closed = many(3, "closed"), in_open = many(1, "open");
  const auto close = [&](const std::string& name) {
    Slot<model::Batch> slot;
    engine->ask(CloseBatch{admin(), name}, slot.answer());
    tick();
  };
  close("closed");
  close("empty");
  auto host = join("h");
  for (const auto& granted : fetch(host, 4).leases) finish(host, granted.lease.name);
  clock.advance(options.keep_finished - 1'000);
  settle();
  for (const auto& one : {closed, open, empty}) EXPECT_TRUE(store->reads().batch(one.id)) << one.name;
  clock.advance(62'000);
  settle();
  EXPECT_EQ(purged.size(), 4u);
  EXPECT_FALSE(store->reads().batch(closed.id));
  EXPECT_FALSE(store->reads().batch(empty.id)) << "nothing was ever in it";
  EXPECT_TRUE(store->reads().batch(open.id));
  restart();
  EXPECT_TRUE(store->reads().batch(open.id));
}

TEST_F(EngineBulk, AClosedBatchStillRunsWhatIsQueued) {
  batch("photos");
  many(3, "photos");
  Slot<model::Batch> slot;
  engine->ask(CloseBatch{admin(), "photos"}, slot.answer());
  tick();
  auto host = join("h");
  for (const auto& granted : fetch(host, 4).leases) finish(host, granted.lease.name);
  EXPECT_EQ(count(JobState::finished), 3);
  EXPECT_EQ(store::event_name(events.back().type), "geres.batch.completed");
}

TEST_F(EngineBulk, Batch0IsAlwaysOpen) {
  Slot<model::Batch> closed, cancelled, paused;
  engine->ask(CloseBatch{admin(), "batch0"}, closed.answer());
  engine->ask(CancelBatch{admin(), "batch0", {}}, cancelled.answer());
  tick();
  EXPECT_EQ(closed.error(), Code::batchFixed);
  EXPECT_EQ(cancelled.error(), Code::batchFixed);
  engine->ask(PauseBatch{admin(), "batch0", true}, paused.answer());
  tick();
  many(1);
  auto host = join("h");
  EXPECT_TRUE(fetch(host).leases.empty());
  restart();
  EXPECT_TRUE(fetch(host).leases.empty()) << "a pause outlives the hub";
  Slot<model::Batch> resumed;
  engine->ask(PauseBatch{admin(), "batch0", false}, resumed.answer());
  tick();
  EXPECT_EQ(fetch(host).leases.size(), 1u);
}

TEST_F(EngineBulk, LimitsCountLeasesExactly) {
  batch("small", 500, "acme", 2);
  many(10, "small");
  auto a = join("a", 8), b = join("b", 8);
  const auto first = fetch(a, 8).leases;
  EXPECT_EQ(first.size(), 2u);
  EXPECT_TRUE(fetch(b, 8).leases.empty());
  finish(a, first[0].lease.name);
  EXPECT_EQ(fetch(b, 8).leases.size(), 1u);
  EXPECT_TRUE(fetch(a, 8).leases.empty());
  Slot<model::Tenant> tenant;
  TenantSettings settings;
  settings.max_running = 3;
  engine->ask(PutTenant{"acme", settings}, tenant.answer());
  tick();
  many(10);
  EXPECT_EQ(fetch(a, 8).leases.size(), 1u);
}

TEST_F(EngineBulk, AnUrgentBatchGoesFirstAndABlockedOneBlocksNobody) {
  batch("urgent", 100);
  batch("lazy", 900);
  many(2, "lazy");
  auto special = job();
  special.batch = "urgent";
  special.spec.requirements.labels = {{"gpu", "yes"}};
  submit(special);
  const auto urgent = many(1, "urgent");
  auto host = join("h");
  EXPECT_EQ(fetch(host).leases.at(0).job.id, urgent[0]);
  EXPECT_EQ(fetch(host, 3).leases.size(), 2u);
  auto gpu = join("gpu", 1, {{"gpu", "yes"}});
  EXPECT_EQ(fetch(gpu).leases.size(), 1u);
}

TEST_F(EngineBulk, ASmallTenantDoesNotWaitBehindABigOne) {
  many(200);
  push("globex");
  auto host = join("h", 4);
  std::vector<Uuid> held;
  for (const auto& granted : fetch(host, 4).leases) held.push_back(granted.lease.name);
  const auto small = many(1, {}, "globex");
  finish(host, held[0]);
  EXPECT_EQ(fetch(host, 1).leases.at(0).job.id, small[0]);
}

TEST_F(EngineBulk, SharesFollowTheWeights) {
  push("globex");
  Slot<model::Tenant> slot;
  TenantSettings heavy;
  heavy.weight = 3;
  engine->ask(PutTenant{"globex", heavy}, slot.answer());
  tick();
  many(400);
  many(400, {}, "globex");
  auto host = join("h", 1);
  std::map<std::string, int> started;
  for (int i = 0; i < 200; ++i) {
    const auto granted = fetch(host, 1).leases.at(0);
    ++started[granted.job.spec.tenant];
    finish(host, granted.lease.name);
  }
  EXPECT_NEAR(started["globex"], 150, 3);
}

TEST_F(EngineBulk, ADedicatedBatchHasItsHostToItself) {
  batch("alone", 100, "acme", 0, true);
  auto host = join("h", 4);
  many(1);
  const auto ordinary = fetch(host, 1).leases.at(0).lease.name;
  many(2, "alone");
  many(5);
  EXPECT_TRUE(fetch(host, 3).leases.empty()) << "the host is held until it is empty";
  finish(host, ordinary);
  const auto alone = fetch(host, 4).leases;
  ASSERT_EQ(alone.size(), 2u);
  for (const auto& granted : alone) EXPECT_NE(granted.job.spec.batch, model::kDefaultBatch);
  EXPECT_TRUE(fetch(host, 2).leases.empty());
  for (const auto& granted : alone) finish(host, granted.lease.name);
  EXPECT_EQ(fetch(host, 4).leases.size(), 4u);
}

TEST_F(EngineBulk, RedriveByFilterLinksEachOnce) {
  auto host = join("h", 4);
  std::vector<NewJob> jobs(15, job());
  for (auto& one : jobs) one.spec.max_attempts = 1;
  submit_all(jobs);
  for (int round = 0; round < 4; ++round)
    for (const auto& granted : fetch(host, 4).leases) finish(host, granted.lease.name, Outcome::failed, 1);
  ASSERT_EQ(count(JobState::failed), 15);
  for (const std::int64_t expected : {15, 0}) {
    Slot<BulkDone> slot;
    store::JobFilter filter;
    filter.states = {JobState::failed};
    engine->ask(RedriveWhere{admin(), filter}, slot.answer());
    settle();
    EXPECT_EQ(slot.value().count, expected);
    EXPECT_EQ(std::int64_t(slot.value().ids.size()), expected);
    EXPECT_EQ(slot.value().by_reason.contains(model::Reason::error), expected > 0);
  }
  EXPECT_EQ(count(JobState::ready), 15);
}

TEST_F(EngineBulk, WhatIsPastItsTimeIsPurgedInSlices) {
  auto host = join("h", 4);
  const auto ids = many(25);
  for (int round = 0; round < 7; ++round)
    for (const auto& granted : fetch(host, 4).leases) finish(host, granted.lease.name);
  ASSERT_EQ(count(JobState::finished), 25);
  const auto lives = submit(job());
  clock.advance(options.keep_finished + 61'000);
  settle();
  EXPECT_EQ(purged.size(), 25u);
  EXPECT_FALSE(store->reads().job(ids[0]));
  EXPECT_TRUE(store->reads().attempts(ids[0]).empty());
  EXPECT_EQ(state_of(lives), JobState::ready);
  EXPECT_EQ(store->reads().batch(model::kDefaultBatch)->counts.at("acme")[std::size_t(JobState::finished)], 0);
}

// Whoever repeats a list must not make its jobs twice while one of them can still be asked for.
TEST_F(EngineBulk, AListsKeyAnswersAsLongAsOneOfItsJobsIsKept) {
  push();
  const auto send_list = [&] {
    Slot<Submitted> slot;
    Submit submit;
    submit.caller = admin();
    submit.list = true;
    submit.list_key = "orders";
    submit.list_digest = "d";
    submit.jobs = {job(), job()};
    submit.jobs[1].spec.delay = 100 * options.keep_finished;
    engine->ask(std::move(submit), slot.answer());
    tick();
    return slot.value();
  };
  const auto ids = send_list().ids;
  auto host = join("h", 4);
  for (const auto& granted : fetch(host, 4).leases) finish(host, granted.lease.name);
  clock.advance(options.keep_finished + 61'000);
  settle();
  EXPECT_FALSE(store->reads().job(ids[0])) << "the one that ended is gone";
  EXPECT_EQ(send_list().ids, ids) << "the other one waits";
  cancel(ids[1]);
  clock.advance(options.keep_failed + 61'000);
  settle();
  clock.advance(61'000);  // keys are looked through when no job is left to purge
  settle();
  EXPECT_FALSE(store->reads().job(ids[1]));
  EXPECT_NE(send_list().ids, ids) << "nothing of it is kept any more, nor its key";
}

TEST_F(EngineBulk, APackageThatAJobNeedsStays) {
  const auto id = many(1)[0];
  const auto remove = [&] {
    auto slot = std::make_unique<Slot<std::int64_t>>();
    engine->ask(DeletePackage{"acme", "tools", ""}, slot->answer());
    tick();
    return slot;
  };
  EXPECT_EQ(remove()->error(), Code::packageInUse);
  cancel(id);
  EXPECT_EQ(remove()->value(), 1);
  EXPECT_EQ(remove()->error(), Code::unknownPackage);
}

TEST_F(EngineBulk, EveryWaitingJobCanSayWhy) {
  const auto codes = [&](Uuid id) {
    std::set<std::string> codes;
    for (const auto& reason : why(id).reasons) codes.insert(reason.code);
    return codes;
  };
  const auto first = many(1)[0];
  EXPECT_TRUE(codes(first).contains("noHosts")) << why(first).summary;
  auto host = join("h", 1);
  auto gpu = job();
  gpu.spec.requirements.labels = {{"gpu", "a100"}};
  const auto picky = submit(gpu);
  EXPECT_TRUE(codes(picky).contains("labels"));
  fetch(host, 1);
  const auto second = many(1)[0], third = many(1)[0];
  EXPECT_TRUE(codes(second).contains("slotsBusy")) << why(second).summary;
  EXPECT_EQ(why(third).ahead, 1);
  auto delayed = job();
  delayed.spec.delay = 60'000;
  EXPECT_TRUE(codes(submit(delayed)).contains("notDue"));
  batch("held");
  const auto in_held = many(1, "held")[0];
  Slot<model::Batch> paused;
  engine->ask(PauseBatch{admin(), "held", true}, paused.answer());
  tick();
  EXPECT_TRUE(codes(in_held).contains("batchPaused"));
  EXPECT_TRUE(why(first).reasons.empty());
  EXPECT_NE(why(first).summary.find("h"), std::string::npos);
}

TEST_F(EngineBulk, LanesAreCappedAndIdleOnesGo) {
  options.lanes_per_tenant_max = 3;
  restart();
  for (int i = 0; i < 3; ++i) {
    auto spec = job();
    spec.spec.requirements.labels = {{"n", std::to_string(i)}};
    submit(spec);
  }
  auto one_more = job();
  one_more.spec.requirements.labels = {{"n", "4"}};
  EXPECT_EQ(submit_error(one_more), Code::tooManyLanes);
  Slot<BulkDone> slot;
  store::JobFilter filter;
  filter.tenants = {"acme"};
  engine->ask(CancelWhere{admin(), filter, {}}, slot.answer());
  settle();
  pass(700'000);
  EXPECT_EQ(engine->state().lanes.size(), 0u);
  submit(one_more);
}

}  // namespace
}  // namespace geres::hub::engine
