// SPDX-License-Identifier: Apache-2.0
// How many calls per second one caller (a token, a tenant, an address) may make in the long run; a burst is free.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"

namespace geres::hub::api {

// Any thread.
class Brake {
 public:
  // Call it before the first take().
  void allow(double per_second, double burst) { per_second_ = per_second, burst_ = burst; }

  // True: go on. `now` is monotonic.
  bool take(const std::string& caller, Millis now);

 private:
  static constexpr std::size_t kCallersMax = 20'000;

  struct Bucket {
    double left = 0;
    Millis at = 0;
  };
  void forget_the_idle(Millis now);

  double per_second_ = 0;  // 0: no brake
  double burst_ = 0;
  std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;  // a caller that is not in here has its whole burst
};

// The brakes of one hub.
struct Brakes {
  Brake guesses;  // at secrets, by address; a valid token always passes
  Brake tokens, tenants, addresses;
};

}  // namespace geres::hub::api
