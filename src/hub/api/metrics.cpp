// SPDX-License-Identifier: Apache-2.0
#include "hub/api/metrics.h"

#include <algorithm>
#include <boost/describe/enum_to_string.hpp>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <tuple>

#include "base/histogram.h"
#include "identity/verifier.h"
#include "metrics/page.h"
#include "model/job_transitions.h"

namespace geres::hub::api {
namespace {

using metrics::Labels;
using metrics::MetricFamily;
using metrics::MetricType;
using metrics::Page;

// The number of series for calls is limited: further ones count as the route "other".
constexpr std::size_t kRequestSeries = 300;
constexpr std::size_t kDurationSeries = 40;
constexpr const char* kOther = "other";

template <class E>
std::string name_of(E value) {
  return boost::describe::enum_to_string(value, kOther);
}

void add_engine(Page& page, const engine::Stats& stats) {
  page.counter("geres_engine_ticks_total", "Rounds of the engine", stats.ticks);
  page.counter("geres_engine_commits_total", "Transactions committed", stats.commits);
  page.counter("geres_engine_commands_total", "Commands done", stats.commands);
  page.counter("geres_engine_refused_ticks_total", "Rounds that were rolled back", stats.refused_ticks);
  page.counter("geres_engine_undone_commands_total", "Refused commands that had changed something, undone",
               stats.undone);
  page.histogram("geres_engine_tick_duration_seconds", "Rounds of the engine that wrote something, commit included",
                 stats.round_seconds);
  page.histogram("geres_store_commit_duration_seconds", "Commits of the store, until they are on disk",
                 stats.commit_seconds);
  page.counter("geres_leases_granted_total", "Leases granted", stats.granted);
  page.counter("geres_leases_expired_total", "Leases that ran out", stats.expired);
  page.counter("geres_jobs_submitted_total", "Jobs handed in", stats.jobs_submitted);
  page.counter("geres_jobs_retried_total", "Attempts that are to be tried again", stats.retried);
  page.gauge("geres_engine_queue_length", "Commands waiting", double(stats.queue_length));
  page.gauge("geres_leases", "Leases held now", double(stats.leases));
  page.gauge("geres_lanes", "Lanes in the scheduler", double(stats.lanes));
}

// Outcomes that have not occurred yet are shown as zero, because a rate needs a first value.
void add_outcomes(Page& page, const engine::Outcomes& outcomes) {
  auto counted = outcomes.jobs();
  counted.try_emplace({model::JobState::finished, model::Reason::none}, 0);
  counted.try_emplace({model::JobState::cancelled, model::Reason::none}, 0);
  for (auto reason = int(model::Reason::error); reason <= int(model::Reason::internal); ++reason)
    counted.try_emplace({model::JobState::failed, model::Reason(reason)}, 0);
  MetricFamily jobs{"geres_jobs_ended_total",
                    "Jobs that ended, by state and, of those that failed, the reason",
                    MetricType::Counter,
                    {}};
  for (const auto& [how, n] : counted) {
    const auto& [state, reason] = how;
    const bool has_reason = state == model::JobState::failed;
    Page::add(jobs, {{"state", std::string(model::state_name(state))}, {"reason", has_reason ? name_of(reason) : ""}},
              double(n));
  }
  page.put(std::move(jobs));
  MetricFamily attempts{"geres_attempts_ended_total", "Attempts that ended, by outcome", MetricType::Counter, {}};
  for (auto outcome = 0; outcome <= int(model::Outcome::expired); ++outcome)
    Page::add(attempts, {{"outcome", name_of(model::Outcome(outcome))}},
              double(outcomes.attempts(model::Outcome(outcome))));
  page.put(std::move(attempts));
  MetricFamily wait{"geres_job_wait_seconds", "From ready to started, by type", MetricType::Histogram, {}};
  MetricFamily run{
      "geres_job_run_seconds", "Attempts from their start to their end, by type", MetricType::Histogram, {}};
  outcomes.each_type([&](const std::string& type, const engine::Outcomes::OfType& figures) {
    Page::add(wait, {{"type", type}}, figures.wait);
    Page::add(run, {{"type", type}}, figures.run);
  });
  page.put(std::move(wait));
  page.put(std::move(run));
}

// Counts each host and each slot exactly once.
void add_hosts(Page& page, const engine::Snapshot& fleet, std::int64_t lost_ever) {
  std::map<std::string, std::int64_t> hosts{{"well", 0}, {"resting", 0}, {"unfit", 0}, {"draining", 0}, {"lost", 0}};
  std::map<std::string, std::int64_t> slots{{"busy", 0}, {"free", 0}, {"closed", 0}};
  for (const auto& host : fleet.hosts) {
    const auto& info = *host.info;
    const std::string state = !info.alive                              ? "lost"
                              : info.host.mode != model::HostMode::run ? "draining"
                                                                       : name_of(info.health);
    ++hosts[state];
    if (!info.alive) continue;
    slots["busy"] += info.slots_busy;
    slots[state == "well" ? "free" : "closed"] += std::max(0, info.host.slots - info.slots_busy);
  }
  MetricFamily host_family{"geres_hosts", "Hosts by state; only those that are well get jobs", MetricType::Gauge, {}};
  for (const auto& [state, n] : hosts) Page::add(host_family, {{"state", state}}, double(n));
  page.put(std::move(host_family));
  MetricFamily slot_family{
      "geres_slots", "Slots of hosts that report; closed: idle on a host that gets no jobs now", MetricType::Gauge, {}};
  for (const auto& [state, n] : slots) Page::add(slot_family, {{"state", state}}, double(n));
  page.put(std::move(slot_family));
  page.counter("geres_hosts_lost_total", "Times that a host was lost", lost_ever);
}

// Since the hub's start, and so no series of a pool before its first decision.
void add_scaler(Page& page, const engine::ScalerFigures& figures) {
  MetricFamily wanted{"geres_scaler_wanted", "Hosts wanted of a pool, as decided last", MetricType::Gauge, {}};
  MetricFamily actual{
      "geres_scaler_actual", "Hosts of a pool that there were then, or that came", MetricType::Gauge, {}};
  MetricFamily decisions{"geres_scaler_decisions_total", "Decisions, by outcome", MetricType::Counter, {}};
  MetricFamily failures{
      "geres_scaler_provider_failures_total", "Calls that a provider refused, or that failed", MetricType::Counter, {}};
  MetricFamily boot{
      "geres_scaler_boot_seconds", "From a machine's order until its host joined", MetricType::Histogram, {}};
  figures.each_pool([&](const std::string& pool, const engine::ScalerFigures::OfPool& of) {
    if (!of.decisions.empty()) {
      Page::add(wanted, {{"pool", pool}}, double(of.wanted));
      Page::add(actual, {{"pool", pool}}, double(of.actual));
    }
    for (const auto& [outcome, n] : of.decisions)
      Page::add(decisions, {{"pool", pool}, {"outcome", outcome}}, double(n));
    for (const auto& [why, n] : of.failures) Page::add(failures, {{"pool", pool}, {"why", why}}, double(n));
    Page::add(boot, {{"pool", pool}}, of.boot);
  });
  for (auto* family : {&wanted, &actual, &decisions, &failures, &boot}) page.put(std::move(*family));
}

void add_readiness(Page& page, const Readiness::Now& now) {
  page.gauge("geres_takes_jobs", "1: jobs are taken; 0: GET /readyz says why not", now.takes_jobs ? 1 : 0);
  MetricFamily free{
      "geres_disk_free_bytes", "Free on the disk of the store, and of packages and files", MetricType::Gauge, {}};
  MetricFamily size{"geres_disk_size_bytes", "The size of that disk", MetricType::Gauge, {}};
  for (const auto& [of, space] : {std::pair("store", &now.store), std::pair("files", &now.files)}) {
    if (!*space) continue;
    Page::add(free, {{"of", of}}, double((*space)->free_bytes));
    Page::add(size, {{"of", of}}, double((*space)->total_bytes));
  }
  page.put(std::move(free));
  page.put(std::move(size));
}

// Readers of the event log that pass events on to others, and how far behind they are.
void add_event_lag(Page& page, const webhooks::Figures* webhooks, const amqp::Publisher* publisher) {
  MetricFamily lag{"geres_event_lag",
                   "Events from the oldest one that is to be told to others and is not, to the newest",
                   MetricType::Gauge,
                   {}};
  if (webhooks != nullptr) Page::add(lag, {{"reader", "webhooks"}}, double(webhooks->lag));
  if (publisher != nullptr) Page::add(lag, {{"reader", "amqp"}}, double(publisher->status().behind));
  page.put(std::move(lag));
}

void add_webhooks(Page& page, const webhooks::Figures& figures) {
  page.counter("geres_webhook_delivered_total", "Events that arrived", figures.delivered);
  page.counter("geres_webhook_failed_total", "Calls in vain", figures.failed);
  page.counter("geres_webhook_dead_total", "Events that became dead letters", figures.dead);
  page.gauge("geres_webhook_pending", "Events that are to be told again", double(figures.pending));
  page.gauge("geres_webhook_in_flight", "Calls under way", double(figures.in_flight));
}

void add_amqp(Page& page, const amqp::Publisher& publisher) {
  const auto& figures = publisher.figures();
  const auto now = publisher.status();
  page.counter("geres_amqp_sent_total", "Messages sent, repeats included", figures.sent);
  page.counter("geres_amqp_accepted_total", "Messages that the broker accepted", figures.accepted);
  page.counter("geres_amqp_refused_total", "Messages that it rejected or gave back", figures.refused);
  page.counter("geres_amqp_left_out_total", "Events left out after --amqp-tries", figures.left_out);
  page.counter("geres_amqp_gaps_total", "Gaps told", figures.gaps);
  page.counter("geres_amqp_connections_total", "Connections made", figures.connections);
  page.gauge("geres_amqp_connected", "1: the address can be sent to", now.connected ? 1 : 0);
  page.gauge("geres_amqp_events_behind", "Events that the broker has not accepted yet", double(now.behind));
}

// All outcomes from the start, because a rate needs a first value.
void add_identity(Page& page, const identity::Verifier& verifier) {
  MetricFamily checks{
      "geres_identity_checks_total", "Tokens of identity providers, by outcome", MetricType::Counter, {}};
  for (std::size_t i = 0; i < identity::kOutcomes; ++i)
    Page::add(checks, {{"outcome", std::string(identity::outcome_name(identity::Outcome(i)))}},
              double(verifier.checks(identity::Outcome(i))));
  page.put(std::move(checks));
  page.counter("geres_identity_known_total", "Of the good ones, those that had been checked before",
               verifier.known_again());
  MetricFamily fetches{
      "geres_identity_key_fetches_total", "Fetches of a provider's keys, by outcome", MetricType::Counter, {}};
  for (const auto& provider : verifier.providers())
    for (std::size_t i = 0; i < identity::kFetched; ++i)
      Page::add(fetches, {{"provider", provider->settings().name}, {"outcome", name_of(identity::Fetched(i))}},
                double(provider->fetches(identity::Fetched(i))));
  page.put(std::move(fetches));
}

void add_states(MetricFamily& to, Labels labels, const model::StateCounts& counts) {
  labels.emplace_back("state", "");
  for (std::size_t i = 0; i < counts.size(); ++i) {
    labels.back().second = model::state_name(model::JobState(i));
    Page::add(to, labels, double(counts[i]));
  }
}

std::int64_t open_jobs(const model::StateCounts& counts) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i)
    if (!model::ended(model::JobState(i))) sum += counts[i];
  return sum;
}

// The tenants with the most jobs that have not ended, and one series for all others; a tenant whose name is that of
// this series is counted in it.
void add_jobs(Page& page, const store::Totals& totals, std::size_t shown) {
  model::StateCounts all{};
  std::vector<std::pair<std::int64_t, const std::string*>> order;
  for (const auto& [tenant, counts] : totals.by_tenant) {
    for (std::size_t i = 0; i < counts.size(); ++i) all[i] += counts[i];
    if (tenant != kOther) order.emplace_back(-open_jobs(counts), &tenant);
  }
  MetricFamily jobs{"geres_jobs", "Jobs kept, by state", MetricType::Gauge, {}};
  add_states(jobs, {}, all);
  page.put(std::move(jobs));
  if (shown == 0) return;
  shown = std::min(shown, order.size());
  std::partial_sort(
      order.begin(), order.begin() + std::ptrdiff_t(shown), order.end(),
      [](const auto& a, const auto& b) { return std::tie(a.first, *a.second) < std::tie(b.first, *b.second); });
  MetricFamily of_tenants{"geres_tenant_jobs",
                          "Jobs kept, by tenant and state: of the tenants with the most open jobs, "
                          "and of all others",
                          MetricType::Gauge,
                          {}};
  auto rest = all;
  for (std::size_t n = 0; n < shown; ++n) {
    const auto& counts = totals.by_tenant.at(*order[n].second);
    for (std::size_t i = 0; i < counts.size(); ++i) rest[i] -= counts[i];
    add_states(of_tenants, {{"tenant", *order[n].second}}, counts);
  }
  if (shown < totals.by_tenant.size()) add_states(of_tenants, {{"tenant", kOther}}, rest);
  page.put(std::move(of_tenants));
}

}  // namespace

struct Metrics::Series {
  using Call = std::tuple<std::string, std::string>;  // method, route
  std::shared_mutex mutex;
  std::map<std::tuple<std::string, std::string, unsigned>, std::atomic<std::int64_t>, std::less<>> requests;
  std::map<Call, Histogram, std::less<>> seconds;

  template <class Map, class Key, class Make>
  auto& find(Map& map, const Key& key, Make make) {
    {
      const std::shared_lock lock(mutex);
      if (const auto found = map.find(key); found != map.end()) return found->second;
    }
    const std::unique_lock lock(mutex);
    return make();
  }
};

Metrics::Metrics() : series_(std::make_unique<Series>()) {}
Metrics::~Metrics() = default;

void Metrics::answered(std::string_view method, std::string_view route, unsigned status,
                       std::optional<double> seconds) {
  if (route.empty()) route = "none";
  auto& requests = series_->requests;
  ++series_->find(
      requests, std::tuple(method, route, status), [&]() -> auto& {
        const bool room = requests.size() < kRequestSeries;
        return requests[{std::string(room ? method : kOther), std::string(room ? route : kOther), status}];
      });
  if (!seconds) return;
  auto& times = series_->seconds;
  series_
      ->find(
          times, std::tuple(method, route),
          [&]() -> auto& {
            const bool room = times.size() < kDurationSeries;
            return times
                .try_emplace({std::string(room ? method : kOther), std::string(room ? route : kOther)}, kShortSeconds)
                .first->second;
          })
      .observe(*seconds);
}

std::string Metrics::text(const Now& now) const {
  Page page;
  if (now.stats != nullptr) {
    MetricFamily built{"geres_build_info", "1; the version stands in the label", MetricType::Gauge, {}};
    Page::add(built, {{"version", GERES_VERSION}}, 1);
    page.put(std::move(built));
    {
      const std::shared_lock lock(series_->mutex);
      MetricFamily requests{"geres_http_requests_total", "HTTP calls answered", MetricType::Counter, {}};
      for (const auto& [call, n] : series_->requests)
        Page::add(
            requests,
            {{"method", std::get<0>(call)}, {"route", std::get<1>(call)}, {"code", std::to_string(std::get<2>(call))}},
            double(n));
      page.put(std::move(requests));
      MetricFamily seconds{"geres_http_request_duration_seconds",
                           "From request to answer; without long polls and streams, in which somebody waits",
                           MetricType::Histogram,
                           {}};
      for (const auto& [call, histogram] : series_->seconds)
        Page::add(seconds, {{"method", std::get<0>(call)}, {"route", std::get<1>(call)}}, histogram);
      page.put(std::move(seconds));
    }
    MetricFamily open{"geres_http_open",
                      "Calls that are being answered, long polls among them; streams; SignalR's "
                      "connections",
                      MetricType::Gauge,
                      {}};
    Page::add(open, {{"kind", "call"}}, double(calls_open));
    Page::add(open, {{"kind", "stream"}}, double(streams_open));
    Page::add(open, {{"kind", "signalr"}}, double(now.signalr));
    page.put(std::move(open));
    add_engine(page, *now.stats);
    add_outcomes(page, now.stats->outcomes);
    if (now.fleet) add_hosts(page, *now.fleet, now.hosts_lost);
    add_scaler(page, now.stats->scaler);
    add_readiness(page, now.readiness);
    add_event_lag(page, now.webhooks, now.publisher);
    if (now.webhooks != nullptr) add_webhooks(page, *now.webhooks);
    if (now.publisher != nullptr) add_amqp(page, *now.publisher);
    if (now.verifier != nullptr) add_identity(page, *now.verifier);
    page.gauge("geres_worker_queue_length", "File and database reads waiting for a thread",
               double(now.waiting_readers));
    page.counter("geres_reads_refused_total", "Calls whose read of the store took too long, or failed", reads_refused);
    if (now.certificate_until)
      page.gauge("geres_tls_certificate_expires_timestamp_seconds",
                 "Until when the hub's certificate is valid, since 1970", double(*now.certificate_until));
    if (now.backup_at)
      page.gauge("geres_backup_last_success_timestamp_seconds", "When the last backup was made, since 1970",
                 double(*now.backup_at));
    page.gauge("geres_followers", "Long polls and log followers", double(now.followers));
    page.gauge("geres_store_bytes", "Size of the store on disk", double(now.store_bytes));
    page.gauge("geres_store_wal_bytes", "Of which its log, not yet copied into it", double(now.store_wal_bytes));
    page.add_process();
  }
  add_jobs(page, now.totals, now.tenants_shown);
  page.gauge("geres_ready_oldest_age_seconds", "How long the job that is ready longest waits; 0: none is ready",
             now.oldest_ready_seconds);
  return page.text();
}

}  // namespace geres::hub::api
