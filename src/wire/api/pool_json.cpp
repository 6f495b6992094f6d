// SPDX-License-Identifier: Apache-2.0
#include "wire/api/pool_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "model/names.h"
#include "wire/api/text_checks.h"

namespace geres::wire {
namespace {

constexpr std::int64_t kHostsMax = 100'000;
constexpr Millis kDay = 86'400'000;
constexpr std::size_t kInputBytesMax = 256 * 1024;
constexpr std::size_t kTextBytesMax = 1'000;

Error bad(std::string message, std::string field, std::string hint) {
  return fail(Code::badValue, std::move(message), std::move(field), std::move(hint));
}

Result<void> in_range(std::int64_t n, std::int64_t least, std::int64_t most, std::string field) {
  if (n >= least && n <= most) return {};
  return bad(fmt::format("{} is not allowed", n), std::move(field), fmt::format("from {} to {}", least, most));
}

// ---- template

Result<void> check_names(const std::optional<std::vector<std::string>>& names, std::string_view what,
                         const std::string& field) {
  if (!names) return {};
  if (names->size() > 1'000) return fail(Code::tooMany, "too many names", field, "at most 1,000");
  for (std::size_t i = 0; i < names->size(); ++i)
    if (auto ok = model::check_name((*names)[i], what, fmt::format("{}/{}", field, i)); !ok) return ok;
  return {};
}

Result<model::PoolTemplate> template_of(const PoolTemplateShape& shape) {
  if (auto ok = in_range(shape.slots, 1, 4'096, "/template/slots"); !ok) return ok.error();
  if (auto ok = check_tags(shape.labels, "/template/labels"); !ok) return ok.error();
  if (auto ok = check_names(shape.types, "job type", "/template/types"); !ok) return ok.error();
  if (auto ok = check_names(shape.tenants, "tenant name", "/template/tenants"); !ok) return ok.error();
  return model::PoolTemplate{shape.slots, shape.memory.bytes, shape.labels, shape.types, shape.tenants};
}

// ---- provider and policy: a name, and settings that depend on it

struct Setting {
  std::string_view name;
  Result<void> (*check)(const json::value& value, const std::string& field);
  bool required = false;
};

struct PartKind {
  std::string_view name;
  std::vector<Setting> settings;
  bool open = false;  // whatever else there is, is the user's own
};

Result<void> a_text(const json::value& value, const std::string& field) {
  if (value.is_string()) return {};
  auto error = json::wrong_kind("a text", value);
  error.field = field;
  return error;
}

Result<void> a_number_of_hosts(const json::value& value, const std::string& field) {
  const auto n = json::read<std::int64_t>(value);
  if (!n) return fail(n.error().code, n.error().message, field, "a whole number from 0");
  return in_range(*n, 0, kHostsMax, field);
}

Result<void> a_count(const json::value& value, const std::string& field) {
  const auto n = json::read<std::int64_t>(value);
  if (!n) return fail(n.error().code, n.error().message, field, "a whole number from 1");
  return in_range(*n, 1, 1'000'000, field);
}

Result<void> a_duration(const json::value& value, const std::string& field) {
  const auto time = json::read<json::Duration>(value);
  if (!time) return bad(time.error().message, field, "a duration such as \"30s\"");
  if (time->ms < 1) return bad("it is no time at all", field, "more than 0");
  return {};
}

Result<void> a_flag(const json::value& value, const std::string& field) {
  if (value.is_bool()) return {};
  auto error = json::wrong_kind("true or false", value);
  error.field = field;
  return error;
}

Result<void> a_command(const json::value& value, const std::string& field) {
  const auto words = json::read<std::vector<std::string>>(value);
  if (!words) return bad(words.error().message, field, "a list: the program's path and its arguments");
  if (words->empty() || words->front().empty() || words->front()[0] != '/')
    return bad("this names no program", field, "a list that begins with a path that begins with '/'");
  return {};
}

Result<void> a_path(const json::value& value, const std::string& field) {
  if (value.is_string() && value.get_string().starts_with('/')) return {};
  return bad("this is no path", field, "a path that begins with '/'");
}

Result<void> texts(const json::value& value, const std::string& field) {
  const auto map = json::read<std::map<std::string, std::string>>(value);
  if (!map) return bad(map.error().message, field, "an object of texts");
  return {};
}

Result<void> objects(const json::value& value, const std::string& field) {
  if (value.is_array() && !value.get_array().empty() &&
      std::all_of(value.get_array().begin(), value.get_array().end(), [](const auto& v) { return v.is_object(); }))
    return {};
  return bad("this is no list of objects", field, "a list of at least one window");
}

const std::vector<PartKind>& providers() {
  static const std::vector<PartKind> kinds{{"local", {}, true},
                                           {"command",
                                            {{"command", a_command, true},
                                             {"env", texts},
                                             {"timeout", a_duration},
                                             {"mostACall", a_count},
                                             {"marks", a_flag},
                                             {"sleeps", a_flag}}}};
  return kinds;
}

const std::vector<PartKind>& policies() {
  static const std::vector<PartKind> kinds{
      {"messageCount", {{"jobsPerHost", a_count}}},
      {"messageWaitingTime", {{"wait", a_duration}}},
      {"deadline", {{"finishWithin", a_duration}}},
      {"fixed",
       {{"windows", objects, true},
        {"timeZone", a_text},
        {"otherwise", a_number_of_hosts},
        {"hosts", a_number_of_hosts}}},
      {"library", {{"library", a_path, true}, {"policyTimeout", a_duration}}, true},
      {"command", {{"command", a_command, true}, {"policyTimeout", a_duration}}, true}};
  return kinds;
}

Result<void> check_settings(const PartKind& kind, const json::object& members, const std::string& field) {
  std::vector<std::string> known{"name"};
  for (const auto& setting : kind.settings) {
    known.emplace_back(setting.name);
    const auto* value = members.if_contains(setting.name);
    const std::string at = field + json::pointer_token(setting.name);
    if (value == nullptr && setting.required)
      return fail(Code::missingField, fmt::format("'{}' is missing", setting.name), at,
                  fmt::format("{} cannot do without it", kind.name));
    if (value == nullptr) continue;
    if (auto ok = setting.check(*value, at); !ok) return ok;
  }
  if (kind.open) return {};
  for (const auto& [name, value] : members) {
    if (std::find(known.begin(), known.end(), std::string_view(name)) != known.end()) continue;
    auto error = json::unknown_member(name, known);
    error.field = field + error.field;
    return error;
  }
  return {};
}

Result<model::PoolPart> part_of(const json::value& from, std::string_view what, const std::vector<PartKind>& kinds) {
  const std::string field = fmt::format("/{}", what);
  if (!from.is_object()) {
    auto error = json::wrong_kind("an object", from);
    error.field = field;
    return error;
  }
  const auto& members = from.get_object();
  const auto* name = members.if_contains("name");
  if (name == nullptr)
    return fail(Code::missingField, "'name' is missing", field + "/name", fmt::format("the name of a {}", what));
  std::string known;
  for (const auto& kind : kinds) known += (known.empty() ? "" : ", ") + std::string(kind.name);
  const auto kind = std::find_if(kinds.begin(), kinds.end(), [&](const auto& k) {
    return name->is_string() && std::string_view(name->get_string()) == k.name;
  });
  if (kind == kinds.end()) return bad(fmt::format("there is no such {}", what), field + "/name", "one of " + known);
  if (auto ok = check_settings(*kind, members, field); !ok) return ok.error();
  if (kind->name == "fixed" && !members.contains("windows") && !members.contains("hosts"))
    return fail(Code::missingField, "'windows' is missing", field + "/windows", "windows, or hosts: always so many");
  json::object settings(members);
  settings.erase("name");
  return model::PoolPart{std::string(kind->name), boost::json::serialize(settings)};
}

json::object part_json(const model::PoolPart& part) {
  json::object to{{"name", std::string_view(part.name)}};
  if (const auto settings = json::parse(part.settings); settings && settings->is_object())
    for (const auto& [name, value] : settings->get_object()) to.emplace(name, value);
  return to;
}

// ---- limits

Result<model::PoolStep> step_of(const json::value& from, const std::string& field) {
  const auto wrong = [&] { return bad("this is no step", field, "a number, \"50%\" or \"100%+4\""); };
  model::PoolStep step;
  if (from.is_int64() || from.is_uint64()) {
    const auto n = json::read<std::int64_t>(from);
    if (!n) return wrong();
    step.plus = *n;
  } else if (from.is_string()) {
    std::string_view text(from.get_string());
    const auto number = [](std::string_view digits, std::int64_t& to) {
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), to);
      return error == std::errc() && end == digits.data() + digits.size();
    };
    if (const auto percent = text.find('%'); percent != std::string_view::npos) {
      if (!number(text.substr(0, percent), step.percent)) return wrong();
      text.remove_prefix(percent + 1);
      if (!text.empty() && text[0] != '+') return wrong();
      if (!text.empty() && !number(text.substr(1), step.plus)) return wrong();
    } else if (!number(text, step.plus)) {
      return wrong();
    }
  } else {
    return wrong();
  }
  if (step.percent < 0 || step.percent > 100'000 || step.plus < 0 || step.plus > kHostsMax) return wrong();
  if (step.percent == 0 && step.plus == 0) return bad("a step of nothing never gets anywhere", field, "at least 1");
  return step;
}

std::string step_text(const model::PoolStep& step) {
  if (step.percent == 0) return fmt::format("{}", step.plus);
  return step.plus == 0 ? fmt::format("{}%", step.percent) : fmt::format("{}%+{}", step.percent, step.plus);
}

Result<Millis> idle_time_of(const std::string& text) {
  if (text == "never") return model::PoolLimits::kNever;
  if (text == "0") return Millis(0);
  const auto time = parse_duration(text);
  if (!time) return bad(time.error().message, "/limits/idleTime", "a duration such as \"5m\", \"0\" or \"never\"");
  return *time;
}

struct Alias {
  std::optional<std::int64_t> PoolLimitsShape::*own;
  std::optional<std::int64_t> PoolLimitsShape::*old;
  std::string_view own_name, old_name;
  std::int64_t model::PoolLimits::*to;
};

Result<void> read_counts(const PoolLimitsShape& shape, model::PoolLimits& limits) {
  using S = PoolLimitsShape;
  using L = model::PoolLimits;
  static constexpr Alias kCounts[] = {
      {&S::minimum, &S::minimumRunning, "minimum", "minimumRunning", &L::minimum},
      {&S::maximum, &S::maximumJobHosts, "maximum", "maximumJobHosts", &L::maximum},
      {&S::minimumIdle, nullptr, "minimumIdle", "", &L::minimum_idle},
      {&S::maximumIdle, &S::maximumIdleJobHosts, "maximumIdle", "maximumIdleJobHosts", &L::maximum_idle}};
  for (const auto& count : kCounts) {
    const auto own = shape.*count.own;
    const auto old = count.old == nullptr ? std::nullopt : shape.*count.old;
    if (own && old)
      return bad(fmt::format("'{}' and '{}' are one thing", count.own_name, count.old_name),
                 fmt::format("/limits/{}", count.old_name), "give one of them");
    if (!own && !old) continue;
    const auto n = own ? *own : *old;
    const auto field = fmt::format("/limits/{}", own ? count.own_name : count.old_name);
    if (auto ok = in_range(n, 0, kHostsMax, field); !ok) return ok;
    limits.*count.to = n;
  }
  if (!shape.maximumIdle && !shape.maximumIdleJobHosts)
    limits.maximum_idle = std::max(limits.maximum_idle, limits.minimum_idle);
  if (limits.minimum > limits.maximum)
    return bad(fmt::format("the minimum, {}, is more than the maximum, {}", limits.minimum, limits.maximum),
               "/limits/minimum", "at most the maximum");
  if (limits.minimum_idle > limits.maximum_idle)
    return bad(fmt::format("{} idle hosts are wanted, but at most {}", limits.minimum_idle, limits.maximum_idle),
               "/limits/minimumIdle", "at most maximumIdle");
  return {};
}

Result<model::PoolLimits> limits_of(const PoolLimitsShape& shape, std::optional<std::int64_t> usual_maximum) {
  model::PoolLimits limits;
  if (usual_maximum) limits.maximum = *usual_maximum;
  if (auto ok = read_counts(shape, limits); !ok) return ok.error();
  if (shape.idleTime) {
    const auto time = idle_time_of(*shape.idleTime);
    if (!time) return time.error();
    limits.idle_time = *time;
  }
  const auto time = [&](const std::optional<json::Duration>& from, std::string_view name, Millis least,
                        Millis& to) -> Result<void> {
    if (!from) return {};
    to = from->ms;
    if (to >= least && to <= kDay) return {};
    return bad(fmt::format("{} is not allowed", format_duration(to)), fmt::format("/limits/{}", name),
               fmt::format("from {} to 1d", format_duration(least)));
  };
  if (auto ok = time(shape.interval, "interval", 1'000, limits.interval); !ok) return ok.error();
  if (auto ok = time(shape.scaleInWindow, "scaleInWindow", 0, limits.scale_in_window); !ok) return ok.error();
  if (auto ok = time(shape.cooldownOut, "cooldownOut", 0, limits.cooldown_out); !ok) return ok.error();
  if (auto ok = time(shape.cooldownIn, "cooldownIn", 0, limits.cooldown_in); !ok) return ok.error();
  if (auto ok = time(shape.bootTimeout, "bootTimeout", 1'000, limits.boot_timeout); !ok) return ok.error();
  for (const auto& [from, name, to] : {std::tuple(&shape.stepOut, "stepOut", &limits.step_out),
                                       std::tuple(&shape.stepIn, "stepIn", &limits.step_in)}) {
    if (!*from) continue;
    const auto step = step_of(**from, fmt::format("/limits/{}", name));
    if (!step) return step.error();
    *to = *step;
  }
  limits.drain_busy = shape.drainBusy.value_or(limits.drain_busy);
  limits.cost = shape.cost.value_or(limits.cost);
  if (!std::isfinite(limits.cost) || limits.cost < 0)
    return bad("a cost is no less than nothing", "/limits/cost", "0 or more");
  return limits;
}

json::object limits_json(const model::PoolLimits& limits) {
  const auto duration = [](Millis time) { return json::value(std::string_view(format_duration(time))); };
  const auto step = [](const model::PoolStep& from) { return json::value(std::string_view(step_text(from))); };
  return {
      {"minimum", limits.minimum},
      {"maximum", limits.maximum},
      {"minimumIdle", limits.minimum_idle},
      {"maximumIdle", limits.maximum_idle},
      {"idleTime", limits.idle_time == model::PoolLimits::kNever ? json::value("never") : duration(limits.idle_time)},
      {"interval", duration(limits.interval)},
      {"scaleInWindow", duration(limits.scale_in_window)},
      {"cooldownOut", duration(limits.cooldown_out)},
      {"cooldownIn", duration(limits.cooldown_in)},
      {"stepOut", step(limits.step_out)},
      {"stepIn", step(limits.step_in)},
      {"bootTimeout", duration(limits.boot_timeout)},
      {"drainBusy", limits.drain_busy},
      {"cost", limits.cost}};
}

}  // namespace

Result<model::PoolSettings> pool_settings(const PoolShape& shape, std::int64_t local_maximum) {
  model::PoolSettings settings;
  settings.acts = shape.mode == PoolMode::act;
  auto like = template_of(shape.template_);
  if (!like) return like.error();
  auto provider = part_of(shape.provider, "provider", providers());
  if (!provider) return provider.error();
  auto policy = part_of(shape.policy, "policy", policies());
  if (!policy) return policy.error();
  auto limits = limits_of(shape.limits, provider->name == "local" ? std::optional(local_maximum) : std::nullopt);
  if (!limits) return limits.error();
  settings.like = std::move(*like);
  settings.provider = std::move(*provider);
  settings.policy = std::move(*policy);
  settings.limits = *limits;
  return settings;
}

json::object pool_json(const model::Pool& pool) {
  const auto& settings = pool.settings;
  PoolTemplateShape like;
  like.slots = settings.like.slots;
  like.memory.bytes = settings.like.memory;
  like.labels = settings.like.labels;
  like.types = settings.like.types;
  like.tenants = settings.like.tenants;
  json::object to{{"name", std::string_view(pool.name)},
                  {"version", pool.version},
                  {"mode", settings.acts ? "act" : "observe"},
                  {"paused", pool.paused},
                  {"template", json::write(like)},
                  {"provider", part_json(settings.provider)},
                  {"policy", part_json(settings.policy)},
                  {"limits", limits_json(settings.limits)}};
  if (pool.scale)
    to.emplace("scale", json::object{{"wanted", pool.scale->wanted},
                                     {"until", std::string_view(format_time(pool.scale->until))}});
  if (pool.removing) to.emplace("removing", true);
  return to;
}

Result<void> check(const ScaleShape& shape) {
  if (auto ok = in_range(shape.wanted, 0, kHostsMax, "/wanted"); !ok) return ok;
  if (!shape.for_ || (shape.for_->ms >= 1'000 && shape.for_->ms <= 365 * kDay)) return {};
  return bad(fmt::format("{} is not allowed", format_duration(shape.for_->ms)), "/for", "from 1s to 365d");
}

Result<void> check_mark(std::string_view text, std::string_view what, std::string field) {
  const bool visible = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 127; });
  if (visible && !text.empty() && text.size() <= 200) return {};
  return bad(fmt::format("this is no {}", what), std::move(field), "1 to 200 visible ASCII characters");
}

Result<void> check(const RecordShape& shape) {
  if (shape.intents.size() > 1'000) return fail(Code::tooMany, "too many intents", "/intents", "at most 1,000");
  for (std::size_t i = 0; i < shape.intents.size(); ++i) {
    const auto& intent = shape.intents[i];
    const auto field = fmt::format("/intents/{}", i);
    if (auto ok = check_mark(intent.request, "request", field + "/request"); !ok) return ok;
    if (auto ok = in_range(intent.count, 0, kHostsMax, field + "/count"); !ok) return ok;
    for (std::size_t k = 0; k < intent.instances.size(); ++k)
      if (auto ok = check_mark(intent.instances[k], "instance", fmt::format("{}/instances/{}", field, k)); !ok)
        return ok;
    if (intent.refusal && !intent.refusal->is_object())
      return bad("this is no refusal", field + "/refusal", "an object");
  }
  if (shape.machines.size() > std::size_t(kHostsMax))
    return fail(Code::tooMany, "too many machines", "/machines", "at most 100,000");
  for (std::size_t i = 0; i < shape.machines.size(); ++i) {
    const auto& machine = shape.machines[i];
    const auto field = fmt::format("/machines/{}", i);
    if (auto ok = check_mark(machine.instance, "instance", field + "/instance"); !ok) return ok;
    if (!machine.request.empty())
      if (auto ok = check_mark(machine.request, "request", field + "/request"); !ok) return ok;
    if (machine.zone.size() > kTextBytesMax) return fail(Code::tooLarge, "this is too long", field + "/zone");
    if (machine.reason.size() > kTextBytesMax) return fail(Code::tooLarge, "this is too long", field + "/reason");
  }
  if (!shape.decision) return {};
  const auto& decision = *shape.decision;
  if (!decision.input.is_object()) return bad("this is no input", "/decision/input", "an object");
  if (boost::json::serialize(decision.input).size() > kInputBytesMax)
    return fail(Code::tooLarge, "this is too long", "/decision/input", "at most 256 KiB");
  if (decision.changes && !decision.changes->is_object())
    return bad("these are no changes", "/decision/changes", "an object");
  for (const auto& [text, name] : {std::pair(&decision.policy, "policy"), std::pair(&decision.reason, "reason"),
                                   std::pair(&decision.outcome, "outcome")})
    if (text->size() > kTextBytesMax)
      return fail(Code::tooLarge, "this is too long", fmt::format("/decision/{}", name), "at most 1,000 bytes");
  return {};
}

}  // namespace geres::wire
