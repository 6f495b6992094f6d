// SPDX-License-Identifier: Apache-2.0
// What is accepted, resolved and answered when jobs come in.
#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

using model::JobState;

class EngineSubmit : public EngineTest {};

TEST_F(EngineSubmit, AnswersOnlyAfterTheCommit) {
  push();
  Slot<Submitted> slot;
  Submit submit;
  submit.caller = admin();
  submit.jobs = {job()};
  store->before_commit = [&] { EXPECT_FALSE(slot.answered()); };
  engine->ask(std::move(submit), slot.answer());
  tick();
  const auto& made = slot.value().jobs.front();
  EXPECT_EQ(get(made.id).status.state, JobState::ready);
  EXPECT_EQ(history(made.id), (std::vector<std::string>{"submitted"}));
}

TEST_F(EngineSubmit, AListIsAllOrNothing) {
  push();
  const auto events_before = events.size();
  Slot<Submitted> slot;
  Submit submit;
  submit.caller = admin();
  submit.list = true;
  submit.jobs = {job(), job("Unheard")};
  engine->ask(std::move(submit), slot.answer());
  tick();
  EXPECT_EQ(slot.error(), Code::unknownType);
  EXPECT_EQ(slot.result->error().field, "/1/type");
  EXPECT_EQ(events.size(), events_before);
  EXPECT_TRUE(store->reads().jobs({}, {}).jobs.empty());
}

TEST_F(EngineSubmit, RefusesWhatItCannotResolve) {
  push();
  auto unknown_package = job();
  unknown_package.spec.package = "toolz";
  EXPECT_EQ(submit_error(unknown_package), Code::unknownPackage);
  auto unknown_batch = job();
  unknown_batch.batch = "nightly";
  EXPECT_EQ(submit_error(unknown_batch), Code::unknownBatch);
  batch("done");
  Slot<model::Batch> closed;
  engine->ask(CloseBatch{admin(), "done"}, closed.answer());
  tick();
  auto into_closed = job();
  into_closed.batch = "done";
  EXPECT_EQ(submit_error(into_closed), Code::batchClosed);
  auto of_other = job("Work", "globex");
  of_other.batch = "done";  // acme's: for globex it is not there
  EXPECT_EQ(submit_error(of_other), Code::unknownBatch);
}

TEST_F(EngineSubmit, KeepsThePackageVersionOfThatMoment) {
  push();
  const auto first = get(submit(job())).spec.package_sha256;
  push();
  EXPECT_EQ(get(submit(job())).spec.package_sha256 == first, false);
  auto pinned = job();
  pinned.package_sha256 = first;
  EXPECT_EQ(get(submit(pinned)).spec.package_sha256, first);
}

TEST_F(EngineSubmit, AKeyAnswersWithTheJobItMade) {
  push();
  auto keyed = job();
  keyed.spec.key = "k1";
  keyed.spec.key_digest = "d1";
  const auto made = submit(keyed);
  EXPECT_EQ(submit(keyed), made);
  auto other = keyed;
  other.spec.key_digest = "d2";
  EXPECT_EQ(submit_error(other), Code::keyReused);
  auto elsewhere = job("Work", "globex");
  elsewhere.spec.key = "k1";
  elsewhere.spec.key_digest = "d3";
  push("globex");
  EXPECT_NE(submit(elsewhere), made) << "keys are the tenant's own";
  restart();
  EXPECT_EQ(submit(keyed), made);
}

TEST_F(EngineSubmit, KeysHoldWithinOneTickAndOneList) {
  push();
  auto keyed = job();
  keyed.spec.key = "k";
  keyed.spec.key_digest = "d";
  Slot<Submitted> first, second;
  for (auto* slot : {&first, &second}) {
    Submit submit;
    submit.caller = admin();
    submit.jobs = {keyed};
    engine->ask(std::move(submit), slot->answer());
  }
  tick();
  EXPECT_EQ(first.value().ids, second.value().ids);
  EXPECT_FALSE(first.value().replayed);
  EXPECT_TRUE(second.value().replayed);
  keyed.spec.key = "l";
  const auto ids = submit_all({keyed, job(), keyed});
  EXPECT_EQ(ids[0], ids[2]);
  EXPECT_NE(ids[0], ids[1]);
}

TEST_F(EngineSubmit, AListKeyNamesTheWholeList) {
  push();
  const auto send_list = [&](const std::string& digest) {
    auto slot = std::make_unique<Slot<Submitted>>();
    Submit submit;
    submit.caller = caller();
    submit.list = true;
    submit.list_key = "list-1";
    submit.list_digest = digest;
    submit.jobs = {job(), job()};
    engine->ask(std::move(submit), slot->answer());
    tick();
    return slot;
  };
  const auto first = send_list("d");
  const auto again = send_list("d");
  EXPECT_EQ(first->value().ids, again->value().ids);
  EXPECT_TRUE(again->value().replayed);
  EXPECT_EQ(send_list("e")->error(), Code::keyReused);
}

TEST_F(EngineSubmit, MaxMemoryPerJobHoldsForEachOfAList) {
  push();
  Slot<model::Tenant> tenant;
  TenantSettings settings;
  settings.max_memory_per_job = 1'000;
  engine->ask(PutTenant{"acme", settings}, tenant.answer());
  tick();
  auto good = job(), large = job();
  good.spec.requirements.memory = 1'000;
  large.spec.requirements.memory = 1'001;
  EXPECT_EQ(submit_error(large), Code::badValue);
  submit_all({good, job()});
  restart();
  EXPECT_EQ(submit_error(large), Code::badValue);
}

TEST_F(EngineSubmit, MaxQueuedCountsAllThatHasNotEnded) {
  push();
  Slot<model::Tenant> tenant;
  TenantSettings settings;
  settings.max_queued = 2;
  engine->ask(PutTenant{"acme", settings}, tenant.answer());
  tick();
  submit_all({job(), job()});
  EXPECT_EQ(submit_error(job()), Code::tooManyQueued);
  auto host = join("h");
  const auto lease = fetch(host).leases.at(0).lease.name;
  EXPECT_EQ(submit_error(job()), Code::tooManyQueued) << "a running job counts";
  finish(host, lease);
  submit(job());
}

}  // namespace
}  // namespace geres::hub::engine
