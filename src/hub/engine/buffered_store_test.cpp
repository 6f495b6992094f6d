// SPDX-License-Identifier: Apache-2.0
// What gathers, what a read hands over first, and what becomes of a row that is written more than once in a tick.
#include "hub/engine/buffered_store.h"

#include <gmock/gmock.h>

#include <array>

#include "hub/engine/engine_fixture.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::engine {
namespace {

class BufferedStoreTest : public EngineTest {
 protected:
  BufferedStoreTest() { engine.reset(); }
  void TearDown() override { store->rollback(); }  // rows of no job: nothing here is for an audit

  model::Job new_job() {
    model::Job job;
    job.id = {std::uint64_t(++last_) << 16, 7};
    job.spec.tenant = "acme";
    job.spec.key = "key" + std::to_string(last_);
    job.spec.key_digest = "digest";
    return job;
  }

  int last_ = 0;
};

TEST_F(BufferedStoreTest, AReadSeesWhatWasWrittenBefore) {
  BufferedStore buffered(*store);
  buffered.begin({});
  const store::ReadyRow row{3, 500, 1};
  buffered.put(row);
  EXPECT_FALSE(buffered.wrote());
  EXPECT_THAT(buffered.read().heads(std::array{store::LaneNo(3)}), testing::ElementsAre(row));
  EXPECT_TRUE(buffered.wrote());
  buffered.remove(row);
  EXPECT_THAT(buffered.read().heads(std::array{store::LaneNo(3)}), testing::ElementsAre(std::nullopt));
}

TEST_F(BufferedStoreTest, OfSeveralWritesOfARowTheLastCounts) {
  BufferedStore buffered(*store);
  buffered.begin({});
  const store::ReadyRow stays{3, 500, 1}, goes{3, 500, 2}, stored{3, 500, 3};
  buffered.put(stored);
  buffered.flush();
  buffered.put(goes);
  buffered.remove(goes);
  buffered.remove(stays);
  buffered.put(stays);
  buffered.remove(stored);
  buffered.put(stored);  // a plain insert would find it there already
  buffered.put(store::ScheduledRow{1, 10, true, 0});
  buffered.put(store::ScheduledRow{1, 20, true, 0});
  buffered.put(store::QueueDeadlineRow{1, 30});
  buffered.remove_deadline(1);
  EXPECT_EQ(buffered.read().peek_ready(3, 9), (std::vector{stays, stored}));
  EXPECT_EQ(buffered.read().next_due(true), 20);
  EXPECT_FALSE(buffered.read().next_deadline());
}

TEST_F(BufferedStoreTest, CountsEveryWriteForTheCheckThatARefusedCommandWroteNothing) {
  BufferedStore buffered(*store);
  buffered.begin({});
  EXPECT_EQ(buffered.written(), 0u);
  buffered.put(store::ScheduledRow{1, 10, true, 0});
  buffered.remove_scheduled(1);
  EXPECT_EQ(buffered.written(), 2u);
  buffered.changes().tokens_removed.push_back(Uuid{1, 1});
  EXPECT_EQ(buffered.written(), 3u);
  buffered.flush();
  EXPECT_EQ(buffered.written(), 3u);
}

TEST_F(BufferedStoreTest, KnowsTheKeysOfThisTickWithoutHandingThemOver) {
  BufferedStore buffered(*store);
  buffered.begin({});
  const auto job = new_job();
  buffered.insert(job);
  const std::vector<store::KeyRef> keys{{"acme", job.spec.key}, {"other", job.spec.key}, {"acme", "unknown"}};
  for (const bool flushed : {false, true}) {
    const auto found = buffered.jobs_by_key(keys);
    EXPECT_EQ(buffered.wrote(), flushed);
    ASSERT_TRUE(found[0]);
    EXPECT_EQ(found[0]->id, job.id);
    EXPECT_EQ(found[0]->digest, "digest");
    EXPECT_FALSE(found[1] || found[2]);
    buffered.flush();
  }
}

class GatheredTest : public BufferedStoreTest {
 protected:
  GatheredTest() {
    job = new_job();
    job.status.state = model::JobState::scheduled;
    list = {"acme", "list", "digest", {job.id}, 1};
    BufferedStore buffered(*store);
    buffered.begin({});
    buffered.insert(job);
    buffered.put(store::ScheduledRow{job.id.seq(), 10, true, 0});
    buffered.changes().list_keys.push_back(list);
    buffered.flush();
    store->commit(1);
    wanted.keys = {{"acme", job.spec.key}, {"acme", "unknown"}};
    wanted.list_keys = {{"acme", "list"}, {"acme", "unknown"}};
    wanted.jobs = {job.id, {1, 1}};
    wanted.scheduled = {job.id, {1, 1}};
    wanted.ended_attempts = {lease};
  }

  model::Job job;
  const Uuid lease{1, 1};
  store::ListKeyRow list;
  store::Wanted wanted;
};

TEST_F(GatheredTest, IsReadWithoutAskingAgain) {
  BufferedStore buffered(*store);
  buffered.begin(wanted);
  store->waits = 0;
  const auto by_key = buffered.jobs_by_key(wanted.keys);
  EXPECT_EQ(by_key[0].value().id, job.id);
  EXPECT_FALSE(by_key[1]);
  EXPECT_EQ(buffered.list_key("acme", "list").value().digest, list.digest);
  EXPECT_FALSE(buffered.list_key("acme", "unknown"));
  const auto jobs = buffered.jobs(wanted.jobs);
  EXPECT_EQ(jobs[0].value().spec.key, job.spec.key);
  EXPECT_FALSE(jobs[1]);
  EXPECT_EQ(buffered.scheduled_row(job.id).value().due, 10);
  EXPECT_FALSE(buffered.ended_attempt(lease));
  EXPECT_EQ(store->waits, 0);
  EXPECT_EQ(buffered.job(job.id).value().id, job.id) << "once more";
}

TEST_F(GatheredTest, IsNotBelievedOnceTheTickHasChangedIt) {
  const auto after = [&](auto change) {
    BufferedStore buffered(*store);
    buffered.begin(wanted);
    change(buffered);
    auto read = buffered.job(job.id);
    const auto scheduled = buffered.scheduled_row(job.id);
    EXPECT_EQ(scheduled.has_value(), read->status.state == model::JobState::scheduled);
    store->rollback();
    return read;
  };
  auto status = job.status;
  status.state = model::JobState::cancelled;
  const auto ended = after([&](auto& buffered) {
    buffered.changes().updates.push_back({job.id, status});
    buffered.remove_scheduled(job.id.seq());
  });
  EXPECT_EQ(ended.value().status.state, model::JobState::cancelled);
  const auto edited = after([&](auto& buffered) { buffered.changes().edits.push_back({job.id, 7, {}, {}}); });
  EXPECT_EQ(edited.value().spec.priority, 7);
  BufferedStore buffered(*store);
  buffered.begin(wanted);
  buffered.changes().list_keys.push_back({"acme", "unknown", "new", {}, 2});
  EXPECT_EQ(buffered.list_key("acme", "unknown").value().digest, "new");
  buffered.changes().attempts.push_back({job.id, {job.id.high, 9}, {}});
  buffered.changes().jobs_purged.push_back(job.id);
  EXPECT_FALSE(buffered.job(job.id));
  EXPECT_FALSE(buffered.jobs_by_key(wanted.keys)[0]);
}

}  // namespace
}  // namespace geres::hub::engine
