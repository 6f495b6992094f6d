// SPDX-License-Identifier: Apache-2.0
// Logs that moved to a store elsewhere read as before, cost few requests, and are not lost where the store is away.
#include "hub/logs/archived_logs.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "hub/logs/memory_objects_test.h"

namespace geres::hub::logs {
namespace {

const Uuid kJob{0x0192f0c47d3a7001, 0x8f2e0123456789ab};
const Uuid kOther{0x0192f0c47d3a7002, 0x8f2e0123456789ab};
const LogName kOut{kJob, 1, Stream::out};

std::string some_lines(std::size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < bytes)
    text += std::string(random() % (random() % 50 == 0 ? 400'000 : 90), char('a' + random() % 26)) + "\n";
  return text;
}

struct ArchivedLogsTest : testing::Test {
  TemporaryDirectory directory;
  ManualClock clock;
  std::shared_ptr<MemoryObjects> store = std::make_shared<MemoryObjects>();
  std::map<Uuid, ArchivedLogs::Told> jobs{{kJob, {true, 0}}};
  DirectoryLogs plain{directory.path() / "plain", 64 << 20};  // what does not move, to compare with
  std::unique_ptr<ArchivedLogs> logs = open();

  std::unique_ptr<ArchivedLogs> open(std::size_t cache = 16 << 20) {
    return std::make_unique<ArchivedLogs>(
        std::make_unique<DirectoryLogs>(directory.path() / "logs", 64 << 20), store,
        [this](Uuid job) { return jobs.contains(job) ? jobs[job] : ArchivedLogs::Told{}; }, clock,
        ArchivedLogs::Options{60'000, cache, directory.path() / "gather"});
  }
  void write(const LogName& log, std::string_view text) {
    ASSERT_TRUE(logs->append(log, 0, text));
    ASSERT_TRUE(plain.append(log, 0, text));
  }
  void end_and_rest(Uuid job = kJob) {
    jobs[job] = {true, clock.wall()};
    clock.advance(60'000);
  }
  bool is_here(Uuid job) { return std::filesystem::exists(directory.path() / "logs" / "ab" / job.str()); }
};

TEST_F(ArchivedLogsTest, MoveWhenTheJobHasRested) {
  write(kOut, "hello\n");
  EXPECT_EQ(logs->archive().value(), 0u);
  jobs[kJob].ended_at = clock.wall();
  clock.advance(59'999);
  EXPECT_EQ(logs->archive().value(), 0u);
  clock.advance(1);
  EXPECT_EQ(logs->archive().value(), 1u);
  EXPECT_FALSE(is_here(kJob));
  EXPECT_EQ(store->objects.size(), 1u);
  EXPECT_EQ(logs->read(kOut, 0, 100).value(), "hello\n");
  EXPECT_EQ(logs->read(kOut, 2, 2).value(), "ll");
  EXPECT_EQ(logs->read(kOut, 6, 100).value(), "");
  EXPECT_EQ(logs->size(kOut).value(), 6);
  EXPECT_EQ(logs->size({kJob, 2, Stream::out}).value(), 0);
  EXPECT_EQ(logs->read({kOther, 1, Stream::out}, 0, 100).value(), "");
}

TEST_F(ArchivedLogsTest, ReadAsBeforeAtEachOffsetAndLine) {
  std::mt19937 random(5);
  for (const Stream stream : {Stream::out, Stream::err})
    for (int attempt = 1; attempt <= 3; ++attempt)
      write({kJob, attempt, stream}, some_lines(attempt == 1 ? 3'000'000 : 5'000, unsigned(attempt)));
  end_and_rest();
  ASSERT_EQ(logs->archive().value(), 1u);
  for (int i = 0; i < 600; ++i) {
    const LogName log{kJob, int(random() % 4) + 1, random() % 2 ? Stream::out : Stream::err};
    const auto size = plain.size(log).value();
    ASSERT_EQ(logs->size(log).value(), size);
    const std::int64_t lines = random() % 3 ? random() % 30 : random() % 200'000;
    ASSERT_EQ(logs->tail_offset(log, lines).value(), plain.tail_offset(log, lines).value()) << lines;
    const std::int64_t offset = size ? random() % size : 0;
    // A piece may end earlier, at the end of a chunk.
    const auto piece = logs->read(log, offset, 65'536).value();
    ASSERT_EQ(piece, plain.read(log, offset, piece.size()).value());
    ASSERT_EQ(piece.empty(), size == 0);
  }
}

TEST_F(ArchivedLogsTest, ATailReadsTheEndAlone) {
  std::mt19937 random(1);
  std::string text;
  while (text.size() < 20'000'000) text += std::to_string(random()) + (random() % 4 ? " " : "\n");
  write(kOut, text);
  end_and_rest();
  ASSERT_EQ(logs->archive().value(), 1u);
  const auto at = logs->tail_offset(kOut, 100).value();
  EXPECT_EQ(logs->read(kOut, at, 1 << 20).value(), text.substr(std::size_t(at)));
  EXPECT_LE(store->gets, 3);
  EXPECT_LT(store->bytes_read, 600'000u);
}

TEST_F(ArchivedLogsTest, WhatTheStoreDoesNotTakeStays) {
  write(kOut, "hello");
  end_and_rest();
  store->away = true;
  EXPECT_EQ(logs->archive().error().code, Code::blobStoreAway);
  EXPECT_EQ(logs->read(kOut, 0, 100).value(), "hello");
  store->away = false;
  EXPECT_EQ(logs->archive().value(), 1u);
  store->away = true;
  EXPECT_EQ(open()->read(kOut, 0, 100).error().code, Code::blobStoreAway);
  EXPECT_EQ(open()->tail_offset(kOut, 1).error().code, Code::blobStoreAway);
}

// We died after the object was written and before the directory forgot the job, or in the middle of forgetting.
TEST_F(ArchivedLogsTest, AnObjectThatIsThereIsNotReplaced) {
  write(kOut, "hello");
  write({kJob, 1, Stream::err}, "oops");
  end_and_rest();
  ASSERT_EQ(logs->archive().value(), 1u);
  DirectoryLogs(directory.path() / "logs", 100).append(kOut, 0, "hel");
  EXPECT_EQ(logs->archive().value(), 1u);
  EXPECT_EQ(store->puts, 1);
  EXPECT_EQ(logs->read(kOut, 0, 100).value(), "hello");
  EXPECT_EQ(logs->read({kJob, 1, Stream::err}, 0, 100).value(), "oops");
}

TEST_F(ArchivedLogsTest, GoWithTheirJob) {
  write(kOut, "hello");
  end_and_rest();
  ASSERT_EQ(logs->archive().value(), 1u);
  ASSERT_EQ(logs->size(kOut).value(), 5);
  store->away = true;
  logs->remove(kJob);
  store->away = false;
  EXPECT_EQ(store->objects.size(), 1u);
  EXPECT_EQ(logs->sweep().value(), 0u);  // the store still has the job
  jobs.erase(kJob);
  EXPECT_EQ(logs->sweep().value(), 1u);
  EXPECT_TRUE(store->objects.empty());
  EXPECT_EQ(logs->size(kOut).value(), 0);
}

TEST_F(ArchivedLogsTest, OfAJobThatIsGoneNothingIsArchived) {
  write(kOut, "hello");
  jobs.clear();
  EXPECT_EQ(logs->archive().value(), 0u);
  EXPECT_FALSE(is_here(kJob));
  EXPECT_TRUE(store->objects.empty());
}

TEST_F(ArchivedLogsTest, ADamagedObjectIsNamed) {
  write(kOut, "hello");
  end_and_rest();
  ASSERT_EQ(logs->archive().value(), 1u);
  store->objects[log_object_of(kJob)].resize(20);
  const auto error = open()->read(kOut, 0, 100).error();
  EXPECT_EQ(error.code, Code::blobStoreAway);
  EXPECT_NE(error.message.find(log_object_of(kJob)), std::string::npos) << error.message;
}

TEST_F(ArchivedLogsTest, TheCacheIsBounded) {
  write(kOut, some_lines(4'000'000, 9));
  end_and_rest();
  ASSERT_EQ(logs->archive().value(), 1u);
  const auto small = open(300'000);
  for (int round = 0; round < 2; ++round)
    for (std::int64_t at = 0; at < plain.size(kOut).value(); at += 200'000)
      ASSERT_EQ(
          small->read(kOut, at, 1'000).value(),
          plain.read(kOut, at, std::min<std::size_t>(1'000, small->read(kOut, at, 1'000).value().size())).value());
  EXPECT_GT(store->gets, 20);  // of 16 chunks: they did not all stay
}

}  // namespace
}  // namespace geres::hub::logs
