// SPDX-License-Identifier: Apache-2.0
// The disk that tests cut the power of: it must lose what was not synced, keep what was, and fail as real ones do.
#include "hub/store/sqlite/memory_vfs.h"

#include <gmock/gmock.h>

#include <set>

#include "hub/store/sqlite/connection.h"
#include "hub/store/sqlite/sqlite_store.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::store::sqlite {
namespace {

using Fault = MemoryDisk::Fault;
using Act = MemoryDisk::Act;

constexpr const char* kFile = "/store.db";

SqliteOptions options_on(const MemoryDisk& disk) {
  SqliteOptions options;
  options.vfs = disk.vfs();
  options.lock_file = false;
  options.single_connection = true;
  options.check_limit = 0;
  options.checkpoint_pages = 20;
  return options;
}

std::unique_ptr<Store> open(const MemoryDisk& disk) {
  return open_sqlite(kFile, options_on(disk));
}

// One tick that brings a job; its number.
std::int64_t commit_one(Store& store, IdSource& ids) {
  const auto tick = store.load().tick + 1;
  model::Job job;
  job.id = ids.next(1'700'000'000'000);
  job.spec.tenant = "acme";
  job.spec.type = "Resize";
  job.spec.parameters = std::string(3'000, 'x');
  Changes changes;
  changes.jobs.push_back(job);
  store.begin();
  store.apply(changes);
  store.commit(tick);
  return tick;
}

Failure failure_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const StoreFailed& failed) {
    return failed.failure;
  }
  ADD_FAILURE() << "it did not fail";
  return Failure::refused;
}

class MemoryDiskTest : public testing::Test {
 protected:
  SeededRandom random{7};
  IdSource ids{random};
};

TEST_F(MemoryDiskTest, KeepsWhatWasCommitted) {
  MemoryDisk disk;
  auto store = open(disk);
  for (int i = 0; i < 50; ++i) commit_one(*store, ids);
  store.reset();
  store = open(disk);
  EXPECT_EQ(store->load().tick, 50);
  EXPECT_EQ(store->reads().count({}).count, 50);
  EXPECT_TRUE(disk.files().contains(kFile));
}

// At whichever operation the power goes: what was committed is there, and at most the one tick that was under way.
TEST_F(MemoryDiskTest, LosesNoCommitAtAnyOperation) {
  MemoryDisk fresh;
  open(fresh).reset();
  const auto start = fresh.files();
  for (std::int64_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    MemoryDisk disk(start);
    std::int64_t committed = 0;
    auto store = open(disk);
    disk.fail_nth(nth, Fault::cut);
    try {
      while (committed < 12) committed = commit_one(*store, ids);
    } catch (const StoreFailed& failed) {
      EXPECT_EQ(failed.failure, Failure::fatal);
    }
    const bool cut = disk.cut();
    disk.power_loss(random);
    store.reset();
    store = open(disk);
    const auto tick = store->load().tick;
    EXPECT_GE(tick, committed);
    EXPECT_LE(tick, committed + 1);
    EXPECT_EQ(store->reads().count({}).count, tick);
    store.reset();
    Database database(kFile, SQLITE_OPEN_READWRITE, disk.vfs());
    database.execute("PRAGMA locking_mode = EXCLUSIVE");
    auto check = database.prepare("PRAGMA integrity_check");
    ASSERT_TRUE(check.step());
    EXPECT_EQ(check.view(0), "ok");
    if (!cut) break;
  }
}

// The other way round: a store that does not wait for the disk is seen to lose, else the disk above proves nothing.
TEST_F(MemoryDiskTest, LosesWhatWasNotSynced) {
  std::set<std::int64_t> counts;
  for (int i = 0; i < 40; ++i) {
    MemoryDisk disk;
    auto database = std::make_unique<Database>(kFile, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, disk.vfs());
    database->execute("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; CREATE TABLE t(x)");
    database->execute("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA synchronous = OFF");
    for (int n = 0; n < 5; ++n) database->execute("INSERT INTO t VALUES(1)");
    disk.power_loss(random);
    database = std::make_unique<Database>(kFile, SQLITE_OPEN_READWRITE, disk.vfs());
    database->execute("PRAGMA locking_mode = EXCLUSIVE");
    counts.insert(database->number("SELECT count(*) FROM t"));
  }
  EXPECT_THAT(counts, testing::IsSupersetOf({0, 5}));
  EXPECT_GT(counts.size(), 2u) << "some, too";
}

TEST_F(MemoryDiskTest, KeepsAllWhenOnlyTheProcessDies) {
  MemoryDisk disk;
  auto store = open(disk);
  for (int i = 0; i < 5; ++i) commit_one(*store, ids);
  disk.kill();
  EXPECT_EQ(failure_of([&] { commit_one(*store, ids); }), Failure::fatal) << "its files are dead";
  store.reset();
  store = open(disk);
  EXPECT_EQ(store->load().tick, 5);
}

TEST_F(MemoryDiskTest, FailsAsToldAndOnlyThen) {
  const struct {
    Fault fault;
    Act act;
    Failure meaning;
  } cases[] = {
      {Fault::io_error, Act::write, Failure::fatal},   {Fault::no_space, Act::write, Failure::full},
      {Fault::short_write, Act::write, Failure::full}, {Fault::io_error, Act::sync, Failure::fatal},
      {Fault::no_space, Act::sync, Failure::fatal},
  };
  for (const auto& one : cases) {
    MemoryDisk disk;
    auto store = open(disk);
    commit_one(*store, ids);
    bool done = false;
    disk.set_plan([&](Act act, std::string_view file) {
      const bool hit = act == one.act && file.ends_with("-wal") && !std::exchange(done, true);
      return hit ? one.fault : Fault::none;
    });
    EXPECT_EQ(failure_of([&] { commit_one(*store, ids); }), one.meaning);
    store->rollback();
    disk.fail_none();
    if (one.meaning != Failure::fatal) {
      EXPECT_EQ(commit_one(*store, ids), 2);
    }
  }
}

// A store whose process is killed at each operation of a commit, or whose sync fails there, is opened anew on the same
// machine, and read; then the power goes. What was read must still be there: somebody may have been told of it.
TEST_F(MemoryDiskTest, WhatTheNextLifeReadsOutlivesThePower) {
  MemoryDisk fresh;
  open(fresh).reset();
  int ahead = 0;  // the next life read a commit that the one before it had not answered
  for (const bool killed : {true, false})
    for (std::int64_t nth = 1; nth <= 40; ++nth) {
      SCOPED_TRACE((killed ? "killed at operation " : "a sync fails from operation ") + std::to_string(nth));
      MemoryDisk disk(fresh.files());
      auto store = open(disk);
      std::int64_t answered = commit_one(*store, ids);
      if (killed) disk.fail_nth(nth, Fault::cut);
      std::int64_t operation = 0;
      if (!killed)
        disk.set_plan([&](Act act, std::string_view) {
          return act != Act::read && ++operation >= nth && act == Act::sync ? Fault::io_error : Fault::none;
        });
      try {
        for (int i = 0; i < 4; ++i) answered = commit_one(*store, ids);
      } catch (const StoreFailed& failed) {
        EXPECT_EQ(failed.failure, Failure::fatal);
      }
      disk.fail_none();
      disk.kill();
      store.reset();
      store = open(disk);
      const auto read = store->load().tick;
      EXPECT_GE(read, answered);
      if (read > answered) ++ahead;
      disk.power_loss(random);
      store.reset();
      store = open(disk);
      EXPECT_EQ(store->load().tick, read) << "the power took back what had been read";
      EXPECT_EQ(store->reads().count({}).count, read);
      if (HasFailure()) return;
    }
  EXPECT_GT(ahead, 3) << "the test must reach what it is for";
}

TEST_F(MemoryDiskTest, HasOnlySoMuchRoom) {
  MemoryDisk disk;
  auto store = open(disk);
  commit_one(*store, ids);
  const auto capacity = disk.used() + 100;
  disk.set_capacity(capacity);
  const auto fill = [&] {
    for (int i = 0; i < 100; ++i) commit_one(*store, ids);
  };
  EXPECT_EQ(failure_of(fill), Failure::full);
  store->rollback();
  EXPECT_LE(disk.used(), capacity);
  disk.set_capacity(0);
  commit_one(*store, ids);
}

TEST_F(MemoryDiskTest, IsTheSameAgainFromOneSeed) {
  const auto run = [] {
    SeededRandom dice(11);
    IdSource ids(dice);
    MemoryDisk disk;
    auto store = open(disk);
    disk.fail_nth(25, Fault::cut);
    try {
      while (true) commit_one(*store, ids);
    } catch (const StoreFailed&) {
    }
    disk.power_loss(dice);
    store.reset();
    return std::pair(open(disk)->load().tick, disk.operations());
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace geres::hub::store::sqlite
