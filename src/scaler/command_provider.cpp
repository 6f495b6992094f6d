// SPDX-License-Identifier: Apache-2.0
#include "scaler/command_provider.h"

#include <sysexits.h>

#include <system_error>
#include <utility>

#include "base/duration.h"
#include "scaler/settings.h"

namespace geres::scaler {

// What a hook prints. Members that are unknown here are passed over, so that a hook may say more.
struct HookMachine {
  static constexpr std::string_view kRequired[] = {"instance"};
  std::string instance;
  MachineState state = MachineState::running;
  std::optional<json::Time> createdAt;
  std::optional<std::string> request, zone, reason;
};
BOOST_DESCRIBE_STRUCT(HookMachine, (), (instance, state, createdAt, request, zone, reason))

struct HookList {
  static constexpr std::string_view kRequired[] = {"machines"};
  std::vector<HookMachine> machines;
};
BOOST_DESCRIBE_STRUCT(HookList, (), (machines))

struct HookRefusal {
  Why why = Why::unknown;
  std::optional<json::Duration> retryAfter;
  std::string text;
};
BOOST_DESCRIBE_STRUCT(HookRefusal, (), (why, retryAfter, text))

struct HookOrdered {
  static constexpr std::string_view kRequired[] = {"instances"};
  std::vector<std::string> instances;
  std::optional<std::int64_t> accepted;  // absent: as many as are named
  std::optional<HookRefusal> refusal;
};
BOOST_DESCRIBE_STRUCT(HookOrdered, (), (instances, accepted, refusal))

enum class HookOutcome { removed, woken, notFound, failed };
BOOST_DESCRIBE_ENUM(HookOutcome, removed, woken, notFound, failed)

struct HookChange {
  static constexpr std::string_view kRequired[] = {"instance"};
  std::string instance;
  HookOutcome outcome = HookOutcome::removed;
  std::string text;
};
BOOST_DESCRIBE_STRUCT(HookChange, (), (instance, outcome, text))

struct HookChanged {
  static constexpr std::string_view kRequired[] = {"instances"};
  std::vector<HookChange> instances;
};
BOOST_DESCRIBE_STRUCT(HookChanged, (), (instances))

namespace {

constexpr std::size_t kMachinesMax = 100'000;

Refusal senseless(const Error& error) {
  return {Why::unknown, 0,
          "the hook's answer makes no sense: " + (error.field.empty() ? "" : error.field + ": ") + error.message, true};
}

Refusal refusal_of(const Ran& ran, const RunLimits& limits) {
  const auto said = ran.last_line.empty() ? std::string("it said nothing") : ran.last_line;
  if (ran.stopped) return {Why::unknown, 0, "the scaler stopped", true};
  if (ran.too_long) return {Why::unknown, 0, "the hook did not end within " + format_duration(limits.time_max), true};
  if (ran.too_much)
    return {Why::unknown, 0, "the hook printed more than " + format_size(std::int64_t(limits.out_max)), true};
  switch (ran.exit_code) {
    case -1:
      return {Why::unknown, 0, "the hook was killed", true};
    case EX_TEMPFAIL:
      return {Why::throttled, 0, said, false};
    case EX_UNAVAILABLE:
      return {Why::capacity, 0, said, false};
    case EX_NOPERM:
      return {Why::unauthorized, 0, said, false};
    default:
      return {Why::unknown, 0, said, false};
  }
}

}  // namespace

Result<std::unique_ptr<Provider>> CommandProvider::make(const Pool& pool, const Join& join) {
  std::unique_ptr<CommandProvider> made(new CommandProvider(pool, join));
  const json::value all(pool.provider_settings);
  std::optional<Error> error;
  const Settings from(all, "", error);
  from.texts("command", made->command_);
  if (made->command_.empty() || made->command_[0].empty())
    from.wrong("command", "the program and its arguments", "[\"/etc/geres/scale.sh\"]");
  from.texts("env", made->environment_);
  from.flag("marks", made->capabilities_.marks);
  from.flag("sleeps", made->capabilities_.sleeps);
  from.integer("mostACall", made->capabilities_.most_a_call, 1, 10'000);
  from.duration("timeout", made->limits_.time_max, 1'000);
  if (error) return *error;
  return std::unique_ptr<Provider>(std::move(made));
}

Told<json::value> CommandProvider::call(const char* verb, json::object input, const std::string& request) {
  input["pool"] = pool_.name;
  input["verb"] = verb;
  if (!request.empty()) input["request"] = request;
  Program program{command_, plain_environment(), {}};
  program.argv.emplace_back(verb);
  for (const auto& [name, value] : environment_) program.environment[name] = value;
  program.environment["GERES_POOL"] = pool_.name;
  program.environment["GERES_HUB"] = join_.hub;
  if (!request.empty()) program.environment["GERES_REQUEST"] = request;
  Ran ran;
  try {
    ran = run_program(program, boost::json::serialize(input), limits_, stop_);
  } catch (const std::system_error& trouble) {
    return Refusal{Why::invalid, 0, "the hook cannot be run: " + std::string(trouble.what()), false};
  }
  if (ran.exit_code != 0 || ran.too_long || ran.too_much || ran.stopped) return refusal_of(ran, limits_);
  auto answer = json::parse(ran.out);
  if (!answer) return senseless(answer.error());
  return std::move(*answer);
}

Told<std::vector<Machine>> CommandProvider::list() {
  const auto answer = call("list", {}, {});
  if (!answer) return answer.error();
  auto listed = json::read<HookList>(*answer, json::Unknown::ignored);
  if (!listed) return senseless(listed.error());
  if (listed->machines.size() > kMachinesMax)
    return Refusal{Why::unknown, 0, "the hook lists too many machines", false};
  std::vector<Machine> machines;
  for (auto& machine : listed->machines)
    machines.push_back({std::move(machine.instance), machine.state, machine.createdAt ? machine.createdAt->at : 0,
                        machine.request.value_or(""), machine.zone.value_or(""), machine.reason.value_or("")});
  return machines;
}

Told<Ordered> CommandProvider::order(const Order& order) {
  const auto& what = pool_.what;
  json::object input, of;
  of["slots"] = what.slots;
  if (what.memory_bytes > 0) of["memory"] = what.memory_bytes;
  of["labels"] = json::write(what.labels);
  of["types"] = json::write(what.types);
  of["tenants"] = json::write(what.tenants);
  input["template"] = std::move(of);
  input["count"] = order.count;
  input["hub"] = join_.hub;
  input["joinToken"] = order.join_token;
  const auto answer = call("order", std::move(input), order.request);
  if (!answer) return answer.error();
  auto said = json::read<HookOrdered>(*answer, json::Unknown::ignored);
  if (!said) return senseless(said.error());
  Ordered ordered{std::move(said->instances), 0, std::nullopt};
  ordered.accepted = said->accepted.value_or(std::int64_t(ordered.instances.size()));
  if (said->refusal)
    ordered.refusal = Refusal{said->refusal->why, said->refusal->retryAfter ? said->refusal->retryAfter->ms : 0,
                              said->refusal->text, false};
  return ordered;
}

Told<std::vector<Removed>> CommandProvider::change(const char* verb, std::span<const std::string> instances,
                                                   const std::string& request) {
  json::object input;
  input["instances"] = json::write(std::vector<std::string>(instances.begin(), instances.end()));
  const auto answer = call(verb, std::move(input), request);
  if (!answer) return answer.error();
  auto said = json::read<HookChanged>(*answer, json::Unknown::ignored);
  if (!said) return senseless(said.error());
  std::vector<Removed> changed;
  for (auto& change : said->instances)
    changed.push_back({std::move(change.instance),
                       change.outcome == HookOutcome::failed     ? Removed::Outcome::failed
                       : change.outcome == HookOutcome::notFound ? Removed::Outcome::not_found
                                                                 : Removed::Outcome::removed,
                       std::move(change.text)});
  return changed;
}

Told<std::vector<Removed>> CommandProvider::remove(std::span<const std::string> instances, const std::string& request) {
  return change("remove", instances, request);
}

Told<std::vector<Removed>> CommandProvider::wake(std::span<const std::string> instances, const std::string& request) {
  return change("wake", instances, request);
}

}  // namespace geres::scaler
