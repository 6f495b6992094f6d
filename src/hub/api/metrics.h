// SPDX-License-Identifier: Apache-2.0
// Figures for Prometheus: HTTP calls as they are answered, everything else when asked. docs/metrics.md lists them all.
// However many tenants, types and callers there are, an answer has fewer than 2,000 series.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "hub/amqp/publisher.h"
#include "hub/api/readiness.h"
#include "hub/engine/engine.h"
#include "hub/engine/snapshot.h"
#include "hub/store/reads.h"
#include "hub/webhooks/sender.h"

namespace geres::identity {
class Verifier;
}

namespace geres::hub::api {

// Any thread.
class Metrics {
 public:
  static constexpr std::size_t kTenants = 20;  // with series of their own, unless the operator sets another number
  static constexpr std::size_t kTenantsMax = 100;

  Metrics();
  ~Metrics();
  // `seconds`: nullopt where the time says nothing about the hub because the call waits (long polls, streams).
  void answered(std::string_view method, std::string_view route, unsigned status, std::optional<double> seconds);

  // Counts a call as open for as long as it lives.
  class Open {
   public:
    explicit Open(std::atomic<std::int64_t>& count) : count_(count) { ++count_; }
    ~Open() { --count_; }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;

   private:
    std::atomic<std::int64_t>& count_;
  };
  std::atomic<std::int64_t> calls_open{0}, streams_open{0};
  std::atomic<std::int64_t> reads_refused{0};

  struct Now {
    const engine::Stats* stats = nullptr;  // nullptr: this caller may not see it, nor what follows `tenants_shown`
    store::Totals totals;
    double oldest_ready_seconds = 0;
    std::size_t tenants_shown = kTenants;
    std::size_t waiting_readers = 0;
    std::size_t followers = 0;
    std::size_t signalr = 0;
    std::int64_t store_bytes = 0;
    std::int64_t store_wal_bytes = 0;
    std::optional<std::int64_t> certificate_until;  // seconds since 1970
    std::optional<std::int64_t> backup_at;          // seconds since 1970, of the last complete one
    std::int64_t hosts_lost = 0;                    // since the hub started
    engine::SnapshotPtr fleet;
    Readiness::Now readiness;
    const webhooks::Figures* webhooks = nullptr;
    const amqp::Publisher* publisher = nullptr;    // nullptr: there is none
    const identity::Verifier* verifier = nullptr;  // likewise
  };
  std::string text(const Now& now) const;  // the exposition format

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace geres::hub::api
