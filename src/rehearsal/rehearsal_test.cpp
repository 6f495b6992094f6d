// SPDX-License-Identifier: Apache-2.0
#include "rehearsal/rehearsal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "scaler/policies.h"

namespace geres::rehearsal {
namespace {

constexpr Millis kBegin = 1'800'000'000'000;
constexpr Millis kMinute = 60'000, kHour = 60 * kMinute;

class BuiltIn final : public scaler::Decider {
 public:
  explicit BuiltIn(std::unique_ptr<policy::Policy> policy) : policy_(std::move(policy)) {}
  Result<policy::Wanted> decide(const policy::Load& load) override { return policy_->decide(load); }

 private:
  std::unique_ptr<policy::Policy> policy_;
};

class RehearsalTest : public ::testing::Test {
 protected:
  RehearsalTest() {
    settings_.pool.name = "cpu";
    settings_.pool.policy = "messageWaitingTime";
    settings_.pool.what.slots = 4;
    settings_.pool.limits.maximum = 20;
    settings_.make_decider = [](const scaler::Pool& pool) -> Result<std::unique_ptr<scaler::Decider>> {
      auto made = scaler::make_policy(pool.policy, pool.policy_settings);
      if (!made) return made.error();
      return std::unique_ptr<scaler::Decider>(std::make_unique<BuiltIn>(std::move(*made)));
    };
  }

  void burst(Millis at, int n, Millis length, const std::string& tenant = "default") {
    for (int i = 0; i < n; ++i) settings_.jobs.push_back({kBegin + at, length, 1, tenant, "job"});
    std::stable_sort(settings_.jobs.begin(), settings_.jobs.end(),
                     [](const Job& a, const Job& b) { return a.ready < b.ready; });
  }

  Settings settings_;
};

TEST_F(RehearsalTest, GrowsWithTheWorkAndShrinksToNothing) {
  burst(0, 1'000, 30'000);
  settings_.price = 1;
  const auto report = rehearse(settings_);
  EXPECT_EQ(report.ended, 1'000);
  EXPECT_EQ(report.hosts_most, 20);
  EXPECT_EQ(report.ordered, 20) << "none is replaced";
  // 1,000 jobs of 30 s on 80 slots.
  EXPECT_GE(report.to - report.from, 375'000);
  EXPECT_LE(report.to - report.from, 375'000 + 3 * kMinute);
  EXPECT_GE(report.ready_seconds * 4, 30'000) << "no more work than there was time";
  EXPECT_NEAR(report.cost, (report.ready_seconds + report.booting_seconds) / 3'600, 0.01);
  ASSERT_EQ(report.waits.size(), 1u);
  EXPECT_LE(report.waits[0].p50, report.waits[0].p95);
  EXPECT_LE(report.waits[0].p95, report.waits[0].most);
  EXPECT_GE(report.waits[0].most, 35'000) << "nobody starts before a host is up";
}

TEST_F(RehearsalTest, IsTheSameEachTime) {
  burst(0, 300, 20'000);
  burst(10 * kMinute, 200, 40'000, "other");
  settings_.provider_fails = 0.2;
  const auto one = rehearse(settings_), two = rehearse(settings_);
  EXPECT_EQ(chart(one, "x"), chart(two, "x"));
  EXPECT_EQ(one.ready_seconds, two.ready_seconds);
  settings_.seed = 2;
  EXPECT_NE(rehearse(settings_).ready_seconds, one.ready_seconds);
}

TEST_F(RehearsalTest, SharesBetweenTenantsAsTheHubDoes) {
  settings_.pool.limits.minimum = settings_.pool.limits.maximum = 1;
  burst(0, 4'000, 10'000, "big");
  burst(kHour / 2, 10, 10'000, "small");
  const auto report = rehearse(settings_);
  ASSERT_EQ(report.waits.size(), 3u);
  EXPECT_EQ(report.waits[1].tenant, "big");
  EXPECT_EQ(report.waits[2].jobs, 10);
  EXPECT_LE(report.waits[2].most, kMinute) << "ten small ones do not wait for four thousand";
  EXPECT_GE(report.waits[1].p95, kHour);
}

TEST_F(RehearsalTest, FewerHostsCostLessAndMakeJobsWait) {
  for (int i = 0; i < 12; ++i) burst(i * 10 * kMinute, 200, 60'000);
  settings_.pool.policy = "messageCount";
  const auto at_once = rehearse(settings_);
  settings_.pool.policy = "messageWaitingTime";
  settings_.pool.policy_settings = {{"wait", "5m"}};
  const auto patient = rehearse(settings_);
  EXPECT_LT(patient.ready_seconds, at_once.ready_seconds);
  EXPECT_GT(patient.waits[0].p95, at_once.waits[0].p95);
  EXPECT_LT(patient.hosts_most, at_once.hosts_most);
}

TEST_F(RehearsalTest, HoldsToAQuotaAndCountsWhatIsLate) {
  burst(0, 400, 60'000);
  settings_.quota = 3;
  settings_.within = 10 * kMinute;
  const auto report = rehearse(settings_);
  EXPECT_EQ(report.hosts_most, 3);
  EXPECT_GT(report.refused, 0);
  EXPECT_EQ(report.ended, 400);
  EXPECT_GT(report.late, 200);
  EXPECT_LT(report.late, 400);
}

TEST_F(RehearsalTest, GivesUpOnWhatNobodyCanRun) {
  settings_.jobs.push_back({kBegin, 1'000, 8, "default", "job"});
  const auto report = rehearse(settings_);
  EXPECT_EQ(report.ended, 0);
  EXPECT_EQ(report.hosts_most, 0) << "no host is ordered for it";
}

TEST_F(RehearsalTest, AMillionJobsTakeLessThanAMinute) {
  std::mt19937 chance(7);
  std::exponential_distribution<double> pause(28), length(1.0 / 20);
  double at = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    at += pause(chance) * (i / 50'000 % 2 == 0 ? 1 : 4);  // busy and quiet hours
    settings_.jobs.push_back({kBegin + Millis(at * 1'000), 1'000 + Millis(length(chance) * 1'000), 1,
                              "tenant" + std::to_string(chance() % 50), "job"});
  }
  settings_.pool.limits.maximum = 200;
  const auto began = std::chrono::steady_clock::now();
  const auto report = rehearse(settings_);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  EXPECT_EQ(report.ended, 1'000'000);
  EXPECT_LT(took.count(), 60) << "seconds";
  RecordProperty("seconds", std::to_string(took.count()));
  std::printf("1,000,000 jobs over %.1f h, at most %lld hosts: %.1f s\n", double(report.to - report.from) / 3.6e6,
              static_cast<long long>(report.hosts_most), took.count());
}

TEST_F(RehearsalTest, ThePictureIsSmall) {
  burst(0, 1'000, 30'000);
  burst(kHour, 500, 30'000);
  const auto svg = chart(rehearse(settings_), "two bursts & <more>");
  EXPECT_LT(svg.size(), 12'000u);
  EXPECT_THAT(svg, ::testing::HasSubstr("two bursts &amp; &lt;more>"));
  EXPECT_THAT(svg, ::testing::EndsWith("</svg>\n"));
}

}  // namespace
}  // namespace geres::rehearsal
