// SPDX-License-Identifier: Apache-2.0
// How many jobs ended in the last hour, by tenant: counted as they end, minute by minute, so that asking costs nothing
// however busy the hub is. What ended before the hub started comes from the store once.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "hub/store/reads.h"

namespace geres::hub::events {

// Any thread.
class LastHour {
 public:
  struct Counts {
    std::int64_t finished = 0, failed = 0, cancelled = 0;
    std::int64_t& of(model::JobState state);
    void add(const Counts& more);
  };

  void seed(const std::vector<store::EndedCount>& counts);
  void publish(const std::vector<store::EventRow>& events);
  Counts counts(Millis now, const std::function<bool(const std::string& tenant)>& sees);

 private:
  void forget_before(std::int64_t minute);

  std::mutex mutex_;
  std::map<std::int64_t, std::map<std::string, Counts>> minutes_;  // minutes since the epoch
};

}  // namespace geres::hub::events
