// SPDX-License-Identifier: Apache-2.0
// Each step of the planner, what must hold whatever the input, and that a constant load leads to a constant fleet.
#include "scaler/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "scaler/policies.h"

namespace geres::scaler {
namespace {

using ::testing::HasSubstr;

constexpr Millis kNow = 1'800'000'000'000;

PlanInput input(std::int64_t raw, std::int64_t ready, std::int64_t booting = 0) {
  PlanInput in;
  in.load.now = kNow;
  in.load.pool = {"cpu", 4, 0, 0, 20, 60'000};
  in.load.hosts.ready = ready, in.load.hosts.booting = booting;
  in.load.demand.runnable = {1'000, 1'000, 250};
  in.load.demand.running = {4 * ready, 4 * ready, 600, 900};
  in.raw = {raw, "policy"};
  for (Millis back = 400'000; back > 0; back -= 15'000) in.history.push_back({kNow - back, 0});
  return in;
}

TEST(Planner, KeepsWithinTheLimitsAndSaysSo) {
  EXPECT_EQ(plan(input(3, 3)).reason, "policy");
  auto in = input(1'000'000'000, 20);
  EXPECT_EQ(plan(in).wanted, 20);
  EXPECT_EQ(plan(in).reason, "policy; the policy said 1000000000; maximum 20");
  in = input(-5, 0);
  in.limits.minimum = 2;
  EXPECT_EQ(plan(in).wanted, 2);
  EXPECT_EQ(plan(in).reason, "policy; the policy said -5; minimum 2");
}

TEST(Planner, KeepsIdleHostsBesideTheBusy) {
  auto in = input(3, 3);
  in.limits.minimum_idle = 2;
  EXPECT_EQ(plan(in).wanted, 5);
  EXPECT_THAT(plan(in).reason, HasSubstr("2 idle"));
  in = input(5, 5);  // by the clock: all five have nothing to do
  in.load.demand = {};
  in.limits.minimum_idle = 2;
  EXPECT_EQ(plan(in).wanted, 5) << "they are idle already";
}

TEST(Planner, ServesDedicatedBatches) {
  auto in = input(1, 3);
  in.load.hosts.idle = 1;
  in.load.demand.dedicated_hosts = 4;
  EXPECT_EQ(plan(in).wanted, 6) << "two are busy with others";
}

TEST(Planner, OrdersNothingForWorkThatEndsBefore) {
  auto in = input(5, 2);
  in.load.demand.runnable = {10, 10, 3};
  in.load.demand.running = {};
  in.load.demand.seconds_per_job = 10, in.load.demand.seconds_per_job_of = 100;  // 100 s of 480
  EXPECT_EQ(plan(in).wanted, 2);
  EXPECT_THAT(plan(in).reason, HasSubstr("not worth it"));
  in.load.demand.arrivals_per_second_1m = 1;  // 600 s more
  EXPECT_EQ(plan(in).wanted, 5);
  in.load.demand.arrivals_per_second_1m = 0;
  in.limits.minimum = 4;
  EXPECT_EQ(plan(in).wanted, 4);
  in.follows_work = false;
  EXPECT_EQ(plan(in).wanted, 5) << "others may ask ahead of the work";
  in.follows_work = true, in.load.hosts.ready = 0;
  EXPECT_EQ(plan(in).wanted, 4) << "nobody there (a step of 4)";
}

TEST(Planner, ScalesInToTheHighestOfTheWindow) {
  auto in = input(2, 8);
  in.limits.step_in = {100, 0};
  in.history[in.history.size() - 18].raw = 6;  // 4:30 ago
  EXPECT_EQ(plan(in).wanted, 6);
  EXPECT_THAT(plan(in).reason, HasSubstr("highest of 5m"));
  in.history[in.history.size() - 18].raw = 0;
  in.history[in.history.size() - 22].raw = 6;  // 5:30 ago
  EXPECT_EQ(plan(in).wanted, 2);
  in.history.erase(in.history.begin(), in.history.end() - 10);
  EXPECT_EQ(plan(in).wanted, 8) << "nobody looked before";
  EXPECT_THAT(plan(in).reason, HasSubstr("watched for less than 5m"));
  in = input(2, 8);
  in.history.erase(in.history.end() - 12, in.history.end() - 4);
  EXPECT_EQ(plan(in).wanted, 8) << "nobody looked in between";
  in.limits.scale_in_window = 0;
  EXPECT_EQ(plan(in).wanted, 4);
}

TEST(Planner, CoolsDownEachWayByItself) {
  auto in = input(8, 4);
  in.limits.cooldown_out = 30'000;
  in.last_out = kNow - 29'999;
  EXPECT_EQ(plan(in).wanted, 4);
  in.last_out = kNow - 30'000;
  EXPECT_EQ(plan(in).wanted, 8);
  in = input(2, 4);
  in.last_out = in.last_in = kNow - 59'999;
  EXPECT_EQ(plan(in).wanted, 4);
  in.last_in = kNow - 60'000;
  EXPECT_EQ(plan(in).wanted, 2);
}

TEST(Planner, TakesSteps) {
  EXPECT_EQ(plan(input(20, 0)).wanted, 4);
  EXPECT_EQ(plan(input(20, 0, 4)).wanted, 12) << "what boots is there";
  EXPECT_THAT(plan(input(20, 0)).reason, HasSubstr("step out"));
  EXPECT_EQ(plan(input(0, 7)).wanted, 3);
  EXPECT_EQ(plan(input(0, 1)).wanted, 0);
  EXPECT_EQ(read_step(json::value("100%+4")).value(), (Step{100, 4}));
  EXPECT_EQ(read_step(json::value("50%")).value(), (Step{50, 0}));
  EXPECT_EQ(read_step(json::value("3")).value(), (Step{0, 3}));
  EXPECT_EQ(read_step(json::value(3)).value(), (Step{0, 3}));
  for (const auto& bad : {json::value(0), json::value(-1), json::value("0%"), json::value("x"), json::value("5%4"),
                          json::value("5%+"), json::value("-5%"), json::value(""), json::value("%"), json::value(true)})
    EXPECT_FALSE(read_step(bad)) << boost::json::serialize(bad);
}

TEST(Planner, HoldsWhatTheProviderHolds) {
  auto in = input(8, 4);
  in.hold = {true, false, "quota until 14:05"};
  EXPECT_EQ(plan(in).wanted, 4);
  EXPECT_THAT(plan(in).reason, HasSubstr("quota until 14:05"));
  in.raw.hosts = 2;
  EXPECT_EQ(plan(in).wanted, 2) << "a quota holds nobody from leaving";
  in.hold.in = true;
  EXPECT_EQ(plan(in).wanted, 4);
  in = input(8, 4);
  in.paused = true;
  EXPECT_EQ(plan(in).wanted, 4);
}

TEST(Planner, DoesAtOnceWhatIsAskedByHand) {
  auto in = input(20, 4);
  in.by_hand = true;
  EXPECT_EQ(plan(in).wanted, 20);
  in.raw.hosts = 0;
  in.history.clear();
  EXPECT_EQ(plan(in).wanted, 0);
  in.raw.hosts = 500;
  EXPECT_EQ(plan(in).wanted, 20);
}

PlanInput any_input() {
  using rc::gen::inRange;
  auto in = input(*rc::gen::arbitrary<std::int64_t>() >> *inRange(0, 64), *inRange(0, 60), *inRange(0, 20));
  in.limits.maximum = *inRange<std::int64_t>(0, 50);
  in.limits.minimum = std::min<std::int64_t>(in.limits.maximum, *inRange<std::int64_t>(0, 50));
  in.limits.minimum_idle = *inRange<std::int64_t>(0, 10);
  in.load.hosts.idle = *inRange<std::int64_t>(0, in.load.hosts.ready + 1);
  in.load.demand.dedicated_hosts = *inRange<std::int64_t>(0, 10);
  in.load.demand.runnable.slots = *inRange<std::int64_t>(0, 1'000);
  in.load.demand.seconds_per_job = *inRange(0, 100);
  in.load.demand.seconds_per_job_of = *inRange(0, 10);
  in.hold = {*rc::gen::arbitrary<bool>(), *rc::gen::arbitrary<bool>(), "held"};
  in.by_hand = *rc::gen::arbitrary<bool>(), in.follows_work = *rc::gen::arbitrary<bool>();
  for (auto& answered : in.history) answered.raw = *inRange<std::int64_t>(-5, 100);
  in.last_in = kNow - *inRange<Millis>(0, 100'000);
  in.raw.reason = std::string(*inRange<std::size_t>(0, 500), 'x');
  return in;
}

TEST(Planner, NeverGoesBeyondTheMaximum) {
  EXPECT_TRUE(rc::check([] {
    const auto in = any_input();
    const auto made = plan(in);
    RC_ASSERT(made.wanted >= 0);
    RC_ASSERT(made.wanted <= in.limits.maximum);
    RC_ASSERT(made.reason.size() <= kReasonMax);
    if (in.hold.out) RC_ASSERT(made.wanted <= std::max(made.actual, std::int64_t(0)));
  }));
}

TEST(Planner, WantsNoLessForAHigherAnswer) {
  EXPECT_TRUE(rc::check([] {
    auto in = any_input();
    in.raw.hosts = *rc::gen::inRange(-10, 100);
    const auto few = plan(in);
    in.raw.hosts += *rc::gen::inRange(0, 50);
    RC_ASSERT(plan(in).wanted >= few.wanted);
  }));
}

// Hosts boot for a while, then serve a queue to which jobs come at a constant rate. From three windows on, the number
// of hosts does not change for an hour.
void settles(const char* name, const char* settings, double arrivals, double seconds, Millis boot) {
  SCOPED_TRACE(std::string(name) + settings + " at " + std::to_string(arrivals));
  const auto made = make_policy(name, json::parse(settings).value().as_object());
  const auto& policy = made.value();
  PlanInput in;
  in.limits.maximum = 100;
  in.follows_work = follows_work(name);
  in.load.pool = {"cpu", 4, 0, 0, 100, boot};
  std::vector<Millis> up;  // when each host is
  double waiting = 0;
  std::int64_t settled = -1;
  constexpr Millis kFrom = 3 * 300'000, kTo = kFrom + 3'600'000, kEvery = 15'000;
  for (Millis now = 0; now <= kTo; now += kEvery) {
    auto& load = in.load;
    load.now = kNow + now;
    const auto ready = std::count_if(up.begin(), up.end(), [&](Millis at) { return at <= now; });
    // What arrives in an interval, and what the ready hosts can do of it.
    const double done = std::min(waiting + arrivals * 15, double(ready * 4) * 15 / seconds);
    waiting += arrivals * 15 - done;
    const auto running = std::int64_t(std::ceil(done * seconds / 15 - 1e-6));
    load.hosts = {ready, std::max<std::int64_t>(0, ready - (running + 3) / 4), std::int64_t(up.size()) - ready};
    const auto queued = std::int64_t(waiting + 1e-6);
    load.demand.runnable = {queued, queued, (queued + 3) / 4};
    load.demand.running = {running, running, seconds / 2, seconds};
    load.demand.oldest_wait = ready > 0 ? Millis(waiting / (double(ready * 4) / seconds) * 1000) : now;
    load.demand.arrivals_per_second_1m = load.demand.arrivals_per_second_10m = arrivals;
    load.demand.seconds_per_job = seconds, load.demand.seconds_per_job_of = 100;
    in.raw = policy->decide(load);
    const auto made = plan(in);
    in.history.push_back({load.now, in.raw.hosts});
    if (made.wanted > made.actual) in.last_out = load.now;
    if (made.wanted < made.actual) in.last_in = load.now;
    while (std::int64_t(up.size()) < made.wanted) up.push_back(now + boot);
    if (std::int64_t(up.size()) > made.wanted) up.resize(std::size_t(made.wanted));  // the newest leave
    if (now < kFrom) continue;
    if (settled < 0) settled = made.wanted;
    ASSERT_EQ(made.wanted, settled) << "after " << now / 1000 << " s: " << made.reason;
  }
  EXPECT_GE(double(settled * 4), arrivals * seconds - 1e-6) << "and it is enough";
}

TEST(Planner, DoesNotFlapUnderAConstantLoad) {
  for (const double arrivals : {0.1, 0.5, 1.0, 2.0, 5.0}) {
    for (const Millis boot : {2'000, 45'000, 120'000}) {
      settles("messageCount", "{}", arrivals, 20, boot);
      settles("messageWaitingTime", R"({"wait": "30s"})", arrivals, 20, boot);
      settles("deadline", R"({"finishWithin": "10m"})", arrivals, 20, boot);
    }
  }
}

}  // namespace
}  // namespace geres::scaler
