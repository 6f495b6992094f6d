// SPDX-License-Identifier: Apache-2.0
// The JSON of a fleet that sizes itself: pools as operators set them, and what the scaler writes down.
#pragma once

#include <boost/describe/class.hpp>
#include <boost/describe/enum.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/pool.h"

namespace geres::wire {

enum class PoolMode { act, observe };
BOOST_DESCRIBE_ENUM(PoolMode, act, observe)

struct PoolTemplateShape {
  int slots = 1;
  json::Size memory;
  std::map<std::string, std::string> labels;
  std::optional<std::vector<std::string>> types;
  std::optional<std::vector<std::string>> tenants;
};
BOOST_DESCRIBE_STRUCT(PoolTemplateShape, (), (slots, memory, labels, types, tenants))

struct PoolLimitsShape {
  std::optional<std::int64_t> minimum, maximum, minimumIdle, maximumIdle;
  std::optional<std::int64_t> minimumRunning, maximumJobHosts, maximumIdleJobHosts;  // the same, as GeRes2 calls them
  std::optional<std::string> idleTime;                                               // a duration, "0" or "never"
  std::optional<json::Duration> interval, scaleInWindow, cooldownOut, cooldownIn, bootTimeout;
  std::optional<json::value> stepOut, stepIn;  // 4, "4", "50%" or "100%+4"
  std::optional<bool> drainBusy;
  std::optional<double> cost;
};
BOOST_DESCRIBE_STRUCT(PoolLimitsShape, (),
                      (minimum, maximum, minimumIdle, maximumIdle, minimumRunning, maximumJobHosts, maximumIdleJobHosts,
                       idleTime, interval, scaleInWindow, cooldownOut, cooldownIn, bootTimeout, stepOut, stepIn,
                       drainBusy, cost))

// PUT /v1/scaler/pools/{name}. What GET shows beside the settings may stay in it.
struct PoolShape {
  static constexpr std::string_view kRequired[] = {"provider", "policy"};
  PoolMode mode = PoolMode::act;
  PoolTemplateShape template_;
  json::value provider, policy;
  PoolLimitsShape limits;
  std::optional<std::string> name;      // must be that of the path
  std::optional<std::int64_t> version;  // must be the current one
  std::optional<json::value> paused, scale, removing;
};
BOOST_DESCRIBE_STRUCT(PoolShape, (),
                      (mode, template_, provider, policy, limits, name, version, paused, scale, removing))

// `local_maximum`: how many hosts fit on one machine, where the pool does not say how many there may be.
Result<model::PoolSettings> pool_settings(const PoolShape& shape, std::int64_t local_maximum);
json::object pool_json(const model::Pool& pool);

// POST /v1/scaler/pools/{name}/scale
struct ScaleShape {
  static constexpr std::string_view kRequired[] = {"wanted"};
  std::int64_t wanted = 0;
  std::optional<json::Duration> for_;  // absent: an hour
};
BOOST_DESCRIBE_STRUCT(ScaleShape, (), (wanted, for_))
Result<void> check(const ScaleShape& shape);

// POST /v1/scaler/lease
struct TakeLeaseShape {
  static constexpr std::string_view kRequired[] = {"holder"};
  std::string holder;
  std::optional<std::int64_t> epoch;
};
BOOST_DESCRIBE_STRUCT(TakeLeaseShape, (), (holder, epoch))

// POST /v1/scaler/pools/{name}/record
struct IntentShape {
  static constexpr std::string_view kRequired[] = {"request", "verb", "state"};
  std::string request;
  model::ScalerVerb verb = model::ScalerVerb::order;
  std::int64_t count = 0;
  std::vector<std::string> instances;
  model::IntentState state = model::IntentState::issued;
  std::optional<json::value> refusal;
};
BOOST_DESCRIBE_STRUCT(IntentShape, (), (request, verb, count, instances, state, refusal))

enum class MachineWord { ordered, booting, ready, draining, retiring, gone, failed, asleep };
BOOST_DESCRIBE_ENUM(MachineWord, ordered, booting, ready, draining, retiring, gone, failed, asleep)

struct MachineShape {
  static constexpr std::string_view kRequired[] = {"instance", "state"};
  std::string instance;
  MachineWord state = MachineWord::ordered;
  std::string request;
  std::string zone;
  std::string reason;
};
BOOST_DESCRIBE_STRUCT(MachineShape, (), (instance, state, request, zone, reason))

struct DecisionShape {
  static constexpr std::string_view kRequired[] = {"input", "policy", "wanted"};
  json::value input;
  std::string policy;
  std::int64_t raw = 0, wanted = 0, actual = 0;
  std::optional<json::value> changes;
  std::string reason;
  std::string outcome;
};
BOOST_DESCRIBE_STRUCT(DecisionShape, (), (input, policy, raw, wanted, actual, changes, reason, outcome))

struct RecordShape {
  static constexpr std::string_view kRequired[] = {"epoch"};
  std::int64_t epoch = 0;
  std::vector<IntentShape> intents;
  std::vector<MachineShape> machines;
  std::optional<DecisionShape> decision;
};
BOOST_DESCRIBE_STRUCT(RecordShape, (), (epoch, intents, machines, decision))
Result<void> check(const RecordShape& shape);

// POST /v1/hosts/drain and …/resume
struct MoveHostsShape {
  static constexpr std::string_view kRequired[] = {"hosts", "by", "epoch"};
  std::vector<std::string> hosts;
  std::string by;  // "scaler": an operator names one host in the path
  std::int64_t epoch = 0;
  std::string decision;
};
BOOST_DESCRIBE_STRUCT(MoveHostsShape, (), (hosts, by, epoch, decision))

// POST /v1/hosts/{id}/retire
struct RetireShape {
  static constexpr std::string_view kRequired[] = {"epoch"};
  std::int64_t epoch = 0;
};
BOOST_DESCRIBE_STRUCT(RetireShape, (), (epoch))

// POST /v1/scaler/pools/{name}/joinToken
struct JoinTokenShape {
  static constexpr std::string_view kRequired[] = {"epoch", "request"};
  std::int64_t epoch = 0;
  std::string request;
};
BOOST_DESCRIBE_STRUCT(JoinTokenShape, (), (epoch, request))

// What providers call their machines, and the scaler its requests: up to 200 visible ASCII characters.
Result<void> check_mark(std::string_view text, std::string_view what, std::string field);

}  // namespace geres::wire
