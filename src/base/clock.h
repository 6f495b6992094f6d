// SPDX-License-Identifier: Apache-2.0
// Time comes in as an argument: code that needs the time holds a Clock, so that tests and simulations can move it by
// hand.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace geres {

using Millis = std::int64_t;  // a duration, or a point in time as milliseconds since 1970-01-01T00:00Z

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Millis wall() const = 0;       // time of day; may jump
  virtual Millis monotonic() const = 0;  // CLOCK_BOOTTIME: never jumps, counts while the machine sleeps
};

// Any thread.
class SystemClock final : public Clock {
 public:
  Millis wall() const override;
  Millis monotonic() const override;
};

// Set by hand; one thread.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Millis start = 1'700'000'000'000) : wall_(start) {}
  Millis wall() const override { return wall_; }
  Millis monotonic() const override { return monotonic_; }
  void advance(Millis by) { wall_ += by, monotonic_ += by; }
  void jump_wall(Millis by) { wall_ += by; }

 private:
  Millis wall_;
  Millis monotonic_ = 1'000;
};

// RFC 3339 in UTC with milliseconds, "2026-11-24T22:30:00.000Z". Parsing takes any offset and precision.
std::string format_time(Millis time);
Result<Millis> parse_time(std::string_view text);

}  // namespace geres
