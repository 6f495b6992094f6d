// SPDX-License-Identifier: Apache-2.0
#include "hub/events/last_hour.h"

#include <gtest/gtest.h>

namespace geres::hub::events {
namespace {

constexpr Millis kNow = 1'800'000'000'000;

store::EventRow event(store::EventType type, Millis at, const std::string& tenant = "acme") {
  store::EventRow row;
  row.type = type, row.at = at, row.tenant = tenant;
  return row;
}

bool everybody(const std::string&) {
  return true;
}

TEST(LastHour, CountsEndsOfTheLastHourByTenant) {
  using enum store::EventType;
  LastHour hour;
  hour.seed({{"acme", model::JobState::finished, kNow / 60'000 - 59, 7},
             {"acme", model::JobState::finished, kNow / 60'000 - 61, 100}});
  hour.publish({event(job_started, kNow), event(job_finished, kNow), event(job_failed, kNow, "other"),
                event(job_cancelled, kNow)});
  auto all = hour.counts(kNow, everybody);
  EXPECT_EQ(all.finished, 8);
  EXPECT_EQ(all.failed, 1);
  EXPECT_EQ(all.cancelled, 1);
  EXPECT_EQ(hour.counts(kNow, [](const std::string& tenant) { return tenant == "other"; }).finished, 0);
  EXPECT_EQ(hour.counts(kNow + 30 * 60'000, everybody).finished, 1);
  EXPECT_EQ(hour.counts(kNow + 3'660'000, everybody).finished, 0);
}

TEST(LastHour, ForgetsAlsoWhenNobodyAsks) {
  using enum store::EventType;
  LastHour hour;
  hour.publish({event(job_finished, kNow)});
  hour.publish({event(job_finished, kNow + 7'200'000)});
  EXPECT_EQ(hour.counts(kNow, everybody).finished, 1) << "the first is gone, however early one asks";
}

}  // namespace
}  // namespace geres::hub::events
