// SPDX-License-Identifier: Apache-2.0
// A pool as its settings say it: what one provider can make more of, how many are wanted, and how fast that may change.
// Read from the answers of a hub, which has checked them; what it has not checked is checked here, so that settings
// which got past it do not let a scaler run wild.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "geres/policy_json.h"

namespace geres::scaler {

constexpr std::int64_t kHostsMax = 100'000;  // that any pool may have

// "4", "50%", "100%+4": so many hosts at a time, in part a share of those that there are.
struct Step {
  std::int64_t percent = 0;
  std::int64_t hosts = 0;

  std::int64_t of(std::int64_t actual) const;  // rounded up, at least 1
  bool operator==(const Step&) const = default;
};
Result<Step> read_step(const json::value& from);

struct Limits {
  std::int64_t minimum = 0;
  std::int64_t maximum = 20;
  std::int64_t minimum_idle = 0;
  std::int64_t maximum_idle = 2;
  std::optional<Millis> idle_time = 300'000;  // empty: never
  Millis interval = 15'000;
  Millis scale_in_window = 300'000;
  Millis cooldown_out = 0;
  Millis cooldown_in = 60'000;
  Step step_out{100, 4};
  Step step_in{50, 0};
  std::optional<Millis> boot_timeout;  // empty: 5 minutes, or 3 times as long as hosts usually take
  bool drain_busy = true;
};

struct PoolTemplate {
  int slots = 1;
  std::int64_t memory_bytes = 0;  // 0: the machine's
  std::map<std::string, std::string> labels;
  std::vector<std::string> types;
  std::vector<std::string> tenants;  // empty: all
};

// What an operator asked for by hand, in place of the policy.
struct ByHand {
  std::int64_t wanted = 0;
  Millis until = 0;
};

struct Pool {
  std::string name;
  std::int64_t version = 0;
  bool observe = false;  // decides and records, touches nothing
  bool paused = false;
  PoolTemplate what;
  std::string provider;  // its name
  json::object provider_settings;
  std::string policy;  // its name
  json::object policy_settings;
  Limits limits;
  std::optional<ByHand> by_hand;
};

// The error's field is relative to `from`.
Result<Pool> read_pool(const json::value& from);

// The same object for the readers of policies.
policy::Json policy_json(const json::object& from);

}  // namespace geres::scaler
