// SPDX-License-Identifier: Apache-2.0
// The page of figures stays small and well formed, whatever tenants there are and whatever is called.
#include "hub/api/metrics.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>

namespace geres::hub::api {
namespace {

std::vector<std::string> series(const std::string& page) {
  std::vector<std::string> found;
  std::istringstream text(page);
  for (std::string line; std::getline(text, line);)
    if (!line.starts_with('#')) found.push_back(line.substr(0, line.rfind(' ')));
  return found;
}

bool has(const std::string& page, const std::string& line) {
  return page.find("\n" + line + "\n") != std::string::npos || page.starts_with(line + "\n");
}

class MetricsTest : public testing::Test {
 protected:
  MetricsTest() { now.stats = &stats; }
  void tenant(const std::string& name, std::int64_t ready, std::int64_t finished = 0) {
    auto& counts = now.totals.by_tenant[name];
    counts[std::size_t(model::JobState::ready)] = ready;
    counts[std::size_t(model::JobState::finished)] = finished;
  }

  engine::Stats stats;
  Metrics metrics;
  Metrics::Now now;
};

TEST_F(MetricsTest, StaysBelowTwoThousandSeries) {
  auto fleet = std::make_shared<engine::Snapshot>();
  now.fleet = fleet;
  now.readiness.store = now.readiness.files = packages::Space{1, 2};
  webhooks::Figures figures;
  now.webhooks = &figures;
  for (int i = 0; i < 10'000; ++i) {
    const auto n = std::to_string(i);
    tenant("t" + n, 1 + i % 7, 5);
    stats.outcomes.add({{.what = engine::Observed::What::started, .type = "T" + n, .seconds = 1},
                        {.what = engine::Observed::What::attempt_ended, .type = "T" + n, .seconds = 1}});
    metrics.answered("GET", "/v1/" + n, 200 + unsigned(i % 30), 0.01);
  }
  const auto all = series(metrics.text(now));
  EXPECT_LT(all.size(), 2'000u);
  EXPECT_GT(all.size(), 1'000u) << "this test is about a page that is as full as it gets";
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), all.size()) << "Prometheus refuses a page with a series twice";
}

TEST_F(MetricsTest, ShowsTheTenantsWithTheMostOpenJobsAndTheRest) {
  tenant("big", 100), tenant("done", 0, 1'000), tenant("small", 7), tenant("other", 1), tenant("tiny", 2);
  now.tenants_shown = 2;
  auto page = metrics.text(now);
  EXPECT_TRUE(has(page, R"(geres_jobs{state="ready"} 110)")) << page;
  EXPECT_TRUE(has(page, R"(geres_tenant_jobs{tenant="big",state="ready"} 100)")) << page;
  EXPECT_TRUE(has(page, R"(geres_tenant_jobs{tenant="small",state="ready"} 7)"));
  EXPECT_TRUE(has(page, R"(geres_tenant_jobs{tenant="other",state="ready"} 3)"));
  EXPECT_TRUE(has(page, R"(geres_tenant_jobs{tenant="other",state="finished"} 1000)"));
  EXPECT_EQ(page.find(R"(tenant="tiny")"), std::string::npos);
  now.tenants_shown = 0;
  page = metrics.text(now);
  EXPECT_EQ(page.find("geres_tenant_jobs"), std::string::npos);
  EXPECT_TRUE(has(page, R"(geres_jobs{state="ready"} 110)"));
}

TEST_F(MetricsTest, TellsHowJobsEnded) {
  using What = engine::Observed::What;
  stats.outcomes.add(
      {{.what = What::job_ended, .state = model::JobState::failed, .reason = model::Reason::poison},
       {.what = What::started, .type = "Resize", .seconds = 3},
       {.what = What::started, .type = "Resize", .seconds = 3'600},
       {.what = What::attempt_ended, .type = "Resize", .seconds = 0.02, .outcome = model::Outcome::lost},
       {.what = What::attempt_ended, .type = "Resize", .seconds = -1, .outcome = model::Outcome::released}});
  const auto page = metrics.text(now);
  EXPECT_TRUE(has(page, R"(geres_jobs_ended_total{state="failed",reason="poison"} 1)")) << page;
  EXPECT_TRUE(has(page, R"(geres_jobs_ended_total{state="failed",reason="timeout"} 0)")) << "a rate needs a beginning";
  EXPECT_TRUE(has(page, R"(geres_job_wait_seconds_bucket{type="Resize",le="2"} 0)"));
  EXPECT_TRUE(has(page, R"(geres_job_wait_seconds_bucket{type="Resize",le="10"} 1)"));
  EXPECT_TRUE(has(page, R"(geres_job_wait_seconds_bucket{type="Resize",le="+Inf"} 2)"));
  EXPECT_TRUE(has(page, R"(geres_job_run_seconds_count{type="Resize"} 1)")) << "one never started";
  EXPECT_TRUE(has(page, R"(geres_attempts_ended_total{outcome="lost"} 1)"));
  EXPECT_TRUE(has(page, R"(geres_attempts_ended_total{outcome="released"} 1)"));
}

TEST_F(MetricsTest, CountsCallsAndTimesThoseInWhichNobodyWaits) {
  metrics.answered("GET", "/v1/jobs/{id}", 200, std::nullopt);
  metrics.answered("GET", "/v1/jobs/{id}", 200, 0.003);
  metrics.answered("GET", "", 404, 0.003);
  const auto page = metrics.text(now);
  EXPECT_TRUE(has(page, R"(geres_http_requests_total{method="GET",route="/v1/jobs/{id}",code="200"} 2)")) << page;
  EXPECT_TRUE(has(page, R"(geres_http_requests_total{method="GET",route="none",code="404"} 1)"));
  EXPECT_TRUE(has(page, R"(geres_http_request_duration_seconds_count{method="GET",route="/v1/jobs/{id}"} 1)"));
}

TEST_F(MetricsTest, TellsTenantsOfTheirJobsAlone) {
  tenant("ours", 1);
  now.stats = nullptr;
  for (const auto& one : series(metrics.text(now)))
    EXPECT_TRUE(one.starts_with("geres_jobs{") || one.starts_with("geres_tenant_jobs{") ||
                one == "geres_ready_oldest_age_seconds")
        << one;
}

}  // namespace
}  // namespace geres::hub::api
