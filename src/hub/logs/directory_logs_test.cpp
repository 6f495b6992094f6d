// SPDX-License-Identifier: Apache-2.0
// Logs by offset: repeats, gaps, the cap, and the last lines.
#include "hub/logs/directory_logs.h"

#include <gtest/gtest.h>

namespace geres::hub::logs {
namespace {

const Uuid kJob{0x0192f0c47d3a7001, 0x8f2e0123456789ab};

struct DirectoryLogsTest : testing::Test {
  TemporaryDirectory directory;
  DirectoryLogs logs{directory.path() / "logs", 100};
  std::string all(int attempt = 1) { return logs.read({kJob, attempt, Stream::out}, 0, 1'000).value(); }
};

TEST_F(DirectoryLogsTest, AppendsByOffsetAndSkipsWhatItHas) {
  EXPECT_TRUE(logs.append({kJob, 1, Stream::out}, 0, "hello "));
  EXPECT_TRUE(logs.append({kJob, 1, Stream::out}, 0, "hello "));
  EXPECT_TRUE(logs.append({kJob, 1, Stream::out}, 3, "lo world"));
  EXPECT_EQ(all(), "hello world");
  EXPECT_EQ(all(2), "");
  EXPECT_EQ(logs.size({kJob, 1, Stream::err}).value(), 0);
}

TEST_F(DirectoryLogsTest, RefusesAGap) {
  EXPECT_FALSE(logs.append({kJob, 1, Stream::out}, 1, "x"));
  EXPECT_FALSE(logs.append({kJob, 1, Stream::out}, -1, "x"));
  EXPECT_EQ(all(), "");
}

TEST_F(DirectoryLogsTest, DropsWhatIsBeyondTheCap) {
  EXPECT_TRUE(logs.append({kJob, 1, Stream::out}, 0, std::string(90, 'a')));
  EXPECT_TRUE(logs.append({kJob, 1, Stream::out}, 90, std::string(90, 'b')));
  EXPECT_TRUE(logs.append({kJob, 1, Stream::out}, 180, "c"));
  EXPECT_EQ(all(), std::string(90, 'a') + std::string(10, 'b'));
}

TEST_F(DirectoryLogsTest, FindsTheLastLines) {
  logs.append({kJob, 1, Stream::out}, 0, "one\ntwo\nthree\n");
  EXPECT_EQ(logs.tail_offset({kJob, 1, Stream::out}, 1).value(), 8);
  EXPECT_EQ(logs.tail_offset({kJob, 1, Stream::out}, 2).value(), 4);
  EXPECT_EQ(logs.tail_offset({kJob, 1, Stream::out}, 9).value(), 0);
  EXPECT_EQ(logs.tail_offset({kJob, 1, Stream::out}, 0).value(), 14);
  EXPECT_EQ(logs.tail_offset({kJob, 2, Stream::out}, 1).value(), 0);
}

TEST_F(DirectoryLogsTest, ForgetsAPurgedJob) {
  logs.append({kJob, 1, Stream::out}, 0, "x");
  logs.remove(kJob);
  EXPECT_EQ(all(), "");
  logs.remove(kJob);
}

}  // namespace
}  // namespace geres::hub::logs
