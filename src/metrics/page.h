// SPDX-License-Identifier: Apache-2.0
// One answer of /metrics in Prometheus's text format, put together family by family.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.h"

namespace geres::metrics {

using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<std::pair<std::string, std::string>>;

// Families without a value are left out.
class Page {
 public:
  void put(MetricFamily family);
  void counter(const char* name, const char* help, std::int64_t value);
  void gauge(const char* name, const char* help, double value);
  void histogram(const char* name, const char* help, const Histogram& values);
  static void add(MetricFamily& to, const Labels& labels, double value);
  static void add(MetricFamily& to, const Labels& labels, const Histogram& histogram);
  void add_process();  // process_*, of this process
  std::string text() const;

 private:
  std::vector<MetricFamily> families_;
};

inline constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace geres::metrics
