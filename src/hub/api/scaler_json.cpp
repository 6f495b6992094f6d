// SPDX-License-Identifier: Apache-2.0
#include "hub/api/scaler_json.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"

namespace geres::hub::api {

Result<void> above_tenants(const Call& call) {
  if (call.who.operates()) return {};
  return fail(Code::forbidden, fmt::format("token '{}' is bound to tenants", call.who.name), {},
              "pools serve all tenants: use an operator's token for all of them");
}

Error no_such_pool(const std::string& name) {
  return fail(Code::notFound, fmt::format("there is no pool '{}'", replace_bad_utf8(utf8_prefix(name, 80))), {},
              "GET /v1/scaler/pools lists them");
}

// Blocking.
Result<model::Pool> stored_pool(Call& call) {
  const auto& name = call.capture("name");
  auto pool = call.api.reads.pool(name);
  if (!pool) return no_such_pool(name);
  return std::move(*pool);
}

std::string_view word_of(const store::MachineRow& machine, const engine::HostInfo* host) {
  using State = model::MachineState;
  const bool settled = machine.state == State::retiring || machine.state == State::gone ||
                       machine.state == State::failed || machine.state == State::asleep;
  if (host != nullptr && !settled) {
    if (host->host.mode == model::HostMode::stop) return "retiring";
    return host->host.mode == model::HostMode::drain ? "draining" : "ready";
  }
  return boost::describe::enum_to_string(machine.state, "?");
}

json::object machine_json(const store::MachineRow& machine, const engine::HostInfo* host) {
  json::object to{{"instance", text(machine.instance)},
                  {"state", text(word_of(machine, host))},
                  {"request", text(machine.request)},
                  {"orderedAt", time_json(machine.ordered_at)}};
  if (!machine.zone.empty()) to.emplace("zone", text(machine.zone));
  if (machine.ready_at) to.emplace("readyAt", time_json(*machine.ready_at));
  if (machine.gone_at) to.emplace("goneAt", time_json(*machine.gone_at));
  if (!machine.reason.empty()) to.emplace("reason", text(machine.reason));
  return to;
}

// ---- which host is on which machine

Fleet::Fleet(engine::SnapshotPtr snapshot) : snapshot_(std::move(snapshot)) {
  for (std::size_t i = 0; i < snapshot_->hosts.size(); ++i) {
    const auto& info = *snapshot_->hosts[i].info;
    if (info.host.instance.empty()) continue;
    const auto [known, added] = by_machine_.try_emplace({info.host.pool, info.host.instance}, i);
    if (!added && info.alive && !snapshot_->hosts[known->second].info->alive) known->second = i;
  }
  for (const auto& lane : snapshot_->lane_views)
    if (lane.ready > 0) waiting_.insert(lane.batch);
}

const engine::HostInfo* Fleet::host_on(const store::MachineRow& machine) const {
  const auto found = by_machine_.find({machine.pool, machine.instance});
  return found == by_machine_.end() ? nullptr : snapshot_->hosts[found->second].info.get();
}

json::object Fleet::show(const store::MachineRow& machine, Millis now) const {
  const auto index = by_machine_.at({machine.pool, machine.instance});
  const auto& info = *snapshot_->hosts[index].info;
  const auto& host = info.host;
  json::object to{{"id", text(host.id.str())},
                  {"name", text(host.name)},
                  {"mode", json::write(host.mode)},
                  {"slots", host.slots},
                  {"busy", info.slots_busy}};
  if (host.mode != model::HostMode::run) to.emplace("by", json::write(host.mode_by));
  if (info.idle_since) to.emplace("idleSince", time_json(*info.idle_since));
  Millis rest = 0;
  for (const auto& lease : info.leases) rest = std::max(rest, lease.granted_at + lease.expected - now);
  if (!info.leases.empty()) to.emplace("restSeconds", double(rest) / 1'000);
  const auto dedicated = snapshot_->host_views[index].dedicated_to;
  to.emplace("dedicated", dedicated && waiting_.contains(*dedicated));
  to.emplace("lost", !info.alive);
  to.emplace("unfit", info.health == model::Health::unfit);
  const auto keep = host.labels.find("geres.keep");
  to.emplace("keep", keep != host.labels.end() && keep->second != "false");
  return to;
}

json::object intent_json(const store::IntentRow& intent) {
  json::object to{{"request", text(intent.request)},
                  {"verb", json::write(intent.verb)},
                  {"state", json::write(intent.state)},
                  {"issuedAt", time_json(intent.issued_at)}};
  if (intent.verb == model::ScalerVerb::order)
    to.emplace("count", intent.count);
  else
    to.emplace("instances", json::write(intent.instances));
  if (!intent.refusal.empty())
    if (auto refusal = json::parse(intent.refusal)) to.emplace("refusal", std::move(*refusal));
  return to;
}

json::object decision_json(const store::DecisionRow& decision) {
  json::object to{{"id", decision.id},
                  {"pool", text(decision.pool)},
                  {"at", time_json(decision.at)},
                  {"lastAt", time_json(decision.last_at)},
                  {"times", decision.times},
                  {"policy", text(decision.policy)},
                  {"raw", decision.raw},
                  {"wanted", decision.wanted},
                  {"actual", decision.actual}};
  const auto put = [&](std::string_view name, const std::string& from) {
    if (auto parsed = json::parse(from.empty() ? "{}" : from)) to.emplace(name, std::move(*parsed));
  };
  put("input", decision.input);
  put("changes", decision.changes);
  if (!decision.reason.empty()) to.emplace("reason", text(decision.reason));
  if (!decision.outcome.empty()) to.emplace("outcome", text(decision.outcome));
  return to;
}

}  // namespace geres::hub::api
