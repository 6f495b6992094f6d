// SPDX-License-Identifier: Apache-2.0
// Cron expressions, and local times where clocks are put forward and back.
#include <gtest/gtest.h>

#include "calendar/cron.h"
#include "calendar/time_zone.h"

namespace geres::calendar {
namespace {

using namespace std::chrono;

Cron cron(std::string_view text) {
  return Cron::parse(text).value();
}

LocalSeconds at(int y, unsigned m, unsigned d, int hour, int minute) {
  return sys_days(year(y) / month(m) / day(d)) + hours(hour) + minutes(minute);
}

TEST(Cron, ReadsListsRangesStepsAndNames) {
  const auto every = cron("*/15 8-17 * * *");
  EXPECT_EQ(every.minutes().count(), 4u);
  EXPECT_TRUE(every.minutes()[45]);
  EXPECT_EQ(every.hours().count(), 10u);
  EXPECT_EQ(cron("5,10-12,50/5 0 * * *").minutes().count(), 6u);  // 5, 10, 11, 12, 50, 55
  const auto working = cron("0 8 * * MON-fri");
  EXPECT_TRUE(working.has_date(year(2026) / 11 / 30));   // Monday
  EXPECT_FALSE(working.has_date(year(2026) / 11 / 29));  // Sunday
  EXPECT_TRUE(cron("0 0 * * 7").has_date(year(2026) / 11 / 29));
  EXPECT_TRUE(cron("0 0 * * 0").has_date(year(2026) / 11 / 29));
  EXPECT_TRUE(cron("0 0 * feb *").has_date(year(2026) / 2 / 1));
  EXPECT_FALSE(cron("0 0 * feb *").has_date(year(2026) / 3 / 1));
}

TEST(Cron, TakesEitherDayWhereBothAreRestricted) {
  const auto either = cron("0 0 13 * fri");
  EXPECT_TRUE(either.has_date(year(2026) / 11 / 13));  // a Friday
  EXPECT_TRUE(either.has_date(year(2026) / 11 / 20));  // another
  EXPECT_TRUE(either.has_date(year(2026) / 12 / 13));  // a Sunday
  EXPECT_FALSE(either.has_date(year(2026) / 12 / 14));
}

TEST(Cron, RefusesTheRestAndSaysWhich) {
  for (const char* bad : {"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
                          "* * * * 8", "5-1 * * * *", "*/0 * * * *", "1,,2 * * * *", "a * * * *", "* * L * *",
                          "-1 * * * *", "1- * * * *", "*/x * * * *", "99999999999 * * * *"}) {
    const auto read = Cron::parse(bad);
    EXPECT_FALSE(read) << bad;
    if (!read) {
      EXPECT_FALSE(read.error().hint.empty());
    }
  }
}

TEST(TimeZone, KnowsTheSystemsPlaces) {
  EXPECT_TRUE(TimeZone::find("UTC"));
  EXPECT_FALSE(TimeZone::find("Europe/Atlantis"));
  EXPECT_FALSE(TimeZone::find(""));
  const auto berlin = TimeZone::find("Europe/Berlin").value();
  EXPECT_EQ(berlin.local(parse_time("2026-07-01T10:00:00.900Z").value()), at(2026, 7, 1, 12, 0));
  EXPECT_EQ(format_time(berlin.moment(at(2026, 7, 1, 12, 0))), "2026-07-01T10:00:00.000Z");
}

TEST(TimeZone, LeftOutTimesAreTheChangeAndDoubleOnesTheFirst) {
  const auto berlin = TimeZone::find("Europe/Berlin").value();
  EXPECT_EQ(format_time(berlin.moment(at(2026, 3, 29, 2, 30))), "2026-03-29T01:00:00.000Z");
  EXPECT_EQ(format_time(berlin.moment(at(2026, 10, 25, 2, 30))), "2026-10-25T00:30:00.000Z");
}

}  // namespace
}  // namespace geres::calendar
