// SPDX-License-Identifier: Apache-2.0
// Why a hub accepts no jobs, and that the log says so once. tests/end_to_end/faults_test.py fills a real disk.
#include "hub/api/readiness.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/log.h"
#include "hub/packages/directory_blobs.h"

namespace geres::hub::api {
namespace {

class ReadinessTest : public testing::Test {
 protected:
  ReadinessTest() { log::start("hub", log::Format::json); }
  ~ReadinessTest() override { spdlog::set_default_logger(before); }
  std::string looked(Readiness& readiness, int times = 1) {
    testing::internal::CaptureStderr();
    for (int i = 0; i < times; ++i) readiness.look();
    return testing::internal::GetCapturedStderr();
  }

  std::shared_ptr<spdlog::logger> before = spdlog::default_logger();
  TemporaryDirectory directory;
  ManualClock clock;
  engine::Stats stats;
  std::filesystem::path files = directory.path() / "blobs";
  std::unique_ptr<packages::Blobs> blobs = packages::open_directory_blobs(files, [](auto, auto) { return false; });
  std::filesystem::path store = directory.path() / "geres.db";
};

TEST_F(ReadinessTest, TakesJobsAndKnowsTheDisks) {
  Readiness readiness(stats, *blobs, store, 0, clock);
  EXPECT_EQ(looked(readiness), "");
  const auto now = readiness.now();
  EXPECT_TRUE(now.takes_jobs);
  EXPECT_EQ(now.why, "");
  ASSERT_TRUE(now.store && now.files);
  EXPECT_GT(now.store->total_bytes, 0u);
}

TEST_F(ReadinessTest, FilesThatAreGoneAreSaidOnce) {
  Readiness readiness(stats, *blobs, store, 0, clock);
  std::filesystem::rename(files, directory.path() / "away");
  std::filesystem::create_directory(files);  // as a file system that is no longer mounted leaves it
  const auto text = looked(readiness, 3);
  EXPECT_EQ(text.find("hub takes no jobs"), text.rfind("hub takes no jobs")) << text;
  EXPECT_NE(text.find("hub takes no jobs"), std::string::npos);
  EXPECT_FALSE(readiness.now().takes_jobs);
  EXPECT_TRUE(readiness.now().files_away);
  EXPECT_NE(readiness.now().why.find("files cannot be reached"), std::string::npos) << readiness.now().why;
  EXPECT_EQ(readiness.now().why.find('/'), std::string::npos) << "everybody may read it";
  std::filesystem::remove(files);
  std::filesystem::rename(directory.path() / "away", files);
  EXPECT_NE(looked(readiness).find("hub takes jobs again"), std::string::npos);
  EXPECT_TRUE(readiness.now().takes_jobs);
  EXPECT_FALSE(readiness.now().files_away);
}

TEST_F(ReadinessTest, AStoreThatDoesNotAnswerIsSaidAtOnce) {
  Readiness readiness(stats, *blobs, store, 0, clock);
  readiness.look();
  stats.store_away_at = clock.monotonic();
  clock.advance(3'000);
  EXPECT_FALSE(readiness.now().takes_jobs);
  EXPECT_EQ(readiness.now().why, "the store has not answered for 3s");
  stats.store_away_at = 0;
  EXPECT_TRUE(readiness.now().takes_jobs);
}

// As with a quota, the disk claims that it has room.
TEST_F(ReadinessTest, ARefusalCountsForAWhile) {
  Readiness readiness(stats, *blobs, store, 0, clock);
  stats.full_at = clock.monotonic();
  readiness.look();
  EXPECT_FALSE(readiness.now().takes_jobs);
  EXPECT_NE(readiness.now().why.find("disk is full"), std::string::npos);
  clock.advance(20'000);
  readiness.look();
  EXPECT_TRUE(readiness.now().takes_jobs);
}

TEST_F(ReadinessTest, ALookThatDoesNotEndIsNoGoodSign) {
  Readiness readiness(stats, *blobs, store, 0, clock);
  readiness.look();
  clock.advance(11'000);
  EXPECT_FALSE(readiness.now().takes_jobs);
  EXPECT_NE(readiness.now().why.find("has not answered"), std::string::npos);
}

TEST_F(ReadinessTest, ADiskThatIsGettingFullIsSaidOnce) {
  Readiness readiness(stats, *blobs, store, std::uint64_t(1) << 62, clock);
  const auto text = looked(readiness, 3);
  EXPECT_NE(text.find("disk low"), std::string::npos) << text;
  EXPECT_EQ(text.find("disk low"), text.rfind("disk low")) << "store and files are on one disk here";
  EXPECT_TRUE(readiness.now().takes_jobs);
}

}  // namespace
}  // namespace geres::hub::api
