// SPDX-License-Identifier: Apache-2.0
// Readers of the log against a log that is written, kept in part, and purged: nothing is missed, nothing comes twice,
// and what is gone is said to be gone.
#include "hub/events/tail.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/file.h"
#include "base/uuid.h"
#include "hub/store/sqlite/sqlite_store.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::events {
namespace {

using store::EventType;

class TailTest : public testing::Test {
 protected:
  TailTest() {
    store = store::open_sqlite(directory.path() / "log.db", {.check_limit = 0, .reserve_bytes = 0});
    tail = std::make_unique<Tail>(store->reads(), Tail::Options{.events_max = 10, .scan_max = 7});
  }

  EventRow make(EventType type, Uuid subject, const std::string& tenant, Uuid batch = {9, 9}) {
    EventRow row;
    row.no = ++last;
    row.type = type;
    row.subject = subject;
    row.tenant = tenant;
    row.batch = batch;
    row.at = 1'000 + last;
    return row;
  }
  // Commits, then publishes, as the engine does.
  void tell(std::vector<EventRow> rows) {
    store::Changes changes;
    changes.events = rows;
    store->begin();
    store->apply(changes);
    store->commit(++tick);
    tail->publish(std::move(rows));
  }
  void tell(EventType type, Uuid subject, const std::string& tenant = "acme") { tell({make(type, subject, tenant)}); }
  void purge(EventNo up_to) {
    store->begin();
    store->purge_events(up_to + 1, 0, 1, 1'000);
    store->commit(++tick);
  }
  static std::vector<EventNo> read_all(Reader& reader, std::size_t page_size = 3) {
    std::vector<EventNo> numbers;
    while (true) {
      const auto page = reader.read(page_size);
      if (page.gap_until) numbers.push_back(-*page.gap_until);
      for (const auto& event : page.events) numbers.push_back(event.row().no);
      if (page.events.empty() && !page.more && !page.gap_until) return numbers;
    }
  }
  static std::vector<EventNo> range(EventNo from, EventNo to) {
    std::vector<EventNo> numbers;
    for (; from <= to; ++from) numbers.push_back(from);
    return numbers;
  }

  TemporaryDirectory directory;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<Tail> tail;
  EventNo last = 0;
  std::int64_t tick = 0;
};

TEST_F(TailTest, GivesWhatFitsAndNothingElse) {
  Filter filter;
  filter.tenants = {"acme"};
  filter.types = Filter::bit(EventType::job_started);
  int nudges = 0;
  Reader reader(*tail, filter, 0, [&] { ++nudges; });
  EXPECT_FALSE(reader.behind());
  tell(EventType::job_started, {1, 1}, "globex");
  tell(EventType::job_finished, {2, 1});
  EXPECT_EQ(nudges, 0);
  tell(EventType::job_started, {3, 1});
  tell(EventType::job_started, {4, 1});
  EXPECT_EQ(nudges, 1) << "one nudge until it is read";
  EXPECT_EQ(read_all(reader), (std::vector<EventNo>{3, 4}));
  tell(EventType::job_started, {5, 1});
  EXPECT_EQ(nudges, 2);
  EXPECT_EQ(read_all(reader), (std::vector<EventNo>{5}));
}

TEST_F(TailTest, KnowsWhatABatchAndWhatHostsAre) {
  Filter batch;
  batch.tenants = {"acme"};
  batch.batches = {{7, 7}};
  Filter own;
  own.tenants = {"acme"};
  Filter all;
  all.hosts = true;
  Reader of_batch(*tail, batch, 0, [] {}), of_tenant(*tail, own, 0, [] {}), of_all(*tail, all, 0, [] {});
  tell({make(EventType::batch_created, {7, 7}, "acme"), make(EventType::job_ready, {1, 1}, "acme", {7, 7}),
        make(EventType::job_ready, {2, 1}, "globex", {7, 7}), make(EventType::job_ready, {3, 1}, "acme", {8, 8}),
        make(EventType::batch_closed, {5, 5}, ""), make(EventType::host_joined, {7, 7}, "")});
  EXPECT_EQ(read_all(of_batch), (std::vector<EventNo>{1, 2}));
  EXPECT_EQ(read_all(of_tenant), (std::vector<EventNo>{1, 2, 4, 5})) << "a shared batch is everybody's, hosts are not";
  EXPECT_EQ(read_all(of_all), range(1, 6));
}

TEST_F(TailTest, ReadsOnFromTheStoreWhenMemoryHasForgotten) {
  Filter job;
  job.jobs = {{3, 1}};
  Reader all(*tail, {}, 0, [] {}), one(*tail, job, 0, [] {});
  for (int i = 0; i < 50; ++i) tell(EventType::job_progressed, {std::uint64_t(1 + i % 10), 1});
  EXPECT_TRUE(all.behind());
  EXPECT_EQ(read_all(all), range(1, 50));
  EXPECT_FALSE(all.behind());
  EXPECT_EQ(read_all(one), (std::vector<EventNo>{3, 13, 23, 33, 43}));
  EXPECT_EQ(one.position(), 50);
  Reader middle(*tail, {}, 17, [] {});
  EXPECT_EQ(read_all(middle), range(18, 50));
}

TEST_F(TailTest, SaysWhatIsGone) {
  Reader all(*tail, {}, 5, [] {});
  Filter job;
  job.jobs = {{1, 1}};
  Reader one(*tail, job, 0, [] {});
  for (int i = 0; i < 40; ++i) tell(EventType::job_progressed, {1, 1});
  purge(20);
  auto expected = range(21, 40);
  expected.insert(expected.begin(), -20);
  EXPECT_EQ(read_all(all), expected);
  EXPECT_EQ(read_all(one), expected) << "also for one job";
  purge(40);
  Reader none(*tail, {}, 0, [] {});
  EXPECT_EQ(read_all(none), (std::vector<EventNo>{-40}));
}

TEST_F(TailTest, TakesWhatCameWhileNobodyLookedIntoItsPosition) {
  Filter other;
  other.tenants = {"globex"};
  Reader idle(*tail, other, 0, [] {});
  for (int i = 0; i < 30; ++i) tell(EventType::job_progressed, {1, 1});
  EXPECT_TRUE(idle.read(5).events.empty());
  EXPECT_EQ(idle.position(), 30) << "so that it does not come back with an old position";
  EXPECT_FALSE(idle.behind());
}

TEST_F(TailTest, AMissingNumberIsLookedUpNotSteppedOver) {
  Reader all(*tail, {}, 0, [] {});
  tell(EventType::job_progressed, {1, 1});
  store::Changes untold;
  untold.events = {make(EventType::job_started, {1, 1}, "acme")};
  store->begin();
  store->apply(untold);
  store->commit(++tick);
  tell(EventType::job_progressed, {1, 1});
  EXPECT_EQ(read_all(all), range(1, 3));
}

// Readers come and go while the log grows; each must see every event after the one it began with, once, in order.
TEST_F(TailTest, NothingIsMissedByReadersWhoJoinMeanwhile) {
  constexpr EventNo kAll = 3'000;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int n = 0; n < 4; ++n)
    threads.emplace_back([&, n] {
      EventNo seen = 0;
      while (seen < kAll) {
        std::atomic<bool> rung{false};
        Reader reader(*tail, {}, seen, [&] { rung = true, rung.notify_one(); });
        for (int pages = 0; pages < 5 + n && seen < kAll; ++pages) {
          const auto page = reader.read(4);
          for (const auto& event : page.events)
            if (event.row().no != ++seen) ++wrong;
          if (page.events.empty() && !page.more && seen < kAll) {
            if (reader.position() != seen) ++wrong;
            rung.wait(false);
            rung = false;
          }
        }
      }
    });
  while (last < kAll) tell({make(EventType::job_ready, {1, 1}, "acme"), make(EventType::job_leased, {1, 1}, "acme")});
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(tail->readers(), 0u);
}

}  // namespace
}  // namespace geres::hub::events
