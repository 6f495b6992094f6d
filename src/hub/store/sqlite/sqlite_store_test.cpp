// SPDX-License-Identifier: Apache-2.0
// What is SQLite's own: files that cannot be used, schema versions, a bounded log, full disks, failed syncs, and that
// commit() returns only after the sync.
#include "hub/store/sqlite/sqlite_store.h"

#include <gmock/gmock.h>

#include <atomic>
#include <fstream>

#include "base/file.h"
#include "hub/store/sqlite/connection.h"
#include "hub/store/sqlite/migrate.h"
#include "hub/store/sqlite/reader.h"
#include "hub/store/sqlite/recording_vfs.h"
#include "hub/store/sqlite/sqlite_reads.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::store::sqlite {
namespace {

using testing::HasSubstr;
using Act = RecordingVfs::Act;

class SqliteFile : public testing::Test {
 protected:
  SqliteFile() {
    // Memory where there is some: quick, and there is no disk to wear out.
    if (std::filesystem::is_directory("/dev/shm")) {
      directory = std::filesystem::path("/dev/shm") / ("geres-sqlite-" + random_hex(6));
      std::filesystem::create_directory(directory);
    } else {
      directory = temporary.path();
    }
    file = directory / "store.db";
  }
  ~SqliteFile() override {
    std::error_code ignored;
    if (directory != temporary.path()) std::filesystem::remove_all(directory, ignored);
  }

  // What the user is told when it cannot be opened.
  std::string refusal(const SqliteOptions& options = {}) {
    try {
      open_sqlite(file, options);
    } catch (const StoreFailed& failed) {
      EXPECT_EQ(failed.failure, Failure::fatal);
      return failed.what();
    }
    return "it was opened";
  }

  void raw(const std::string& sql) {
    Database database(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "");
    database.execute(sql);
  }

  model::Job new_job(std::size_t bytes = 10) {
    model::Job job;
    job.id = ids.next(1'700'000'000'000);
    job.spec.tenant = "acme";
    job.spec.type = "Resize";
    job.spec.parameters = std::string(bytes, 'x');
    return job;
  }

  void submit(Store& store, int n, std::size_t bytes = 10) {
    Changes changes;
    for (int i = 0; i < n; ++i) changes.jobs.push_back(new_job(bytes));
    store.begin();
    try {
      store.apply(changes);
      store.commit(++tick);
    } catch (...) {
      store.rollback();
      throw;
    }
  }

  Failure failure_of(const std::function<void()>& work) {
    try {
      work();
    } catch (const StoreFailed& failed) {
      return failed.failure;
    }
    ADD_FAILURE() << "nothing failed";
    return Failure::unknown;
  }

  std::uintmax_t log_bytes() { return std::filesystem::file_size(file.string() + "-wal"); }

  TemporaryDirectory temporary;
  std::filesystem::path directory, file;
  SeededRandom random{3};
  IdSource ids{random};
  std::int64_t tick = 0;
};

TEST_F(SqliteFile, ASecondHubIsRefused) {
  auto first = open_sqlite(file);
  EXPECT_THAT(refusal(), HasSubstr("another hub has it open"));
  EXPECT_THAT(refusal(), HasSubstr(file.string()));
  submit(*first, 1);
  first.reset();
  EXPECT_EQ(open_sqlite(file)->load().tick, 1);
}

TEST_F(SqliteFile, ANewerSchemaIsRefusedAndLeftAlone) {
  open_sqlite(file).reset();
  raw("PRAGMA user_version = 999");
  EXPECT_THAT(refusal(), HasSubstr("newer version"));
  raw("PRAGMA user_version = " + std::to_string(migrations().size()));
  EXPECT_EQ(open_sqlite(file)->load().tick, 0);
}

TEST_F(SqliteFile, AnotherProgramsFileIsRefused) {
  raw("CREATE TABLE a(b)");
  EXPECT_THAT(refusal(), HasSubstr("another program"));
}

TEST_F(SqliteFile, WhatIsNoDatabaseIsRefused) {
  std::ofstream(file) << std::string(8192, 'x');
  EXPECT_THAT(refusal(), HasSubstr("not a database"));
}

TEST_F(SqliteFile, ADirectoryThatIsNotThereIsRefused) {
  file = directory / "absent" / "store.db";
  EXPECT_THAT(refusal(), HasSubstr("absent"));
}

TEST_F(SqliteFile, ADamagedPageIsFoundAtStart) {
  {
    auto store = open_sqlite(file);
    submit(*store, 2'000);
  }
  const auto size = std::filesystem::file_size(file);
  std::fstream damage(file, std::ios::in | std::ios::out | std::ios::binary);
  for (std::uintmax_t at = size / 2 / 4096 * 4096; at + 4096 <= size; at += 4096 * 16) {
    damage.seekp(std::streamoff(at));
    damage << std::string(4096, '\x5a');
  }
  damage.close();
  EXPECT_THAT(refusal({.check_limit = 60'000}), HasSubstr("damaged"));
}

TEST_F(SqliteFile, ADamagedTableIsFoundAtStartWhicheverItIs) {
  open_sqlite(file);
  std::map<std::string, std::int64_t> roots;
  std::int64_t page = 0;
  {
    Database database(file, SQLITE_OPEN_READWRITE, "");
    page = database.number("PRAGMA page_size");
    auto rows = database.prepare("SELECT name, rootpage FROM sqlite_schema WHERE type = 'table' AND rootpage > 1");
    while (rows.step()) roots[std::string(rows.view(0))] = rows.integer(1);
  }
  EXPECT_GT(roots.size(), 20u);
  const auto whole = read_file(file);
  for (const auto& [table, root] : roots) {
    SCOPED_TRACE(table);
    auto damaged = whole;
    damaged.replace(std::size_t((root - 1) * page), 100, 100, '\x5a');
    std::ofstream(file, std::ios::binary) << damaged;
    EXPECT_THAT(refusal({.check_limit = 60'000}), HasSubstr("damaged"));
  }
}

TEST_F(SqliteFile, TheCheckAtStartEndsWithItsTime) {
  {
    auto store = open_sqlite(file);
    submit(*store, 20'000, 200);
  }
  EXPECT_EQ(open_sqlite(file, {.check_limit = 1})->load().tick, 1);
}

TEST_F(SqliteFile, MigratesStepByStep) {
  Database database(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "");
  std::vector<std::string_view> steps{"CREATE TABLE a(x); INSERT INTO a VALUES(1);"};
  migrate(database, steps, "f");
  migrate(database, steps, "f");  // nothing to do
  EXPECT_EQ(database.number("SELECT count(*) FROM a"), 1);
  EXPECT_EQ(database.number("PRAGMA user_version"), 1);

  steps.emplace_back("ALTER TABLE a ADD COLUMN y; UPDATE a SET y = 5;");
  steps.emplace_back("UPDATE a SET y = 6; INSERT INTO absent VALUES(1);");
  EXPECT_THROW(migrate(database, steps, "f"), StoreFailed);
  EXPECT_EQ(database.number("PRAGMA user_version"), 2);  // the second is in, of the third nothing
  EXPECT_EQ(database.number("SELECT y FROM a"), 5);

  steps[2] = "UPDATE a SET y = 7";
  migrate(database, steps, "f");
  EXPECT_EQ(database.number("SELECT y FROM a"), 7);
  EXPECT_EQ(database.number("PRAGMA user_version"), 3);
}

TEST_F(SqliteFile, AStoreOfEachEarlierVersionIsBroughtUpToDate) {
  for (std::size_t version = 1; version < migrations().size(); ++version) {
    SCOPED_TRACE(version);
    file = directory / ("version-" + std::to_string(version) + ".db");
    {
      Database database(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "");
      database.execute("PRAGMA journal_mode = WAL");
      migrate(database, {migrations().begin(), migrations().begin() + std::ptrdiff_t(version)}, file.string());
      EXPECT_EQ(database.number("PRAGMA user_version"), std::int64_t(version));
    }
    auto store = open_sqlite(file);
    const auto log = store->load().log;
    store->begin();
    store->apply({.cursors = {{"amqp", log, 0}}});
    store->commit(1);
    EXPECT_EQ(store->reads().cursor("amqp"), (CursorRow{"amqp", log, 0}));
    EXPECT_TRUE(store->reads().audit({}).violations.empty());
  }
}

// Versions before 15 knew of no pools: whoever drained a host was an operator.
TEST_F(SqliteFile, AHostOfAnEarlierVersionIsNobodysMachine) {
  const auto all = migrations();
  {
    Database database(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "");
    database.execute("PRAGMA journal_mode = WAL");
    migrate(database, {all.begin(), all.begin() + 14}, file.string());
    database.execute(
        "INSERT INTO host VALUES(x'00000000000000010000000000000002', 'old', '', '', 3, 0, '', NULL, NULL, 1, '', 1, 5,"
        " '', '', '')");
    database.execute("INSERT INTO meta(id, log, tick, last_event, last_id, last_lane) VALUES(1, 'a', 1, 0, 1, 0)");
  }
  auto store = open_sqlite(file);
  const auto hosts = store->load().hosts;
  ASSERT_EQ(hosts.size(), 1u);
  EXPECT_EQ(std::pair(hosts[0].pool, hosts[0].instance), std::pair(std::string(), std::string()));
  EXPECT_EQ(std::pair(hosts[0].mode, hosts[0].mode_by), std::pair(model::HostMode::drain, model::ModeBy::operator_));
  store->begin();
  store->apply({.machines = {{"cpu", "i", model::MachineState::ordered, "r", "", 1, {}, {}, ""}}});
  store->commit(2);
  EXPECT_EQ(store->load().machines.size(), 1u);
}

// Versions before 10 could take a job out of its place and then refuse the command.
TEST_F(SqliteFile, AScheduledJobThatStandsNowhereIsDueAfterTheUpdate) {
  auto all = migrations();
  {
    Database database(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "");
    database.execute("PRAGMA journal_mode = WAL");
    migrate(database, {all.begin(), all.begin() + 9}, file.string());
    static constexpr char kJob[] =
        "INSERT INTO job(seq, lo, state, tenant, type, reason, submitted_at, priority, version, attempt, failures,"
        " host_losses, max_attempts, submitted_by) VALUES(?, 0, 0, 'acme', 'Work', 0, 0, 0, 1, 0, 0, 0, 1, 'me')";
    for (const int seq : {5, 6}) database.cached(kJob).bind(seq).run();
    database.execute("INSERT INTO scheduled VALUES(5, 77, 1, 0)");
    migrate(database, {all.begin(), all.end()}, file.string());
    EXPECT_EQ(database.number("SELECT due FROM scheduled WHERE seq = 5"), 77);
    EXPECT_EQ(database.number("SELECT due + by_wall FROM scheduled WHERE seq = 6"), 0);
  }
}

// Versions before 12 did not know that a redrive which succeeded settles what came before it.
TEST_F(SqliteFile, DeadLettersThatWereRunAgainWithSuccessAreSettledByTheUpdate) {
  auto all = migrations();
  Database database(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "");
  database.execute("PRAGMA journal_mode = WAL");
  migrate(database, {all.begin(), all.begin() + 11}, file.string());
  // 5 was run again as 6, that as 7, which finished; 8 was run again as 9, which failed too; 10 was left alone.
  auto put = database.cached(
      "INSERT INTO job(seq, lo, state, tenant, type, reason, submitted_at, finished_at, priority, version, attempt,"
      " failures, host_losses, redrive_of, redriven_as)"
      " VALUES(?, -5, ?, 'acme', 'Work', 2, 0, ?, 0, 1, 0, 0, 0, ?, ?)");
  const auto id = [](std::uint64_t seq) { return std::optional(Uuid{seq, std::uint64_t(-5)}); };
  const auto add = [&](std::int64_t seq, model::JobState state, std::optional<Uuid> of, std::optional<Uuid> as) {
    put.bind(seq, state, 100 * seq, of, as).run();
  };
  using enum model::JobState;
  add(5, failed, {}, id(6));
  add(6, failed, id(5), id(7));
  add(7, finished, id(6), {});
  add(8, failed, {}, id(9));
  add(9, failed, id(8), {});
  add(10, failed, {}, {});
  migrate(database, {all.begin(), all.end()}, file.string());
  EXPECT_EQ(database.number("SELECT group_concat(seq, '') FROM job WHERE settled_at = 700"), 56);
  EXPECT_EQ(database.number("SELECT count(*) FROM job WHERE settled_at IS NOT NULL"), 2);
  EXPECT_EQ(database.number("SELECT n FROM dead_letter WHERE tenant = 'acme' AND reason = 2"), 3);
}

TEST_F(SqliteFile, AFullStoreSaysSoAndGoesOn) {
  auto store = open_sqlite(file, {.reserve_bytes = 0, .max_pages = 400});
  submit(*store, 100);
  EXPECT_EQ(failure_of([&] { submit(*store, 1'000, 10'000); }), Failure::full);
  EXPECT_EQ(store->reads().count({}).count, 100);
  Changes small;  // what needs no room still goes
  small.counts = {{{}, "acme", model::JobState::ready, 1}};
  store->begin();
  store->apply(small);
  store->commit(++tick);
  EXPECT_EQ(store->load().tick, tick);
}

TEST_F(SqliteFile, NoRoomForTheLogIsFull) {
  RecordingVfs vfs;
  auto store = open_sqlite(file, {.vfs = RecordingVfs::name(), .reserve_bytes = 0});
  submit(*store, 1);
  vfs.set_fault(
      [](Act act, const std::string& name) { return act == Act::write && name == "wal" ? SQLITE_FULL : SQLITE_OK; });
  EXPECT_EQ(failure_of([&] { submit(*store, 1); }), Failure::full);
  vfs.set_fault(nullptr);
  submit(*store, 1);
  EXPECT_EQ(store->reads().count({}).count, 2);
}

TEST_F(SqliteFile, OnAFullDiskOnlyWhatAddsJobsIsRefused) {
  RecordingVfs vfs;
  auto store = open_sqlite(file, {.vfs = RecordingVfs::name()});
  const std::filesystem::path reserve = file.string() + ".reserve";
  EXPECT_EQ(std::filesystem::file_size(reserve), 16u << 20);
  submit(*store, 1);
  vfs.set_fault([&](Act act, const std::string&) {  // there is room once the reserve is gone
    return act == Act::write && std::filesystem::exists(reserve) ? SQLITE_FULL : SQLITE_OK;
  });
  EXPECT_EQ(failure_of([&] { submit(*store, 1); }), Failure::full);
  EXPECT_FALSE(std::filesystem::exists(reserve));
  submit(*store, 0);  // a tick without new jobs
  EXPECT_EQ(failure_of([&] { submit(*store, 1); }), Failure::full);
  EXPECT_EQ(store->reads().count({}).count, 1);
  vfs.set_fault(nullptr);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!std::filesystem::exists(reserve) && std::chrono::steady_clock::now() < deadline) submit(*store, 0);
  submit(*store, 1);  // the reserve is back, and so is the service
  EXPECT_EQ(store->reads().count({}).count, 2);
}

TEST_F(SqliteFile, ADiskWithoutRoomForTheReserveTakesNoJobs) {
  auto store = open_sqlite(file, {.reserve_bytes = std::int64_t(1) << 60});
  EXPECT_EQ(failure_of([&] { submit(*store, 1); }), Failure::full);
  submit(*store, 0);
}

TEST_F(SqliteFile, CommitReturnsAfterTheSync) {
  RecordingVfs vfs;
  auto store = open_sqlite(file, {.vfs = RecordingVfs::name()});
  for (int round = 0; round < 3; ++round) {
    Changes changes;
    changes.jobs = {new_job()};
    store->begin();
    store->apply(changes);
    vfs.forget();
    store->commit(++tick);
    const auto entries = vfs.entries();
    int writes = 0, writes_since_sync = 0;
    for (const auto& entry : entries) {
      if (entry.file != "wal") continue;
      if (entry.act == Act::write) ++writes, ++writes_since_sync;
      if (entry.act == Act::sync) writes_since_sync = 0;
    }
    EXPECT_GT(writes, 0);
    EXPECT_EQ(writes_since_sync, 0) << "something in the log was not synced";
  }
}

TEST_F(SqliteFile, AFailedSyncEndsTheStore) {
  RecordingVfs vfs;
  auto store = open_sqlite(file, {.vfs = RecordingVfs::name()});
  submit(*store, 1);
  std::atomic<int> syncs = 0;
  vfs.set_fault([&](Act act, const std::string&) {
    if (act != Act::sync) return SQLITE_OK;
    ++syncs;
    return SQLITE_IOERR_FSYNC;
  });
  EXPECT_EQ(failure_of([&] { submit(*store, 1); }), Failure::fatal);
  EXPECT_EQ(failure_of([&] { store->begin(); }), Failure::fatal);
  EXPECT_EQ(failure_of([&] { store->load(); }), Failure::fatal);
  EXPECT_EQ(syncs, 1) << "a failed sync must not be tried again";
  vfs.forget();
  store.reset();
  EXPECT_EQ(syncs, 1);
  for (const auto& entry : vfs.entries()) EXPECT_NE(entry.file, "db") << "the doubtful log was copied";
  vfs.set_fault(nullptr);
  store = open_sqlite(file, {.vfs = RecordingVfs::name()});
  const auto found = store->load().tick;
  EXPECT_TRUE(found == 1 || found == 2);
  EXPECT_EQ(store->reads().count({}).count, found);
}

TEST_F(SqliteFile, AWriteThatFailsIsFatal) {
  RecordingVfs vfs;
  auto store = open_sqlite(file, {.vfs = RecordingVfs::name()});
  vfs.set_fault([](Act act, const std::string&) { return act == Act::write ? SQLITE_IOERR_WRITE : SQLITE_OK; });
  EXPECT_EQ(failure_of([&] { submit(*store, 1); }), Failure::fatal);
}

TEST_F(SqliteFile, ReadersNeitherWriteNorCheckpoint) {
  RecordingVfs vfs;
  auto store = open_sqlite(file, {.vfs = RecordingVfs::name(), .checkpoint_pages = 1'000'000});
  submit(*store, 5'000);
  vfs.forget();
  std::thread([&] {
    for (int i = 0; i < 20; ++i) store->reads().count({.tenants = {"acme"}});
    store->reads().jobs({}, {.limit = 1'000});
  }).join();
  EXPECT_TRUE(vfs.entries().empty());
  store.reset();  // closes the readers too: the writer is the last, and copies the log
  for (const auto& entry : vfs.entries()) EXPECT_EQ(entry.thread, std::this_thread::get_id());
}

TEST_F(SqliteFile, TheLogStaysBoundedUnderReadersThatOverlap) {
  auto store = open_sqlite(file, {.readers = 3, .checkpoint_pages = 50});
  submit(*store, 3'000);
  std::atomic<bool> stop = false;
  std::atomic<int> looks = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      while (!stop) store->reads().count({.name = "nothing has it"}), ++looks;
    });
  std::uintmax_t largest = 0;
  for (int i = 0; i < 600; ++i) {
    submit(*store, 20);
    largest = std::max(largest, log_bytes());
  }
  stop = true;
  for (auto& reader : readers) reader.join();
  EXPECT_GT(looks, 3);
  EXPECT_LT(largest, std::uintmax_t(16 * 50 + 300) * 4200);
}

// A backup or a check in another process: the log grows, but no tick waits for the reader's end.
TEST_F(SqliteFile, AReaderOfAnotherProcessKeepsNoTickWaiting) {
  auto store = open_sqlite(file, {.checkpoint_pages = 20});
  submit(*store, 500);
  auto other = open_reader(file, "", 1'000);
  other->execute("BEGIN");
  EXPECT_EQ(other->number("SELECT count(*) FROM job"), 500);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 40; ++i) submit(*store, 50);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));  // one wait would be 5 s
  EXPECT_EQ(other->number("SELECT count(*) FROM job"), 500) << "it still sees its moment";
  other->execute("COMMIT");
  for (int i = 0; i < 10; ++i) submit(*store, 1);
  EXPECT_LT(log_bytes(), 1'000'000u) << "the log starts anew once nobody needs it";
}

TEST_F(SqliteFile, AReadThatTakesTooLongIsEnded) {
  auto store = open_sqlite(file, {.read_limit = 1});
  submit(*store, 30'000);
  EXPECT_EQ(failure_of([&] {
              for (int i = 0; i < 100; ++i) store->reads().count({.name = "nothing has it", .tags = {{"a", "b"}}});
            }),
            Failure::refused);
  EXPECT_EQ(store->reads().event_range(), std::pair(EventNo(0), EventNo(0)));  // and the connection is fine
}

// Counts what SQLite does, so that a look at each row of a large table shows on any machine.
class Work {
 public:
  explicit Work(const std::filesystem::path& file)
      : database_(file, SQLITE_OPEN_READWRITE, ""), reads_(pool_, &database_, file) {
    const auto count = [](void* steps) { return ++*static_cast<std::int64_t*>(steps), 0; };
    sqlite3_progress_handler(database_.handle(), 1, count, &steps_);
  }
  std::int64_t of(const std::function<void(Reads&)>& read) {
    steps_ = 0;
    read(reads_);
    return steps_;
  }

 private:
  std::int64_t steps_ = 0;
  Database database_;
  ReadPool pool_{[]() -> std::unique_ptr<Database> { return nullptr; }, 1, 0};
  SqliteReads reads_;
};

class ManyEnded : public SqliteFile {
 protected:
  static constexpr int kEnded = 40'000;  // before and after those that wait
  static constexpr std::int64_t kBounded = 3 * kEnded;

  void insert(Store& store, int n, model::JobState state) {
    Changes changes;
    for (int i = 0; i < n; ++i) {
      auto job = new_job();
      job.status.state = state;
      job.status.submitted_at = std::int64_t(job.id.high >> 16);
      if (state == model::JobState::ready) changes.ready.push_back({1 + i % 3, i % 2, job.id.seq()});
      changes.jobs.push_back(std::move(job));
    }
    store.begin();
    store.apply(changes);
    store.commit(++tick);
  }

  // The ids that the first page has, and the work it was.
  std::int64_t work(const JobFilter& filter, bool ascending, std::size_t expected) {
    return counter->of([&](Reads& reads) {
      const auto page = reads.jobs(filter, {.limit = 1, .ascending = ascending});
      EXPECT_EQ(page.jobs.size(), expected);
    });
  }

  void SetUp() override {
    store = open_sqlite(file);
    insert(*store, kEnded, model::JobState::finished);
    insert(*store, 10'010, model::JobState::ready);
    insert(*store, kEnded, model::JobState::finished);
    counter.emplace(file);
  }

  std::unique_ptr<Store> store;
  std::optional<Work> counter;
};

TEST_F(ManyEnded, WhatWaitsIsFoundWithoutALookAtWhatHasEnded) {
  EXPECT_GT(work({.name = "nobody's"}, true, 0), kBounded) << "the measure itself";
  for (const bool ascending : {true, false}) {
    EXPECT_LT(work({.states = {model::JobState::ready}}, ascending, 1), kBounded);
    EXPECT_LT(work({.tenants = {"acme"}, .states = {model::JobState::ready}}, ascending, 1), kBounded);
    EXPECT_LT(work({.states = {model::JobState::blocked}}, ascending, 0), kBounded);
    EXPECT_LT(work({.states = {model::JobState::ready, model::JobState::blocked}}, ascending, 1), kBounded);
  }
  EXPECT_LT(counter->of([](Reads& reads) {
    const LaneNo lanes[] = {1, 2, 3};
    EXPECT_TRUE(reads.oldest_ready({}, lanes));
  }),
            1'000);
}

// Pages of what waits are those of a walk through all, also where one begins in their middle.
TEST_F(ManyEnded, PagesOfWhatWaitsAreWhole) {
  for (const bool ascending : {true, false}) {
    Page page{.limit = 4'000, .ascending = ascending};
    std::size_t found = 0;
    do {
      const auto part = store->reads().jobs({.states = {model::JobState::ready}}, page);
      found += part.jobs.size();
      page.after = part.next;
    } while (page.after != 0);
    EXPECT_EQ(found, 10'010u);
  }
}

// However deep, and however many pages in.
TEST_F(ManyEnded, SubmittedBeforeLooksAtNoNewerJob) {
  const auto first = store->reads().jobs({}, {.limit = 1, .ascending = true}).jobs.at(0);
  Changes changes;
  changes.jobs.push_back(new_job());
  changes.jobs[0].id = ids.next(1'800'000'000'000);
  changes.jobs[0].status.submitted_at = 1'800'000'000'000;
  store->begin();
  store->apply(changes);
  store->commit(++tick);
  EXPECT_LT(work({.submitted_before = 1'700'000'000'000}, false, 0), 1'000);
  EXPECT_LT(work({.submitted_after = 1'800'000'000'000}, true, 1), 1'000);
  EXPECT_LT(counter->of([&](Reads& reads) {
    const Page page{.limit = 1, .after = first.id.seq() + 2, .ascending = false};
    reads.jobs({.submitted_before = 1'750'000'000'000}, page);
  }),
            1'000);
}

}  // namespace
}  // namespace geres::hub::store::sqlite
