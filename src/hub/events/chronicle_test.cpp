// SPDX-License-Identifier: Apache-2.0
// The log names what operators look for, and no storm of failures fills it.
#include "hub/events/chronicle.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "hub/store/sqlite/sqlite_store.h"

namespace geres::hub::events {
namespace {

using store::EventType;

class ChronicleTest : public testing::Test {
 protected:
  ChronicleTest() {
    store = store::open_sqlite(directory.path() / "log.db", {.check_limit = 0, .reserve_bytes = 0});
    chronicle.emplace(store->reads(), clock, [](std::function<void()> work) { work(); });
    log::start("hub", log::Format::json);
  }
  ~ChronicleTest() override { spdlog::set_default_logger(before); }

  store::EventRow host(EventType type, Uuid id, const std::string& name) {
    store::EventRow row;
    row.type = type, row.subject = id, row.data = store::HostEvent{name, 4};
    return row;
  }
  store::EventRow failed(const std::string& tenant, model::Reason reason) {
    store::EventRow row;
    row.type = EventType::job_failed, row.subject = {7, 7}, row.tenant = tenant;
    row.data =
        store::JobEvent{model::JobState::failed, 3, 1, store::FailedForGood{reason, {{1, 0, "password: hunter2"}}}};
    return row;
  }
  std::vector<json::object> lines(const std::function<void()>& work) {
    testing::internal::CaptureStderr();
    work();
    std::istringstream text(testing::internal::GetCapturedStderr());
    std::vector<json::object> found;
    for (std::string line; std::getline(text, line);) {
      EXPECT_EQ(line.find("hunter2"), std::string::npos) << "a job's error may be its output: " << line;
      if (const auto object = json::parse(line); object) found.push_back(object->get_object());
    }
    return found;
  }
  static std::string text(const json::object& line, const char* name) {
    return line.contains(name) ? std::string(line.at(name).get_string()) : "";
  }

  std::shared_ptr<spdlog::logger> before = spdlog::default_logger();
  TemporaryDirectory directory;
  ManualClock clock;
  std::unique_ptr<store::Store> store;
  std::optional<Chronicle> chronicle;
};

TEST_F(ChronicleTest, NamesHosts) {
  const auto found = lines([&] {
    chronicle->publish({host(EventType::host_joined, {1, 1}, "w1"), host(EventType::host_lost, {1, 1}, "w1"),
                        host(EventType::host_joined, {1, 1}, "w1"), host(EventType::host_left, {1, 1}, "w1")});
  });
  ASSERT_EQ(found.size(), 4u);
  const char* words[] = {"host joined", "host lost", "host joined", "host left"};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(text(found[i], "message"), words[i]);
    EXPECT_EQ(text(found[i], "host"), "w1");
    EXPECT_EQ(text(found[i], "level"), i == 1 ? "warning" : "info");
  }
  EXPECT_EQ(chronicle->hosts_lost(), 1);
}

// Draining and taking jobs again are said by the call that knows who asked.
TEST_F(ChronicleTest, LeavesDrainingToTheCall) {
  model::Host drained;
  drained.id = {2, 2}, drained.mode = model::HostMode::drain;
  chronicle->seed({drained});
  EXPECT_TRUE(lines([&] {
                chronicle->publish({host(EventType::host_draining, {1, 1}, "w1"),
                                    host(EventType::host_joined, {1, 1}, "w1"),
                                    host(EventType::host_joined, {2, 2}, "w2")});
              }).empty());
  EXPECT_EQ(lines([&] { chronicle->publish({host(EventType::host_joined, {1, 1}, "w1")}); }).size(), 1u);
}

TEST_F(ChronicleTest, SumsUpAStorm) {
  const auto storm = lines([&] {
    for (int i = 0; i < 10'000; ++i)
      chronicle->publish({failed(i % 4 == 0 ? "small" : "big", model::Reason::maxAttempts)});
    chronicle->publish({failed("big", model::Reason::poison)});
    chronicle->sum_up();
  });
  ASSERT_EQ(storm.size(), 20u);
  EXPECT_EQ(text(storm[0], "message"), "job failed for good");
  EXPECT_EQ(text(storm[0], "tenant"), "small");
  EXPECT_EQ(text(storm[0], "reason"), "maxAttempts");
  EXPECT_EQ(text(storm[0], "job"), Uuid({7, 7}).str());
  clock.advance(60'000);
  const auto sum = lines([&] { chronicle->sum_up(), chronicle->sum_up(); });
  ASSERT_EQ(sum.size(), 1u);
  EXPECT_EQ(text(sum[0], "message"), "more jobs failed for good");
  EXPECT_EQ(sum[0].at("jobs").get_int64(), 9'981);
  EXPECT_EQ(sum[0].at("maxAttempts").get_int64(), 9'980);
  EXPECT_EQ(sum[0].at("poison").get_int64(), 1);
  EXPECT_EQ(sum[0].at("seconds").get_int64(), 60);
  EXPECT_EQ(text(sum[0], "mostOfTenant"), "big");
  EXPECT_EQ(lines([&] { chronicle->publish({failed("big", model::Reason::poison)}); }).size(), 1u)
      << "a minute later there is room";
}

TEST_F(ChronicleTest, SaysTheRestAtTheEnd) {
  for (int i = 0; i < 21; ++i) chronicle->publish({failed("big", model::Reason::poison)});
  EXPECT_EQ(lines([&] { chronicle->sum_up_all(), chronicle->sum_up_all(); }).size(), 1u);
}

}  // namespace
}  // namespace geres::hub::events
