// SPDX-License-Identifier: Apache-2.0
// A line of the log is one JSON object, or one line for people, whatever stands in its members.
#include "base/log.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/json.h"
#include "base/line_quota.h"

namespace geres::log {
namespace {

class LogTest : public testing::Test {
 protected:
  ~LogTest() override { spdlog::set_default_logger(before_); }
  std::string written(Format format, const std::function<void()>& work) {
    start("hub", format);
    testing::internal::CaptureStderr();
    work();
    return testing::internal::GetCapturedStderr();
  }

 private:
  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

TEST_F(LogTest, WritesMembersAsJson) {
  const auto text = written(Format::json, [] {
    event(Level::warn, "host lost",
          {{"host", "w\"1\n"}, {"slots", 4}, {"seconds", 1.5}, {"last", true}, {"nothing", ""}, {"bad", "\xff"}});
  });
  const auto line = json::parse(text);
  ASSERT_TRUE(line && line->is_object()) << text;
  const auto& object = line->get_object();
  EXPECT_EQ(object.at("level").get_string(), "warning");
  EXPECT_EQ(object.at("part").get_string(), "hub");
  EXPECT_EQ(object.at("message").get_string(), "host lost");
  EXPECT_EQ(object.at("host").get_string(), "w\"1\n");
  EXPECT_EQ(object.at("slots").get_int64(), 4);
  EXPECT_DOUBLE_EQ(object.at("seconds").get_double(), 1.5);
  EXPECT_TRUE(object.at("last").get_bool());
  EXPECT_FALSE(object.contains("nothing"));
  EXPECT_EQ(object.at("bad").get_string(), "\xef\xbf\xbd");
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST_F(LogTest, WritesMembersForPeople) {
  const auto text = written(Format::text, [] {
    event(Level::info, "host joined", {{"host", "w1"}, {"data", "/a b\x1b[31m\n"}, {"slots", 4}});
  });
  EXPECT_TRUE(text.ends_with("hub info  host joined  host=w1 data=\"/a b\\u001b[31m\\n\" slots=4\n")) << text;
}

TEST_F(LogTest, MembersBelongToTheirLineAlone) {
  const auto text = written(Format::json, [] {
    event(Level::info, "one", {{"job", "x"}});
    event(Level::debug, "not written", {{"job", "y"}});
    info("two");
  });
  EXPECT_NE(text.find(R"("message":"one","job":"x"})"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("message":"two"})"), std::string::npos) << text;
}

TEST(LineQuota, CountsWhatItLeavesOut) {
  LineQuota quota(2, 1);
  EXPECT_EQ(quota.take(1'000), 0u);
  EXPECT_EQ(quota.take(1'000), 0u);
  EXPECT_FALSE(quota.take(1'000));
  EXPECT_FALSE(quota.take(1'500));
  EXPECT_EQ(quota.take(2'100), 2u);
}

}  // namespace
}  // namespace geres::log
