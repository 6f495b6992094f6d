// SPDX-License-Identifier: Apache-2.0
#include "scaler/pool.h"

#include <algorithm>
#include <charconv>

#include "scaler/settings.h"

namespace geres::scaler {
namespace {

std::optional<std::int64_t> digits(std::string_view text) {
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || read.ec != std::errc() || read.ptr != text.data() + text.size() || value < 0 || value > kHostsMax)
    return std::nullopt;
  return value;
}

void read_limits(Settings from, Limits& limits) {
  // GeRes2's names first, so that ours go before them.
  from.integer("minimumRunning", limits.minimum, 0, kHostsMax);
  from.integer("maximumJobHosts", limits.maximum, 0, kHostsMax);
  from.integer("maximumIdleJobHosts", limits.maximum_idle, 0, kHostsMax);
  from.integer("minimum", limits.minimum, 0, kHostsMax);
  from.integer("maximum", limits.maximum, 0, kHostsMax);
  from.integer("minimumIdle", limits.minimum_idle, 0, kHostsMax);
  from.integer("maximumIdle", limits.maximum_idle, 0, kHostsMax);
  if (from.text("idleTime") == "never")
    limits.idle_time.reset();
  else
    from.duration("idleTime", limits.idle_time, 0);
  from.duration("interval", limits.interval, 1'000);
  from.duration("scaleInWindow", limits.scale_in_window, 0);
  from.duration("cooldownOut", limits.cooldown_out, 0);
  from.duration("cooldownIn", limits.cooldown_in, 0);
  from.step("stepOut", limits.step_out);
  from.step("stepIn", limits.step_in);
  from.duration("bootTimeout", limits.boot_timeout, 1'000);
  from.flag("drainBusy", limits.drain_busy);
  if (limits.minimum > limits.maximum)
    from.wrong("minimum",
               "the minimum is " + std::to_string(limits.minimum) + ", the maximum " + std::to_string(limits.maximum));
}

void read_template(Settings from, PoolTemplate& what) {
  std::int64_t slots = what.slots;
  from.integer("slots", slots, 1, 10'000);
  what.slots = int(slots);
  from.size("memory", what.memory_bytes);
  from.texts("labels", what.labels);
  from.texts("types", what.types);
  from.texts("tenants", what.tenants);
}

}  // namespace

std::int64_t Step::of(std::int64_t actual) const {
  return std::max<std::int64_t>(1, (std::max<std::int64_t>(0, actual) * percent + 99) / 100 + hosts);
}

Result<Step> read_step(const json::value& from) {
  const auto bad =
      fail(Code::badValue, "this is no step", {}, "hosts, a share of those there are, or both: 4, \"50%\", \"100%+4\"");
  if (from.is_int64()) {
    const auto hosts = from.get_int64();
    if (hosts < 1 || hosts > kHostsMax) return bad;
    return Step{0, hosts};
  }
  if (!from.is_string()) return bad;
  const std::string_view text(from.get_string());
  Step step;
  const auto percent = text.find('%');
  if (percent != text.npos) {
    const auto share = digits(text.substr(0, percent));
    if (!share) return bad;
    step.percent = *share;
    if (percent + 1 == text.size()) return step.percent > 0 ? Result<Step>(step) : Result<Step>(bad);
    if (text[percent + 1] != '+') return bad;
  }
  const auto hosts = digits(text.substr(percent == text.npos ? 0 : percent + 2));
  if (!hosts) return bad;
  step.hosts = *hosts;
  if (step.percent + step.hosts == 0) return bad;
  return step;
}

Result<Pool> read_pool(const json::value& from) {
  Pool pool;
  std::optional<Error> error;
  Settings all(from, "", error);
  pool.name = all.text("name");
  all.integer("version", pool.version, 0, std::numeric_limits<std::int64_t>::max());
  pool.observe = all.text("mode") == "observe";
  all.flag("paused", pool.paused);
  read_template(all.inside("template"), pool.what);
  read_limits(all.inside("limits"), pool.limits);
  pool.provider = all.inside("provider").text("name");
  pool.provider_settings = all.inside("provider").object();
  pool.policy = all.inside("policy").text("name");
  pool.policy_settings = all.inside("policy").object();
  if (const auto* by_hand = all.find("scale"); by_hand != nullptr && !by_hand->is_null()) {
    ByHand hand;
    const auto given = all.inside("scale");
    given.integer("wanted", hand.wanted, 0, kHostsMax);
    given.time("until", hand.until);
    pool.by_hand = hand;
  }
  if (error) return *error;
  if (pool.name.empty()) return fail(Code::missingField, "'name' is missing", "/name");
  return pool;
}

policy::Json policy_json(const json::object& from) {
  return policy::Json::parse(boost::json::serialize(from));
}

}  // namespace geres::scaler
