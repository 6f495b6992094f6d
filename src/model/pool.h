// SPDX-License-Identifier: Apache-2.0
// A fleet that sizes itself: pools, the machines that are made in them, and what the scaler has done and why. The hub
// keeps and guards all of this; what is wanted is decided by the scaler, a process of its own.
#pragma once

#include <boost/describe/class.hpp>
#include <boost/describe/enum.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace geres::model {

// What a host of a pool is like, as in Host.
struct PoolTemplate {
  int slots = 1;
  std::int64_t memory = 0;  // bytes; 0: not said
  std::map<std::string, std::string> labels;
  std::optional<std::vector<std::string>> types;    // absent: any
  std::optional<std::vector<std::string>> tenants;  // absent: any
};
BOOST_DESCRIBE_STRUCT(PoolTemplate, (), (slots, memory, labels, types, tenants))

// Who makes machines, or who says how many: a name and what that one alone understands.
struct PoolPart {
  std::string name;
  std::string settings = "{}";  // JSON object
};
BOOST_DESCRIBE_STRUCT(PoolPart, (), (name, settings))

// How many at a time: so many percent of those there are, and so many more.
struct PoolStep {
  std::int64_t percent = 0, plus = 0;
};
BOOST_DESCRIBE_STRUCT(PoolStep, (), (percent, plus))

struct PoolLimits {
  static constexpr Millis kNever = -1;  // of idle_time

  std::int64_t minimum = 0, maximum = 20;
  std::int64_t minimum_idle = 0, maximum_idle = 2;
  Millis idle_time = 300'000;
  Millis interval = 15'000;
  Millis scale_in_window = 300'000;
  Millis cooldown_out = 0, cooldown_in = 60'000;
  PoolStep step_out{100, 4}, step_in{50, 0};
  Millis boot_timeout = 300'000;
  bool drain_busy = true;
  double cost = 1;
};
BOOST_DESCRIBE_STRUCT(PoolLimits, (),
                      (minimum, maximum, minimum_idle, maximum_idle, idle_time, interval, scale_in_window, cooldown_out,
                       cooldown_in, step_out, step_in, boot_timeout, drain_busy, cost))

struct PoolSettings {
  bool acts = true;  // else the scaler decides and records, and touches nothing
  PoolTemplate like;
  PoolPart provider, policy;
  PoolLimits limits;
};
BOOST_DESCRIBE_STRUCT(PoolSettings, (), (acts, like, provider, policy, limits))

struct Pool {
  struct Scale {  // by hand, for a while
    std::int64_t wanted = 0;
    Millis until = 0;  // wall clock
  };

  std::string name;
  std::int64_t version = 1;  // grows with every change
  PoolSettings settings;
  bool paused = false;
  bool removing = false;  // goes with its last machine
  std::optional<Scale> scale;
};

// Known from its order on. A machine whose host drains is `ready`, too: the host says that. From `retiring` on no host
// of it gets a job any more, and none that comes later.
enum class MachineState { ordered, booting, ready, retiring, gone, failed, asleep };
BOOST_DESCRIBE_ENUM(MachineState, ordered, booting, ready, retiring, gone, failed, asleep)

enum class ScalerVerb { order, remove, sleep, wake };
BOOST_DESCRIBE_ENUM(ScalerVerb, order, remove, sleep, wake)

// `issued` and `unknown` are open: nobody knows yet what became of them.
enum class IntentState { issued, done, refused, failed, unknown };
BOOST_DESCRIBE_ENUM(IntentState, issued, done, refused, failed, unknown)

constexpr bool is_open(IntentState state) {
  return state == IntentState::issued || state == IntentState::unknown;
}

}  // namespace geres::model
