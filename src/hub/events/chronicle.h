// SPDX-License-Identifier: Apache-2.0
// What operators look for in the log, written from the events: hosts that come, leave and are lost, and jobs that
// failed for good. Whatever happens, it stays readable: of a storm the first lines are written, and once a minute how
// many more there were. Who had a host drained stands with the call that asked for it, not here.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/line_quota.h"
#include "hub/store/reads.h"

namespace geres::hub::events {

// Any thread.
class Chronicle {
 public:
  using Later = std::function<void(std::function<void()> work)>;  // does it soon, on a thread that may block
  Chronicle(store::Reads& reads, const Clock& clock, Later later)
      : reads_(reads), clock_(clock), later_(std::move(later)) {}

  void seed(const std::vector<model::Host>& hosts);
  void publish(const std::vector<store::EventRow>& events);  // blocks nobody
  void sum_up();      // of what has been left out for a minute: to be called every few seconds
  void sum_up_all();  // at the end

  std::int64_t hosts_lost() const { return hosts_lost_; }  // since start

 private:
  struct LeftOut {
    Millis since = 0;  // monotonic; 0: nothing
    std::int64_t jobs = 0;
    std::map<std::string, std::int64_t> reasons, tenants;
  };
  void tell_host(const store::EventRow& event);
  void tell_failed(const store::EventRow& event);
  void leave_out(const store::EventRow& event, Millis now);
  void tell_left_out(const LeftOut& what, Millis now) const;

  store::Reads& reads_;
  const Clock& clock_;
  const Later later_;
  std::atomic<std::int64_t> hosts_lost_{0};
  LineQuota host_lines_{200, 5};
  LineQuota failed_lines_{20, 1.0 / 3};
  std::mutex mutex_;
  std::unordered_set<Uuid> draining_;  // a host that takes jobs again "joins" though it never left
  LeftOut left_out_;
};

}  // namespace geres::hub::events
