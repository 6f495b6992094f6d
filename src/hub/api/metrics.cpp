// SPDX-License-Identifier: Apache-2.0
#include "hub/api/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>
#include <shared_mutex>
#include <tuple>

#include "model/job_transitions.h"

namespace geres::hub::api {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily figure(const char* name, const char* help, MetricType type, double value) {
  MetricFamily family{name, help, type, {}};
  ClientMetric metric;
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  family.metric.push_back(std::move(metric));
  return family;
}

void add_engine(std::vector<MetricFamily>& to, const engine::Stats& stats) {
  const auto counter = [&to](const char* name, const char* help, std::int64_t value) {
    to.push_back(figure(name, help, MetricType::Counter, double(value)));
  };
  const auto gauge = [&to](const char* name, const char* help, std::int64_t value) {
    to.push_back(figure(name, help, MetricType::Gauge, double(value)));
  };
  counter("geres_engine_ticks_total", "Rounds of the engine", stats.ticks);
  counter("geres_engine_commits_total", "Transactions committed", stats.commits);
  counter("geres_engine_commands_total", "Commands done", stats.commands);
  counter("geres_engine_refused_ticks_total", "Rounds that were rolled back", stats.refused_ticks);
  counter("geres_engine_undone_commands_total", "Refused commands that had changed something, undone", stats.undone);
  counter("geres_leases_granted_total", "Leases granted", stats.granted);
  counter("geres_leases_expired_total", "Leases that ran out", stats.expired);
  counter("geres_jobs_submitted_total", "Jobs handed in", stats.jobs_submitted);
  counter("geres_jobs_finished_total", "Jobs that finished", stats.jobs_finished);
  counter("geres_jobs_failed_total", "Jobs that failed for good", stats.jobs_failed);
  counter("geres_jobs_cancelled_total", "Jobs that were cancelled", stats.jobs_cancelled);
  counter("geres_jobs_retried_total", "Attempts that are to be tried again", stats.retried);
  to.push_back(figure("geres_commit_seconds_total", "Time spent in commits", MetricType::Counter,
                      double(stats.commit_micros) / 1'000'000));
  gauge("geres_engine_queue_length", "Commands waiting", stats.queue_length);
  gauge("geres_leases", "Leases held now", stats.leases);
  gauge("geres_lanes", "Lanes in the scheduler", stats.lanes);
  gauge("geres_hosts_alive", "Hosts that report", stats.hosts_alive);
  MetricFamily hosts{"geres_hosts", "Hosts by state; only those that are well get jobs", MetricType::Gauge, {}};
  for (const auto& [state, n] : {std::pair("well", &stats.hosts_well), std::pair("resting", &stats.hosts_resting),
                                 std::pair("unfit", &stats.hosts_unfit), std::pair("lost", &stats.hosts_lost)}) {
    ClientMetric metric;
    metric.label = {{"state", state}};
    metric.gauge.value = double(*n);
    hosts.metric.push_back(std::move(metric));
  }
  to.push_back(std::move(hosts));
}

void add_webhooks(std::vector<MetricFamily>& to, const webhooks::Figures& figures) {
  const auto add = [&to](const char* name, const char* help, MetricType type, std::int64_t value) {
    to.push_back(figure(name, help, type, double(value)));
  };
  add("geres_webhook_delivered_total", "Events that arrived", MetricType::Counter, figures.delivered);
  add("geres_webhook_failed_total", "Calls in vain", MetricType::Counter, figures.failed);
  add("geres_webhook_dead_total", "Events that became dead letters", MetricType::Counter, figures.dead);
  add("geres_webhook_pending", "Events that are to be told again", MetricType::Gauge, figures.pending);
  add("geres_webhook_in_flight", "Calls under way", MetricType::Gauge, figures.in_flight);
}

void add_amqp(std::vector<MetricFamily>& to, const amqp::Publisher& publisher) {
  const auto add = [&to](const char* name, const char* help, MetricType type, std::int64_t value) {
    to.push_back(figure(name, help, type, double(value)));
  };
  const auto& figures = publisher.figures();
  const auto now = publisher.status();
  add("geres_amqp_sent_total", "Messages sent, repeats included", MetricType::Counter, figures.sent);
  add("geres_amqp_accepted_total", "Messages that the broker accepted", MetricType::Counter, figures.accepted);
  add("geres_amqp_refused_total", "Messages that it rejected or gave back", MetricType::Counter, figures.refused);
  add("geres_amqp_left_out_total", "Events left out after --amqp-tries", MetricType::Counter, figures.left_out);
  add("geres_amqp_gaps_total", "Gaps told", MetricType::Counter, figures.gaps);
  add("geres_amqp_connections_total", "Connections made", MetricType::Counter, figures.connections);
  add("geres_amqp_connected", "1: the address can be sent to", MetricType::Gauge, now.connected ? 1 : 0);
  add("geres_amqp_events_behind", "Events that the broker has not accepted yet", MetricType::Gauge, now.behind);
}

MetricFamily jobs_by_state(const store::Totals& totals) {
  MetricFamily family{"geres_jobs", "Jobs kept, by tenant and state", MetricType::Gauge, {}};
  for (const auto& [tenant, counts] : totals.by_tenant) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      ClientMetric metric;
      metric.label = {{"tenant", tenant}, {"state", std::string(model::state_name(model::JobState(i)))}};
      metric.gauge.value = double(counts[i]);
      family.metric.push_back(std::move(metric));
    }
  }
  return family;
}

}  // namespace

struct Metrics::Series {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests =
      prometheus::BuildCounter().Name("geres_http_requests_total").Help("HTTP calls answered").Register(registry);
  prometheus::Family<prometheus::Histogram>& seconds = prometheus::BuildHistogram()
                                                           .Name("geres_http_request_seconds")
                                                           .Help("From request to answer, long polls included")
                                                           .Register(registry);
  // Looking a label set up hashes and locks: once per route and status is enough.
  struct Pair {
    prometheus::Counter* counter;
    prometheus::Histogram* histogram;
  };
  std::shared_mutex mutex;
  std::map<std::tuple<std::string, std::string, unsigned>, Pair, std::less<>> known;

  Pair find(std::string_view method, std::string_view route, unsigned status) {
    const std::tuple<std::string_view, std::string_view, unsigned> key(method, route, status);
    {
      const std::shared_lock lock(mutex);
      if (const auto found = known.find(key); found != known.end()) return found->second;
    }
    const std::unique_lock lock(mutex);
    const std::string m(method), r(route);
    const Pair pair{&requests.Add({{"method", m}, {"route", r}, {"status", std::to_string(status)}}),
                    &seconds.Add({{"method", m}, {"route", r}},
                                 prometheus::Histogram::BucketBoundaries{0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60})};
    known.emplace(std::tuple(m, r, status), pair);
    return pair;
  }
};

Metrics::Metrics() : series_(std::make_unique<Series>()) {}
Metrics::~Metrics() = default;

void Metrics::answered(std::string_view method, std::string_view route, unsigned status, double seconds) {
  const auto series = series_->find(method, route.empty() ? "none" : route, status);
  series.counter->Increment();
  series.histogram->Observe(seconds);
}

std::string Metrics::text(const Now& now) const {
  std::vector<MetricFamily> families;
  if (now.stats != nullptr) {
    families = series_->registry.Collect();
    add_engine(families, *now.stats);
    if (now.webhooks != nullptr) add_webhooks(families, *now.webhooks);
    if (now.publisher != nullptr) add_amqp(families, *now.publisher);
    families.push_back(figure("geres_worker_queue_length", "File and database reads waiting for a thread",
                              MetricType::Gauge, double(now.waiting_readers)));
    families.push_back(
        figure("geres_followers", "Long polls and log followers", MetricType::Gauge, double(now.followers)));
    families.push_back(
        figure("geres_store_bytes", "Size of the store on disk", MetricType::Gauge, double(now.store_bytes)));
  }
  families.push_back(jobs_by_state(now.totals));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace geres::hub::api
