// SPDX-License-Identifier: Apache-2.0
// The fence: a machine may be removed once all its hosts are stopped and hold no lease. A host is stopped for good only
// while it drains and holds none, and one that joins on such a machine later is stopped from its first moment on. The
// engine is the only one that grants; so what was empty then stays so, whatever becomes of the scaler's messages.
#include "hub/engine/scaling.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/json.h"
#include "hub/engine/pool_load.h"

namespace geres::hub::engine {

using model::HostMode;
using model::MachineState;
using model::ModeBy;
using model::ScalerVerb;
using store::EventType;

namespace {

Error no_pool(const std::string& name) {
  return fail(Code::notFound, fmt::format("there is no pool '{}'", name), {}, "GET /v1/scaler/pools lists them");
}

constexpr Millis kNoEnd = 7'258'118'400'000;  // in the year 2200

std::string why_of(const store::IntentRow& intent) {
  const auto refusal = intent.refusal.empty() ? Result<json::value>(json::value()) : json::parse(intent.refusal);
  if (refusal && refusal->is_object())
    if (const auto* why = refusal->get_object().if_contains("why"); why != nullptr && why->is_string())
      return std::string(utf8_prefix(why->get_string(), 40));
  return "unknown";
}

// A hook that marks machines is told for which pool it works. One that cannot would list those of both.
bool share_machines(const model::PoolPart& a, const model::PoolPart& b) {
  if (a.name != "command" || b.name != "command") return false;
  const auto x = json::parse(a.settings), y = json::parse(b.settings);
  if (!x || !y || !x->is_object() || !y->is_object()) return false;
  const auto unmarked = [](const json::object& settings) {
    const auto* marks = settings.if_contains("marks");
    return marks != nullptr && marks->is_bool() && !marks->get_bool();
  };
  const auto same = [&](std::string_view member) {
    const auto* left = x->get_object().if_contains(member);
    const auto* right = y->get_object().if_contains(member);
    return (left != nullptr ? *left : json::value()) == (right != nullptr ? *right : json::value());
  };
  return (unmarked(x->get_object()) || unmarked(y->get_object())) && same("command") && same("env");
}

bool takes_away(ScalerVerb verb) {
  return verb == ScalerVerb::remove || verb == ScalerVerb::sleep;
}

}  // namespace

// ---- pools ----------------------------------------------------------------------------------------------------------

Result<PoolState*> Scaling::find_pool(const std::string& name, std::optional<std::int64_t> version) {
  const auto found = state_.pools.find(name);
  if (found == state_.pools.end()) return no_pool(name);
  if (version && *version != found->second.row.version)
    return fail(Code::conflict,
                fmt::format("pool '{}' is of version {}, not {}", name, found->second.row.version, *version), {},
                "somebody has changed it meanwhile: read it again first");
  return &found->second;
}

model::Pool Scaling::put(PoolState& pool) {
  ++pool.row.version;
  store_.changes().pools.push_back(pool.row);
  pool_changed(pool.row.name);
  return pool.row;
}

// Whether they are packed depends on it, and which jobs count for it.
void Scaling::pool_changed(const std::string& pool) {
  pools_changed(state_);
  for (auto& [id, host] : state_.hosts)
    if (host.row.pool == pool) state_.board.touch(host);
}

Result<model::Pool> Scaling::put_pool(model::Pool wanted, std::optional<std::int64_t> version) {
  for (const auto& [name, other] : state_.pools)
    if (name != wanted.name && share_machines(other.row.settings.provider, wanted.settings.provider))
      return fail(Code::conflict,
                  fmt::format("pool '{}' has the same provider, and neither tells its machines from the other's", name),
                  "/provider", "another command or environment, or a hook that marks its machines");
  const bool there = state_.pools.contains(wanted.name);
  if (there || version) {
    const auto found = find_pool(wanted.name, version);
    if (!found) return found.error();
    auto& row = (*found)->row;
    row.settings = std::move(wanted.settings);
    if (std::exchange(row.removing, false)) row.scale.reset();
    return put(**found);
  }
  auto& pool = state_.pools[wanted.name];
  pool.row = std::move(wanted);
  pool.row.version = 0;
  machines_.adopt(pool.row.name);
  return put(pool);
}

bool Scaling::has_machines(const std::string& pool) const {
  const auto first = state_.machines.lower_bound({pool, ""});
  return first != state_.machines.end() && first->first.first == pool;
}

Result<std::optional<model::Pool>> Scaling::delete_pool(const std::string& name, std::optional<std::int64_t> version,
                                                        bool drain) {
  const auto found = find_pool(name, version);
  if (!found) return found.error();
  auto& pool = **found;
  const bool empty = !has_machines(name) && pool.open_intents.empty();
  if (!empty && !drain)
    return fail(Code::conflict, fmt::format("pool '{}' still has machines, or some are on order", name), {},
                "?drain=true has them drained and removed first");
  pool.row.removing = true;
  if (remove_if_empty(name)) return std::optional<model::Pool>();
  // Nothing but orders to the scaler that it knows anyway.
  pool.row.paused = false;
  pool.row.settings.acts = true;
  pool.row.settings.limits.minimum = pool.row.settings.limits.minimum_idle = 0;
  pool.row.scale = model::Pool::Scale{0, kNoEnd};
  return std::optional(put(pool));
}

bool Scaling::remove_if_empty(const std::string& name) {
  const auto pool = state_.pools.find(name);
  if (!pool->second.row.removing || has_machines(name) || !pool->second.open_intents.empty()) return false;
  store_.changes().pools_removed.push_back(name);
  pool_changed(name);
  state_.pools.erase(pool);
  return true;
}

Result<model::Pool> Scaling::pause_pool(const std::string& name, std::optional<std::int64_t> version, bool paused) {
  const auto found = find_pool(name, version);
  if (!found) return found.error();
  if ((*found)->row.paused == paused) return (*found)->row;
  (*found)->row.paused = paused;
  return put(**found);
}

Result<model::Pool> Scaling::scale_pool(const std::string& name, std::optional<std::int64_t> version,
                                        std::optional<model::Pool::Scale> scale) {
  const auto found = find_pool(name, version);
  if (!found) return found.error();
  const auto& limits = (*found)->row.settings.limits;
  if (scale && scale->wanted > limits.maximum)
    return fail(Code::badValue, fmt::format("{} hosts are more than the pool's maximum", scale->wanted), "/wanted",
                fmt::format("at most {}", limits.maximum));
  (*found)->row.scale = scale;
  return put(**found);
}

// ---- who scales -----------------------------------------------------------------------------------------------------

Result<void> Scaling::leads(std::int64_t epoch) const {
  if (epoch == state_.scaler.epoch && epoch > 0) return {};
  return fail(Code::staleScaler, fmt::format("epoch {} is over, it is {} now", epoch, state_.scaler.epoch));
}

// Renewing it writes nothing, so that a fleet at rest costs no sync.
Result<ScalerLease> Scaling::take(const std::string& holder, std::optional<std::int64_t> epoch) {
  auto& scaler = state_.scaler;
  if (epoch) {
    if (auto ok = leads(*epoch); !ok) return ok.error();
    if (scaler.holder != holder)
      return fail(Code::staleScaler, fmt::format("epoch {} is not of '{}'", *epoch, holder), "/holder");
  } else {
    // Its own answer may have been lost.
    const Millis left = state_.scaler_until - now_.monotonic;
    if (scaler.epoch > 0 && left > 0 && scaler.holder != holder)
      return fail(Code::scalerHeld,
                  fmt::format("the scaler '{}' is at work until {}", scaler.holder, format_time(now_.wall + left)));
    scaler = {holder, scaler.epoch + 1};
    store_.changes().scaler.push_back(scaler);
  }
  state_.scaler_until = now_.monotonic + kScalerLease;
  return ScalerLease{scaler.epoch, kScalerLease};
}

// ---- what it did ----------------------------------------------------------------------------------------------------

Result<Recorded> Scaling::record(const RecordScaling& news) {
  if (auto ok = leads(news.epoch); !ok) return ok.error();
  const auto pool = find_pool(news.pool, std::nullopt);
  if (!pool) return pool.error();
  for (std::size_t i = 0; i < news.intents.size(); ++i)
    if (auto ok = check(news.pool, news.intents[i]); !ok) {
      auto error = ok.error();
      error.field = fmt::format("/intents/{}", i);
      return error;
    }
  Recorded recorded;
  for (const auto& intent : news.intents) take_in(**pool, intent);
  for (const auto& machine : news.machines)
    if (!take_in(news.pool, machine)) recorded.withheld.push_back(machine.instance);
  if (news.decision) recorded.decision = take_in(**pool, *news.decision);
  remove_if_empty(news.pool);
  return recorded;
}

Result<void> Scaling::check(const std::string& pool, const store::IntentRow& intent) {
  if (const auto known = store_.read().intent(intent.request)) {
    if (known->pool == pool && known->verb == intent.verb) return {};
    return fail(Code::conflict, fmt::format("request '{}' is another one, of pool '{}'", intent.request, known->pool));
  }
  if (!takes_away(intent.verb)) return {};
  for (const auto& instance : intent.instances)
    if (machines_.may_run_jobs({pool, instance}))
      return fail(Code::hostBusy, fmt::format("machine '{}' may still run something", instance));
  return {};
}

// Once it is known what became of a request, an older message about it changes nothing.
void Scaling::take_in(PoolState& pool, store::IntentRow intent) {
  intent.pool = pool.row.name;
  intent.issued_at = now_.wall;
  if (const auto known = store_.read().intent(intent.request)) {
    if (!model::is_open(known->state)) return;
    intent.issued_at = known->issued_at;
    intent.count = known->count;
    intent.instances = known->instances;
    if (intent == *known) return;
  } else {
    for (const auto& instance : intent.instances) {
      const Machines::Key key(pool.row.name, instance);
      if (takes_away(intent.verb)) retire_machine(key);
      if (const auto row = machines_.find(key);
          row && intent.verb == ScalerVerb::wake && row->state == MachineState::asleep) {
        auto woken = *row;
        woken.state = MachineState::booting;
        machines_.put(std::move(woken));
      }
    }
  }
  if (intent.state == model::IntentState::refused || intent.state == model::IntentState::failed)
    out_.scaler_seen.push_back(
        {.what = ScalerSeen::What::provider_failed, .pool = pool.row.name, .word = why_of(intent)});
  if (model::is_open(intent.state))
    pool.open_intents.insert(intent.request);
  else
    pool.open_intents.erase(intent.request);
  store_.changes().intents.push_back(std::move(intent));
}

// Also one that nobody knows: a host of it may still be on its way. Its hosts are stopped for good, whoever has stopped
// them.
void Scaling::retire_machine(const Machines::Key& key) {
  if (const auto hosts = state_.machine_hosts.find(key); hosts != state_.machine_hosts.end())
    for (const auto id : hosts->second)
      hosts_.set_mode(state_.hosts.at(id), HostMode::stop, ModeBy::scaler, "its machine is being removed");
  auto row = machines_.find(key);
  if (row && (row->state == MachineState::retiring || row->state == MachineState::gone)) return;
  if (!row) row = store::MachineRow{key.first, key.second, MachineState::retiring, {}, {}, now_.wall, {}, {}, {}};
  row->state = MachineState::retiring;
  machines_.put(std::move(*row));
}

// What the provider says of a machine, as far as the hub does not know better: false if it says gone of one whose host
// is there. An older message may come late, so that only a new order brings a machine back.
bool Scaling::take_in(const std::string& pool, store::MachineRow news) {
  const Machines::Key key(pool, news.instance);
  const auto known = machines_.find(key);
  store::MachineRow row = known.value_or(
      store::MachineRow{pool, news.instance, MachineState::ordered, news.request, {}, now_.wall, {}, {}, {}});
  if (!news.request.empty()) {
    if (row.state == MachineState::gone && row.request != news.request && !machines_.may_run_jobs(key))
      row = {pool, news.instance, MachineState::ordered, news.request, {}, now_.wall, {}, {}, {}};
    if (row.request.empty()) row.request = news.request;
  }
  if (row.state == MachineState::gone && known) return true;
  const bool waits =
      row.state == MachineState::ordered || row.state == MachineState::booting || row.state == MachineState::failed;
  switch (news.state) {
    case MachineState::gone:
      if (!is_gone(key)) return false;
      row.state = MachineState::gone;
      row.gone_at = now_.wall;
      break;
    case MachineState::failed:
      if (row.state != MachineState::retiring) row.state = MachineState::failed;
      break;
    case MachineState::asleep:
      if (waits || row.state == MachineState::retiring) row.state = MachineState::asleep;
      break;
    case MachineState::ordered:
      if (row.state == MachineState::failed) row.state = MachineState::ordered;
      break;
    default:  // it runs, says the provider; that it is ready its host says
      if (waits) row.state = MachineState::booting;
  }
  if (!news.zone.empty()) row.zone = news.zone;
  row.reason = news.reason;
  if (!known || row != *known) machines_.put(std::move(row));
  return true;
}

// Hosts that were lost with it are stopped, so that none comes back to be granted to.
bool Scaling::is_gone(const Machines::Key& key) {
  const auto hosts = state_.machine_hosts.find(key);
  if (hosts == state_.machine_hosts.end()) return true;
  for (const auto id : hosts->second) {
    const auto& host = state_.hosts.at(id);
    if (!host.leases.empty() || (!host.lost && host.row.mode != HostMode::stop)) return false;
  }
  for (const auto id : hosts->second)
    hosts_.set_mode(state_.hosts.at(id), HostMode::stop, ModeBy::scaler, "its machine is gone");
  return true;
}

std::int64_t Scaling::take_in(PoolState& pool, store::DecisionRow decision) {
  decision.pool = pool.row.name;
  decision.at = decision.last_at = now_.wall;
  const auto last = store_.read().last_decision(pool.row.name);
  const auto same = [](const store::DecisionRow& a, const store::DecisionRow& b) {
    return std::tie(a.policy, a.raw, a.wanted, a.actual, a.reason, a.outcome) ==
           std::tie(b.policy, b.raw, b.wanted, b.actual, b.reason, b.outcome);
  };
  if (last && last->changes.empty() && decision.changes.empty() && same(*last, decision)) {
    decision.id = last->id;
    decision.at = last->at;
    decision.times = last->times + 1;
  } else {
    decision.id = ++state_.last_decision;
    decision.times = 1;
  }
  tell(pool, decision);
  const auto id = decision.id;
  store_.changes().decisions.push_back(std::move(decision));
  return id;
}

// What was changed, and when trouble begins and ends: a policy's is told when it lasts.
void Scaling::tell(PoolState& pool, const store::DecisionRow& decision) {
  const store::ScalerEvent event{pool.row.name, decision.wanted, decision.actual, decision.reason, decision.outcome};
  if (!decision.changes.empty()) events_.emit(EventType::scaler_decided, {}, "", event);
  const bool was_failing = pool.is_failing();
  pool.trouble.note(decision.outcome);
  if (pool.is_failing() != was_failing)
    events_.emit(was_failing ? EventType::scaler_recovered : EventType::scaler_failed, {}, "", event);
  out_.scaler_seen.push_back({.what = ScalerSeen::What::decided,
                              .pool = pool.row.name,
                              .word = decision.outcome,
                              .wanted = decision.wanted,
                              .actual = decision.actual});
}

// ---- hosts ----------------------------------------------------------------------------------------------------------

Result<std::vector<HostInfo>> Scaling::move_hosts(const MoveHosts& move) {
  if (auto ok = leads(move.epoch); !ok) return ok.error();
  std::vector<HostState*> there;
  for (std::size_t i = 0; i < move.hosts.size(); ++i) {
    const auto found = state_.hosts.find(move.hosts[i]);
    if (found == state_.hosts.end()) continue;  // it has left
    if (found->second.row.instance.empty())
      return fail(Code::conflict, fmt::format("host '{}' is no machine of a pool", found->second.row.name),
                  fmt::format("/hosts/{}", i), "only an operator drains it");
    there.push_back(&found->second);
  }
  std::vector<HostInfo> infos;
  for (auto* host : there) {
    const auto& row = host->row;
    const bool own = row.mode_by == ModeBy::scaler && row.mode == HostMode::drain;
    if (move.mode == HostMode::drain ? row.mode == HostMode::run : own)
      hosts_.set_mode(*host, move.mode, ModeBy::scaler, move.reason);
    infos.push_back(host_info(state_, *host, now_, options_.duration_guess));
  }
  return infos;
}

Result<HostInfo> Scaling::retire(std::int64_t epoch, Uuid id) {
  if (auto ok = leads(epoch); !ok) return ok.error();
  const auto found = state_.hosts.find(id);
  if (found == state_.hosts.end())
    return fail(Code::notFound, fmt::format("there is no host '{}'", id.str()), {}, "it has left already");
  auto& host = found->second;
  const auto& row = host.row;
  if (!is_retired(row)) {
    if (row.mode != HostMode::drain || row.mode_by != ModeBy::scaler)
      return fail(Code::hostBusy, fmt::format("host '{}' is not drained by the scaler", row.name), {},
                  "drain it first; what an operator drains is not retired");
    if (!host.leases.empty())
      return fail(Code::hostBusy, fmt::format("host '{}' runs {} jobs", row.name, host.leases.size()), {},
                  "wait until the last one has ended");
    hosts_.set_mode(host, HostMode::stop, ModeBy::scaler, row.mode_reason);
    const Machines::Key key(row.pool, row.instance);
    if (!machines_.may_run_jobs(key) && state_.pools.contains(row.pool)) retire_machine(key);
  }
  return host_info(state_, host, now_, options_.duration_guess);
}

Result<model::Token> Scaling::create_join_token(const CreateJoinToken& wanted) {
  if (auto ok = leads(wanted.epoch); !ok) return ok.error();
  if (const auto pool = find_pool(wanted.pool, std::nullopt); !pool) return pool.error();
  return catalogue_.create_token(wanted.token);
}

}  // namespace geres::hub::engine
