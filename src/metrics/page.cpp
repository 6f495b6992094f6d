// SPDX-License-Identifier: Apache-2.0
#include "metrics/page.h"

#include <prometheus/text_serializer.h>

#include "metrics/process_figures.h"

namespace geres::metrics {
namespace {

prometheus::ClientMetric labelled(const Labels& labels) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : labels) metric.label.push_back({name, value});
  return metric;
}

}  // namespace

void Page::put(MetricFamily family) {
  if (!family.metric.empty()) families_.push_back(std::move(family));
}

void Page::counter(const char* name, const char* help, std::int64_t value) {
  MetricFamily family{name, help, MetricType::Counter, {}};
  add(family, {}, double(value));
  put(std::move(family));
}

void Page::gauge(const char* name, const char* help, double value) {
  MetricFamily family{name, help, MetricType::Gauge, {}};
  add(family, {}, value);
  put(std::move(family));
}

void Page::histogram(const char* name, const char* help, const Histogram& values) {
  MetricFamily family{name, help, MetricType::Histogram, {}};
  add(family, {}, values);
  put(std::move(family));
}

void Page::add(MetricFamily& to, const Labels& labels, double value) {
  auto metric = labelled(labels);
  (to.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  to.metric.push_back(std::move(metric));
}

void Page::add(MetricFamily& to, const Labels& labels, const Histogram& histogram) {
  auto metric = labelled(labels);
  const auto sums = histogram.cumulative();
  for (std::size_t i = 0; i < histogram.bounds().size(); ++i)
    metric.histogram.bucket.push_back({std::uint64_t(sums[i]), histogram.bounds()[i]});
  metric.histogram.sample_count = std::uint64_t(sums.back());
  metric.histogram.sample_sum = histogram.sum();
  to.metric.push_back(std::move(metric));
}

void Page::add_process() {
  const auto now = process_figures();
  MetricFamily cpu{"process_cpu_seconds_total", "Processor time of this process", MetricType::Counter, {}};
  add(cpu, {}, now.cpu_seconds);
  put(std::move(cpu));
  gauge("process_resident_memory_bytes", "Memory that it has", double(now.resident_bytes));
  gauge("process_virtual_memory_bytes", "Addresses that it has", double(now.virtual_bytes));
  gauge("process_open_fds", "Files and connections that it has open", double(now.open_fds));
  gauge("process_max_fds", "That it may have open", double(now.max_fds));
  gauge("process_start_time_seconds", "When it started, since 1970", now.start_seconds);
}

std::string Page::text() const {
  return prometheus::TextSerializer().Serialize(families_);
}

}  // namespace geres::metrics
