// SPDX-License-Identifier: Apache-2.0
// What each policy wants, and what must hold for all of them whatever the load.
#include "scaler/policies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "scaler/pool.h"

namespace geres::scaler {
namespace {

using policy::Load;
using ::testing::HasSubstr;

std::unique_ptr<policy::Policy> made(std::string_view name, std::string_view settings = "{}") {
  return std::move(make_policy(name, json::parse(settings).value().as_object()).value());
}

Load load(std::int64_t waiting, std::int64_t running, std::int64_t ready = 0) {
  Load load;
  load.now = parse_time("2026-11-30T10:00:00Z").value();
  load.pool = {"cpu", 4, 0, 0, 20, 10'000};
  load.demand.runnable = {waiting, waiting, (waiting + 3) / 4};
  load.demand.running = {running, running, 20, 60};
  load.demand.seconds_per_job = 30, load.demand.seconds_per_job_of = 100;
  load.hosts.ready = ready;
  return load;
}

TEST(MessageCount, HasASlotForEachJob) {
  const auto policy = made("messageCount");
  EXPECT_EQ(policy->decide(load(0, 0)).hosts, 0);
  EXPECT_EQ(policy->decide(load(1, 0)).hosts, 1);
  EXPECT_EQ(policy->decide(load(8, 1)).hosts, 3);
  EXPECT_EQ(made("messageCount", R"({"jobsPerHost": 100})")->decide(load(101, 0)).hosts, 2);
}

TEST(MessageWaitingTime, HasAsFewAsKeepTheWait) {
  const auto policy = made("messageWaitingTime", R"({"wait": "60s"})");
  EXPECT_EQ(policy->decide(load(0, 0)).hosts, 0);
  EXPECT_EQ(policy->decide(load(0, 8, 2)).hosts, 2) << "what runs keeps its hosts";
  // 16 jobs of 30 s are 480 slot seconds; two hosts do 480 in a minute.
  EXPECT_EQ(policy->decide(load(16, 0, 2)).hosts, 2);
  // Without any host, each has 50 s of the minute: 480 / 200.
  EXPECT_EQ(policy->decide(load(16, 0, 0)).hosts, 3);
  EXPECT_EQ(policy->decide(load(100'000, 0, 0)).hosts, 15'000) << "whatever the maximum is";
}

TEST(MessageWaitingTime, AddsAHostWhileTheOldestWaitsTooLong) {
  const auto policy = made("messageWaitingTime", R"({"wait": "60s"})");
  auto late = load(1, 8, 2);
  EXPECT_EQ(policy->decide(late).hosts, 2);
  late.demand.oldest_wait = 60'001;
  EXPECT_EQ(policy->decide(late).hosts, 3);
  late.demand.runnable = {};
  EXPECT_EQ(policy->decide(late).hosts, 2);
}

TEST(MessageWaitingTime, SaysForHowLongInTheTwoLargestUnits) {
  for (const auto& [wait, words] : {std::pair<Millis, const char*>{219'500, "the oldest 3m39s of"},
                                    {999, "the oldest 0s of"},
                                    {59'999, "the oldest 59s of"},
                                    {3'600'000, "the oldest 1h of"},
                                    {90'061'000, "the oldest 1d1h of"}}) {
    auto waiting = load(4, 0);
    waiting.demand.oldest_wait = wait;
    EXPECT_THAT(made("messageWaitingTime")->decide(waiting).reason, HasSubstr(words));
  }
}

TEST(MessageWaitingTime, SaysThatItAssumedADuration) {
  auto fresh = load(4, 0);
  fresh.demand.seconds_per_job_of = 4;
  EXPECT_THAT(made("messageWaitingTime")->decide(fresh).reason, HasSubstr("60 s a job assumed"));
  EXPECT_THAT(made("messageWaitingTime")->decide(load(4, 0)).reason, Not(HasSubstr("assumed")));
}

TEST(Deadline, SpreadsTheWorkOverTheTimeThatIsLeft) {
  const auto policy = made("deadline", R"({"finishWithin": "1h"})");
  EXPECT_EQ(policy->decide(load(0, 0)).hosts, 0);
  // 4000 jobs of 30 s in 3590 s: 120000 / 3590 / 4
  EXPECT_EQ(policy->decide(load(4'000, 0)).hosts, 9);
  auto old = load(4'000, 0);
  old.demand.oldest_wait = 1'800'000;
  EXPECT_EQ(policy->decide(old).hosts, 17);
}

TEST(Deadline, SaysWhenItCannotBeMet) {
  const auto policy = made("deadline", R"({"finishWithin": "10m"})");
  const auto wanted = policy->decide(load(40'000, 0));
  EXPECT_EQ(wanted.hosts, 20);
  EXPECT_THAT(wanted.reason, HasSubstr("cannot be met: would end at 14:10 UTC"));
  auto late = load(1, 0);
  late.demand.oldest_wait = 3'600'000;
  EXPECT_EQ(policy->decide(late).hosts, 1) << "one late job does not want all hosts";
}

TEST(Fixed, FollowsTheClockOfAPlace) {
  const auto policy = made("fixed", R"({"otherwise": 1, "timeZone": "Europe/Berlin", "windows": [
      {"cron": "0 8 * * mon-fri", "for": "10h", "hosts": 5}, {"cron": "0 9 * * *", "for": "1h", "hosts": 3},
      {"cron": "30 23 * * mon", "for": "2h", "hosts": 7, "timeZone": "UTC"}]})");
  const auto at = [&](const char* time) {
    Load asked;
    asked.now = parse_time(time).value();
    return policy->decide(asked).hosts;
  };
  EXPECT_EQ(at("2026-11-30T06:59:59.999Z"), 1);
  EXPECT_EQ(at("2026-11-30T07:00:00Z"), 5) << "eight in Berlin, in winter";
  EXPECT_EQ(at("2026-11-30T08:30:00Z"), 5) << "the largest of the open ones";
  EXPECT_EQ(at("2026-11-30T16:59:59Z"), 5);
  EXPECT_EQ(at("2026-11-30T17:00:00Z"), 1);
  EXPECT_EQ(at("2026-11-29T08:30:00Z"), 3) << "a Sunday";
  EXPECT_EQ(at("2026-07-06T06:00:00Z"), 5) << "in summer";
  EXPECT_EQ(at("2026-12-01T01:15:00Z"), 7) << "opened the day before";
}

TEST(Policies, RefuseSettingsThatMakeNoSense) {
  const auto field = [](std::string_view name, std::string_view settings) {
    const auto made = make_policy(name, json::parse(settings).value().as_object());
    return made ? std::string("fine") : made.error().field;
  };
  EXPECT_EQ(field("messageCount", R"({"jobsPerHost": 0})"), "/jobsPerHost");
  EXPECT_EQ(field("messageWaitingTime", R"({"wait": "soon"})"), "/wait");
  EXPECT_EQ(field("deadline", "{}"), "/finishWithin");
  EXPECT_EQ(field("fixed", R"({"windows": [{"cron": "0 8 * *", "for": "1h", "hosts": 1}]})"), "/windows/0/cron");
  EXPECT_EQ(field("fixed", R"({"windows": [{"cron": "0 8 * * *", "hosts": 1}]})"), "/windows/0/for");
  EXPECT_EQ(field("fixed", R"({"windows": [{"cron": "0 8 * * *", "for": "1h"}]})"), "/windows/0/hosts");
  EXPECT_EQ(field("fixed", R"({"windows": [{"cron": "0 8 * * *", "for": "1h", "hosts": 1, "timeZone": "Moon"}]})"),
            "/windows/0/timeZone");
  EXPECT_EQ(field("fixed", R"({"windows": 5})"), "/windows");
  EXPECT_EQ(field("guess", "{}"), "/name");
}

// ---- whatever the load ----------------------------------------------------------------------------------------------

Load any_load() {
  using rc::gen::inRange;
  Load any = load(*inRange<std::int64_t>(0, 5'000), *inRange<std::int64_t>(0, 400), *inRange<std::int64_t>(0, 100));
  any.pool.slots = *inRange<std::int64_t>(1, 64);
  any.pool.maximum = *inRange<std::int64_t>(0, 200);
  any.pool.boot = *inRange<Millis>(0, 600'000);
  any.demand.oldest_wait = *inRange<Millis>(0, 7'200'000);
  any.demand.seconds_per_job = double(*inRange<int>(0, 1'000'000)) / 100;
  any.demand.seconds_per_job_of = *inRange<int>(0, 10);
  any.demand.running.rest_mean_seconds = *inRange<int>(0, 3'600);
  return any;
}

TEST(Policies, WantMoreForMoreDemandAndNeverLessThanNothing) {
  for (const auto& [name, settings] :
       std::initializer_list<std::pair<const char*, const char*>>{{"messageCount", "{}"},
                                                                  {"messageCount", R"({"jobsPerHost": 7})"},
                                                                  {"messageWaitingTime", R"({"wait": "20s"})"},
                                                                  {"messageWaitingTime", R"({"wait": "10m"})"},
                                                                  {"deadline", R"({"finishWithin": "30m"})"},
                                                                  {"fixed", R"({"hosts": 3})"}}) {
    const auto policy = made(name, settings);
    EXPECT_TRUE(rc::check(std::string(name) + settings, [&] {
      const auto less = any_load();
      auto more = less;
      more.demand.runnable.jobs += *rc::gen::inRange(0, 500);
      more.demand.runnable.slots += *rc::gen::inRange(0, 500);
      more.demand.running.slots += *rc::gen::inRange(0, 50);
      more.demand.oldest_wait += *rc::gen::inRange(0, 1'000'000);
      const auto few = policy->decide(less), many = policy->decide(more);
      RC_ASSERT(few.hosts >= 0);
      RC_ASSERT(few.hosts <= kHostsMax);
      RC_ASSERT(many.hosts >= few.hosts);
      RC_ASSERT(few.reason.size() <= 200u);
      RC_ASSERT(policy->decide(less).hosts == few.hosts);
    }));
  }
}

TEST(Load, IsTheSameAfterItWasWrittenAndRead) {
  EXPECT_TRUE(rc::check([] {
    auto written = any_load();
    written.past.push_back({written.now - 5, written.demand, {1, 2, 3, 4, 5, 6}, 7});
    written.demand.dedicated_hosts = *rc::gen::inRange(0, 3);
    const auto text = policy::write_load(written).write();
    RC_ASSERT(policy::write_load(policy::read_load(policy::Json::parse(text))).write() == text);
  }));
}

TEST(Json, ReadsWhatOthersWriteAndRefusesTheRest) {
  using policy::Json;
  const auto read = Json::parse(R"( {"a": [1, -2.5, 1e3, true, null, "x\u00e9\ud83d\ude00\n\"\\"], "b": {}} )");
  EXPECT_EQ(read["a"].items()[0].integer(), 1);
  EXPECT_EQ(read["a"].items()[1].real(), -2.5);
  EXPECT_FALSE(read["a"].items()[1].whole());
  EXPECT_FALSE(read["a"].items()[2].whole()) << "written as a number with an exponent";
  EXPECT_EQ(read["a"].items()[5].text(), "x\xc3\xa9\xf0\x9f\x98\x80\n\"\\");
  EXPECT_EQ(Json::parse(read.write()).write(), read.write());
  for (const char* bad :
       {"", "{", "[1", "{\"a\"}", "\"a", "nul", "NaN", "1 2", "-", "[1,]", "\"\\ud800\"", "\"\\x\"", "1e999", "+1"})
    EXPECT_THROW(Json::parse(bad), std::invalid_argument) << bad;
  EXPECT_THROW(Json::parse(std::string(100'000, '[')), std::invalid_argument);
}

}  // namespace
}  // namespace geres::scaler
