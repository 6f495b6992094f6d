// SPDX-License-Identifier: Apache-2.0
// Figures for Prometheus: HTTP calls as they are answered, and the engine's and the queue's at the moment of asking.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "hub/amqp/publisher.h"
#include "hub/engine/engine.h"
#include "hub/store/reads.h"
#include "hub/webhooks/sender.h"

namespace geres::hub::api {

// Any thread.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  void answered(std::string_view method, std::string_view route, unsigned status, double seconds);

  struct Now {
    const engine::Stats* stats = nullptr;  // nullptr: not for this caller's eyes
    store::Totals totals;
    std::size_t waiting_readers = 0;
    std::size_t followers = 0;
    std::int64_t store_bytes = 0;
    const webhooks::Figures* webhooks = nullptr;
    const amqp::Publisher* publisher = nullptr;  // nullptr: there is none
  };
  std::string text(const Now& now) const;  // the exposition format

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace geres::hub::api
