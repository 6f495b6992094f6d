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
  store->begin();
  BufferedStore buffered(*store);
  const store::ReadyRow row{3, 500, 1};
  buffered.put(row);
  EXPECT_FALSE(buffered.wrote());
  EXPECT_THAT(buffered.read().heads(std::array{store::LaneNo(3)}), testing::ElementsAre(row));
  EXPECT_TRUE(buffered.wrote());
  buffered.remove(row);
  EXPECT_THAT(buffered.read().heads(std::array{store::LaneNo(3)}), testing::ElementsAre(std::nullopt));
}

TEST_F(BufferedStoreTest, OfSeveralWritesOfARowTheLastCounts) {
  store->begin();
  BufferedStore buffered(*store);
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
  store->begin();
  BufferedStore buffered(*store);
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
  store->begin();
  BufferedStore buffered(*store);
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

}  // namespace
}  // namespace geres::hub::engine
