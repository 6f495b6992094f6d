// SPDX-License-Identifier: Apache-2.0
// The calls of a scaler: its lease, what it reads before it decides, what it writes down, and what it does to the hosts
// that are its own.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/sha256.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/scaler_json.h"
#include "wire/api/pool_json.h"

namespace geres::hub::api {
namespace {

constexpr Millis kJoinTokenMore = 300'000;  // beyond the time that a machine has to boot
constexpr std::size_t kPastDecisions = 60;

store::IntentRow intent_of(const wire::IntentShape& shape) {
  store::IntentRow intent;
  intent.request = shape.request;
  intent.verb = shape.verb;
  intent.count = shape.count;
  intent.instances = shape.instances;
  intent.state = shape.state;
  if (shape.refusal) intent.refusal = boost::json::serialize(*shape.refusal);
  return intent;
}

store::MachineRow machine_of(const wire::MachineShape& shape) {
  using Word = wire::MachineWord;
  using State = model::MachineState;
  static constexpr std::pair<Word, State> kStates[] = {{Word::ordered, State::ordered}, {Word::booting, State::booting},
                                                       {Word::ready, State::ready},     {Word::draining, State::ready},
                                                       {Word::retiring, State::ready},  {Word::gone, State::gone},
                                                       {Word::failed, State::failed},   {Word::asleep, State::asleep}};
  store::MachineRow machine;
  machine.instance = shape.instance;
  machine.state = std::find_if(std::begin(kStates), std::end(kStates), [&](const auto& s) {
                    return s.first == shape.state;
                  })->second;
  machine.request = shape.request;
  machine.zone = shape.zone;
  machine.reason = shape.reason;
  return machine;
}

store::DecisionRow decision_of(const wire::DecisionShape& shape) {
  store::DecisionRow decision;
  decision.input = boost::json::serialize(shape.input);
  decision.policy = shape.policy;
  decision.raw = shape.raw;
  decision.wanted = shape.wanted;
  decision.actual = shape.actual;
  if (shape.changes && !shape.changes->get_object().empty()) decision.changes = boost::json::serialize(*shape.changes);
  decision.reason = shape.reason;
  decision.outcome = shape.outcome;
  return decision;
}

Result<Uuid> host_id(const std::string& from, std::string field) {
  if (const auto id = parse_uuid(from)) return *id;
  return fail(Code::badValue, "this is not a host", std::move(field), "the id of a host");
}

json::object moved_json(const engine::HostInfo& info) {
  const auto& host = info.host;
  return {{"id", text(host.id.str())},
          {"name", text(host.name)},
          {"pool", text(host.pool)},
          {"instance", text(host.instance)},
          {"mode", json::write(host.mode)},
          {"by", json::write(host.mode_by)},
          {"slots", host.slots},
          {"busy", info.slots_busy}};
}

awaitable<Answered> move_hosts(Call& call, model::HostMode mode) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  auto shape = co_await body_as<wire::MoveHostsShape>(call);
  if (!shape) co_return shape.error();
  if (shape->by != "scaler")
    co_return fail(Code::badValue, "only the scaler moves several hosts at once", "/by",
                   "\"scaler\"; an operator names the host in the path: POST /v1/hosts/{id}/drain");
  if (shape->hosts.size() > 10'000) co_return fail(Code::tooMany, "too many hosts", "/hosts", "at most 10,000");
  engine::MoveHosts verb;
  verb.epoch = shape->epoch;
  verb.mode = mode;
  verb.reason = utf8_prefix(shape->decision, 200);
  for (std::size_t i = 0; i < shape->hosts.size(); ++i) {
    const auto id = host_id(shape->hosts[i], fmt::format("/hosts/{}", i));
    if (!id) co_return id.error();
    verb.hosts.push_back(*id);
  }
  const auto moved = co_await ask_engine(call, std::move(verb));
  if (!moved) co_return moved.error();
  json::array items;
  for (const auto& info : *moved) items.push_back(moved_json(info));
  co_return list_response(std::move(items), {});
}

}  // namespace

awaitable<Answered> take_scaler_lease(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  auto shape = co_await body_as<wire::TakeLeaseShape>(call);
  if (!shape) co_return shape.error();
  if (auto ok = wire::check_mark(shape->holder, "holder", "/holder"); !ok) co_return ok.error();
  const engine::TakeScaler verb{shape->holder, shape->epoch};
  const auto lease = co_await ask_engine(call, verb);
  if (!lease) co_return lease.error();
  if (!shape->epoch) note(call, "scaler takes over", {{"holder", shape->holder}, {"epoch", lease->epoch}});
  co_return json_response(200, json::object{{"epoch", lease->epoch}, {"ttlSeconds", double(lease->ttl) / 1'000}});
}

awaitable<Answered> get_pool_book(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  const auto& name = call.capture("name");
  struct Book {
    std::vector<store::MachineRow> machines;
    std::vector<store::IntentRow> intents;
    std::vector<store::DecisionRow> decisions;
  };
  auto read = [&]() -> Result<std::pair<model::Pool, Book>> {
    auto pool = stored_pool(call);
    if (!pool) return pool.error();
    auto& reads = call.api.reads;
    return std::pair(std::move(*pool),
                     Book{reads.machines(name, false, {name, ""}, kMachinesMax), reads.open_intents(name),
                          reads.decisions({.pool = name, .from = {}, .to = {}, .changed = false}, 0, kPastDecisions)});
  };
  const auto stored = co_await blocking(call, read);
  if (!stored) co_return stored.error();
  const auto& [pool, book] = *stored;
  const auto snapshot = co_await fleet_now(call);
  if (!snapshot) co_return snapshot.error();
  const Fleet fleet(*snapshot);
  const Millis now = call.api.clock.wall();
  json::array machines, intents, decisions;
  for (const auto& machine : book.machines) {
    const auto* host = fleet.host_on(machine);
    auto shown = machine_json(machine, host);
    if (host != nullptr) shown.emplace("host", fleet.show(machine, now));
    machines.push_back(std::move(shown));
  }
  for (const auto& intent : book.intents) intents.push_back(intent_json(intent));
  for (auto decision = book.decisions.rbegin(); decision != book.decisions.rend(); ++decision)
    decisions.push_back(decision_json(*decision));
  co_return json_response(200, json::object{{"at", time_json(now)},
                                            {"pool", wire::pool_json(pool)},
                                            {"machines", std::move(machines)},
                                            {"intents", std::move(intents)},
                                            {"decisions", std::move(decisions)}});
}

awaitable<Answered> record_scaling(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  auto body = co_await body_text(call, call.api.limits.list_bytes);
  if (!body) co_return body.error();
  auto parse = [&] { return json::read_text<wire::RecordShape>(*body); };
  auto shape = Result<wire::RecordShape>(wire::RecordShape());
  if (body->size() > kParseHereMax)
    shape = co_await blocking(call, parse);
  else
    shape = parse();
  if (!shape) co_return shape.error();
  if (auto ok = wire::check(*shape); !ok) co_return ok.error();
  engine::RecordScaling verb;
  verb.epoch = shape->epoch;
  verb.pool = call.capture("name");
  for (const auto& intent : shape->intents) verb.intents.push_back(intent_of(intent));
  for (const auto& machine : shape->machines) verb.machines.push_back(machine_of(machine));
  if (shape->decision) verb.decision = decision_of(*shape->decision);
  const auto recorded = co_await ask_engine(call, std::move(verb));
  if (!recorded) co_return recorded.error();
  json::object answer{{"withheld", json::write(recorded->withheld)}};
  if (recorded->decision > 0) answer.emplace("decision", recorded->decision);
  co_return json_response(200, answer);
}

// One per order. Asked again, it is made anew: the one before is known to nobody.
awaitable<Answered> post_join_token(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  auto shape = co_await body_as<wire::JoinTokenShape>(call);
  if (!shape) co_return shape.error();
  if (auto ok = wire::check_mark(shape->request, "request", "/request"); !ok) co_return ok.error();
  const auto& name = call.capture("name");
  const Millis now = call.api.clock.wall();
  const std::string ours = "join-";
  const std::string token_name = ours + sha256_hex(name + "\n" + shape->request).substr(0, 24);
  auto read = [&]() -> Result<std::pair<model::Pool, std::vector<Uuid>>> {
    auto pool = stored_pool(call);
    if (!pool) return pool.error();
    std::vector<Uuid> old;
    for (const auto& token : call.api.reads.tokens())
      if (token.name == token_name || (token.name.starts_with(ours) && token.expires && *token.expires <= now))
        old.push_back(token.id);
    return std::pair(std::move(*pool), std::move(old));
  };
  const auto stored = co_await blocking(call, read);
  if (!stored) co_return stored.error();
  const auto& [pool, old] = *stored;
  for (const auto id : old) {
    const engine::DeleteToken verb{id};
    if (const auto done = co_await ask_engine(call, verb); !done) co_return done.error();
  }
  const std::string secret = new_secret();
  engine::CreateJoinToken verb;
  verb.epoch = shape->epoch;
  verb.pool = name;
  verb.token.name = token_name;
  verb.token.sha256 = sha256_hex(secret);
  verb.token.roles = {model::Role::host};
  if (pool.settings.like.tenants) verb.token.tenants = *pool.settings.like.tenants;
  verb.token.expires = now + pool.settings.limits.boot_timeout + kJoinTokenMore;
  const auto made = co_await ask_engine(call, std::move(verb));
  if (!made) co_return made.error();
  note(call, "join token made", {{"pool", name}, {"tokenId", made->id.str()}});
  auto response = json_response(201, json::object{{"token", text(secret)}, {"expiresAt", time_json(*made->expires)}});
  response.headers.emplace_back("Cache-Control", "no-store");
  co_return response;
}

awaitable<Answered> drain_hosts(Call& call) {
  return move_hosts(call, model::HostMode::drain);
}

awaitable<Answered> resume_hosts(Call& call) {
  return move_hosts(call, model::HostMode::run);
}

awaitable<Answered> retire_host(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  const auto id = host_id(call.capture("id"), {});
  if (!id) co_return id.error();
  auto shape = co_await body_as<wire::RetireShape>(call);
  if (!shape) co_return shape.error();
  const engine::RetireHost verb{shape->epoch, *id};
  const auto info = co_await ask_engine(call, verb);
  if (!info) co_return info.error();
  co_return json_response(200, moved_json(*info));
}

}  // namespace geres::hub::api
