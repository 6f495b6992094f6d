// SPDX-License-Identifier: Apache-2.0
#include "host/figures.h"

#include <boost/describe/enum_to_string.hpp>

#include "metrics/page.h"

namespace geres::host {
namespace {

using metrics::MetricFamily;
using metrics::MetricType;
using metrics::Page;

template <class E>
std::string name_of(E value) {
  return boost::describe::enum_to_string(value, "other");
}

void add_attempts(Page& page, const Figures& figures) {
  page.counter("geres_host_attempts_started_total", "Attempts whose process has started", figures.started);
  MetricFamily ended{
      "geres_host_attempts_ended_total", "Attempts that ended, as the hub is told", MetricType::Counter, {}};
  for (std::size_t i = 0; i < figures.ended.size(); ++i)  // the last outcome is the hub's alone
    if (const auto outcome = model::Outcome(i); outcome != model::Outcome::expired)
      Page::add(ended, {{"outcome", name_of(outcome)}}, double(figures.ended[i]));
  page.put(std::move(ended));
  page.histogram("geres_host_start_duration_seconds", "From the lease to the process: files fetched, laid out, started",
                 figures.start_seconds);
  page.histogram("geres_host_kill_duration_seconds",
                 "From the order to stop an attempt to the end of all its processes", figures.kill_seconds);
}

void add_caches(Page& page, const Figures& figures) {
  const std::pair<const char*, const CacheFigures*> caches[] = {{"packages", &figures.packages},
                                                                {"inputs", &figures.inputs}};
  MetricFamily asked{"geres_host_cache_asked_total", "Files that attempts asked for", MetricType::Counter, {}};
  MetricFamily downloads{
      "geres_host_cache_downloads_total", "Downloads, as it was not there; repeats included", MetricType::Counter, {}};
  MetricFamily bytes{"geres_host_cache_bytes", "Disk that the cache takes up", MetricType::Gauge, {}};
  for (const auto& [name, cache] : caches) {
    Page::add(asked, {{"cache", name}}, double(cache->asked));
    Page::add(downloads, {{"cache", name}}, double(cache->downloads));
    Page::add(bytes, {{"cache", name}}, double(cache->bytes));
  }
  page.put(std::move(asked));
  page.put(std::move(downloads));
  page.put(std::move(bytes));
}

}  // namespace

std::string metrics_text(const Figures& figures, int slots, const wire::RunnerHello& runner) {
  Page page;
  MetricFamily built{"geres_build_info", "1; the version stands in the label", MetricType::Gauge, {}};
  Page::add(built, {{"version", GERES_VERSION}}, 1);
  page.put(std::move(built));
  page.gauge("geres_host_connected", "1: it is registered, and its hub answers", figures.connected ? 1 : 0);
  page.gauge("geres_host_takes_jobs", "0: it rests, stops or drains, or its disk is full", figures.takes_jobs ? 1 : 0);
  page.gauge("geres_host_slots", "Slots that it has", slots);
  page.gauge("geres_host_slots_busy", "Slots that attempts take up", double(figures.slots_busy));
  MetricFamily held{"geres_host_limit_held", "1: how jobs are held to that limit", MetricType::Gauge, {}};
  Page::add(held, {{"limit", "memory"}, {"by", name_of(runner.memoryHeld)}}, 1);
  Page::add(held, {{"limit", "processes"}, {"by", name_of(runner.tasksHeld)}}, 1);
  page.put(std::move(held));
  add_attempts(page, figures);
  add_caches(page, figures);
  page.add_process();
  return page.text();
}

}  // namespace geres::host
