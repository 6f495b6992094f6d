// SPDX-License-Identifier: Apache-2.0
// /v1/scaler: a fleet that sizes itself. Pools as operators set them, what a scaler reads before it decides, and what
// it writes down; beside that the calls on hosts that are its own. All of it concerns all tenants at once.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <thread>

#include "base/bytes.h"
#include "base/sha256.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/small_list.h"
#include "model/names.h"
#include "wire/api/pool_json.h"

namespace geres::hub::api {
namespace {

constexpr Millis kHour = 3'600'000;
constexpr Millis kJoinTokenMore = 300'000;  // beyond the time that a machine has to boot
constexpr std::size_t kPastDecisions = 60;
constexpr std::size_t kMachinesMax = 100'000;

json::value text(std::string_view from) {
  return json::value(from);
}

json::value time_json(Millis at) {
  return text(format_time(at));
}

Result<void> above_tenants(const Call& call) {
  if (call.who.operates()) return {};
  return fail(Code::forbidden, fmt::format("token '{}' is bound to tenants", call.who.name), {},
              "pools serve all tenants: use an operator's token for all of them");
}

// As ETag and If-Match: the version in quotation marks.
Result<std::optional<std::int64_t>> wanted_version(const Call& call) {
  const auto said = call.request.headers.get("If-Match");
  if (!said || *said == "*") return std::optional<std::int64_t>();
  std::string_view digits = *said;
  if (digits.size() > 2 && digits.front() == '"' && digits.back() == '"') digits = digits.substr(1, digits.size() - 2);
  std::int64_t version = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), version);
  if (error == std::errc() && end == digits.data() + digits.size() && version > 0) return std::optional(version);
  return fail(Code::badValue, "the header If-Match is no version of a pool", {}, "the ETag that the pool came with");
}

http::Response show_pool(const model::Pool& pool, unsigned status = 200) {
  auto response = json_response(status, wire::pool_json(pool));
  response.headers.emplace_back("ETag", fmt::format("\"{}\"", pool.version));
  return response;
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

// ---- machines and their hosts

// What its host says goes before what was written of the machine.
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

// Which host is on which machine: of several the one that is there.
class Fleet {
 public:
  explicit Fleet(engine::SnapshotPtr snapshot) : snapshot_(std::move(snapshot)) {
    for (std::size_t i = 0; i < snapshot_->hosts.size(); ++i) {
      const auto& info = *snapshot_->hosts[i].info;
      if (info.host.instance.empty()) continue;
      const auto [known, added] = by_machine_.try_emplace({info.host.pool, info.host.instance}, i);
      if (!added && info.alive && !snapshot_->hosts[known->second].info->alive) known->second = i;
    }
    for (const auto& lane : snapshot_->lane_views)
      if (lane.ready > 0) waiting_.insert(lane.batch);
  }

  const engine::HostInfo* host_on(const store::MachineRow& machine) const {
    const auto found = by_machine_.find({machine.pool, machine.instance});
    return found == by_machine_.end() ? nullptr : snapshot_->hosts[found->second].info.get();
  }

  // What the scaler has to know before it picks one.
  json::object show(const store::MachineRow& machine, Millis now) const {
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

 private:
  engine::SnapshotPtr snapshot_;
  std::map<std::pair<std::string, std::string>, std::size_t> by_machine_;
  std::set<engine::Index> waiting_;  // batches in which jobs are ready
};

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

// ---- what the scaler writes

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

// ---- pools ----------------------------------------------------------------------------------------------------------

awaitable<Answered> list_pools(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"limit", "cursor"}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  auto read = [&] { return call.api.reads.pools(); };
  const auto pools = co_await blocking(call, read);
  SmallList list;
  for (const auto& pool : pools) list.add(pool.name, [&] { return wire::pool_json(pool); });
  co_return list.answer(call.request.query);
}

awaitable<Answered> get_pool(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  auto read = [&] { return stored_pool(call); };
  const auto pool = co_await blocking(call, read);
  if (!pool) co_return pool.error();
  co_return show_pool(*pool);
}

awaitable<Answered> put_pool(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  const auto& name = call.capture("name");
  if (auto ok = model::check_name(name, "pool name", ""); !ok) co_return ok.error();
  auto version = wanted_version(call);
  if (!version) co_return version.error();
  auto shape = co_await body_as<wire::PoolShape>(call);
  if (!shape) co_return shape.error();
  if (shape->name && *shape->name != name)
    co_return fail(Code::badValue, fmt::format("the path says '{}'", name), "/name", "the same name, or none");
  auto settings = wire::pool_settings(*shape, std::max<std::int64_t>(1, std::thread::hardware_concurrency()));
  if (!settings) co_return settings.error();
  engine::PutPool verb;
  verb.pool.name = name;
  verb.pool.settings = std::move(*settings);
  verb.version = *version ? *version : shape->version;
  const auto pool = co_await ask_engine(call, std::move(verb));
  if (!pool) co_return pool.error();
  note(call, "pool set", {{"pool", name}, {"version", pool->version}});
  co_return show_pool(*pool, pool->version == 1 ? 201 : 200);
}

awaitable<Answered> delete_pool(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"drain"}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  const auto drain = flag_parameter(call.request.query, "drain");
  if (!drain) co_return drain.error();
  const auto version = wanted_version(call);
  if (!version) co_return version.error();
  const engine::DeletePool verb{call.capture("name"), *version, *drain};
  const auto left = co_await ask_engine(call, verb);
  if (!left) co_return left.error();
  note(call, *left ? "pool is being removed" : "pool removed", {{"pool", call.capture("name")}});
  if (*left) co_return show_pool(**left, 202);
  http::Response response;
  response.status = 204;
  co_return response;
}

namespace {

awaitable<Answered> pause(Call& call, bool paused) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  const auto version = wanted_version(call);
  if (!version) co_return version.error();
  const engine::PausePool verb{call.capture("name"), *version, paused};
  const auto pool = co_await ask_engine(call, verb);
  if (!pool) co_return pool.error();
  note(call, paused ? "pool paused" : "pool resumed", {{"pool", pool->name}});
  co_return show_pool(*pool);
}

}  // namespace

awaitable<Answered> pause_pool(Call& call) {
  return pause(call, true);
}

awaitable<Answered> resume_pool(Call& call) {
  return pause(call, false);
}

awaitable<Answered> scale_pool(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  const auto version = wanted_version(call);
  if (!version) co_return version.error();
  auto shape = co_await body_as<wire::ScaleShape>(call);
  if (!shape) co_return shape.error();
  if (auto ok = wire::check(*shape); !ok) co_return ok.error();
  const Millis time = shape->for_ ? shape->for_->ms : kHour;
  const engine::ScalePool verb{call.capture("name"), *version,
                               model::Pool::Scale{shape->wanted, call.api.clock.wall() + time}};
  const auto pool = co_await ask_engine(call, verb);
  if (!pool) co_return pool.error();
  note(call, "pool scaled by hand", {{"pool", pool->name}, {"wanted", shape->wanted}});
  co_return show_pool(*pool);
}

// ---- for the scaler -------------------------------------------------------------------------------------------------

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

// ---- to look at -----------------------------------------------------------------------------------------------------

awaitable<Answered> get_scaler(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  struct Stored {
    model::Pool pool;
    std::vector<store::MachineRow> machines;
    std::vector<store::IntentRow> intents;
    std::vector<store::DecisionRow> last;
  };
  auto read = [&] {
    auto& reads = call.api.reads;
    std::vector<Stored> all;
    for (auto& pool : reads.pools()) {
      const auto name = pool.name;
      all.push_back({std::move(pool), reads.machines(name, false, {name, ""}, kMachinesMax), reads.open_intents(name),
                     reads.decisions({.pool = name, .from = {}, .to = {}, .changed = false}, 0, 1)});
    }
    return std::pair(reads.scaler(), std::move(all));
  };
  const auto [scaler, stored] = co_await blocking(call, read);
  const auto snapshot = co_await fleet_now(call);
  if (!snapshot) co_return snapshot.error();
  const Fleet fleet(*snapshot);
  json::array pools;
  for (const auto& one : stored) {
    auto shown = wire::pool_json(one.pool);
    std::map<std::string_view, std::int64_t> states;
    for (const auto& machine : one.machines) ++states[word_of(machine, fleet.host_on(machine))];
    json::object actual;
    for (const auto& [state, n] : states) actual.emplace(state, n);
    shown.emplace("actual", std::move(actual));
    json::array intents;
    for (const auto& intent : one.intents) intents.push_back(intent_json(intent));
    shown.emplace("intents", std::move(intents));
    if (!one.last.empty()) {
      auto last = decision_json(one.last.front());
      last.erase("input");
      shown.emplace("lastDecision", std::move(last));
    }
    pools.push_back(std::move(shown));
  }
  json::object answer{{"pools", std::move(pools)}};
  if (scaler.epoch > 0)
    answer.emplace("scaler", json::object{{"holder", text(scaler.holder)}, {"epoch", scaler.epoch}});
  co_return json_response(200, answer);
}

awaitable<Answered> list_decisions(Call& call) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"pool", "from", "to", "changed", "limit", "cursor"}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  const auto from = time_parameter(query, "from"), to = time_parameter(query, "to");
  if (!from) co_return from.error();
  if (!to) co_return to.error();
  const auto changed = flag_parameter(query, "changed");
  if (!changed) co_return changed.error();
  const auto limit = number_parameter(query, "limit", 1, 1'000);
  if (!limit) co_return limit.error();
  std::int64_t before = 0;
  if (const auto cursor = text_parameter(query, "cursor"); !cursor.empty()) {
    const auto read = read_cursor(cursor);
    if (!read) co_return read.error();
    before = *read;
  }
  const store::DecisionFilter filter{text_parameter(query, "pool"), *from, *to, *changed};
  const auto max = std::size_t(limit->value_or(100));
  auto read = [&] { return call.api.reads.decisions(filter, before, max + 1); };
  auto rows = co_await blocking(call, read);
  const bool more = rows.size() > max;
  if (more) rows.pop_back();
  json::array items;
  for (const auto& row : rows) items.push_back(decision_json(row));
  co_return list_response(std::move(items), more ? cursor_after(rows.back().id) : std::string());
}

awaitable<Answered> list_machines(Call& call) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"pool", "gone", "limit", "cursor"}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  const auto gone = flag_parameter(query, "gone");
  if (!gone) co_return gone.error();
  const auto pool = text_parameter(query, "pool");
  auto read = [&] { return call.api.reads.machines(pool, *gone, {pool, ""}, kMachinesMax); };
  const auto machines = co_await blocking(call, read);
  const auto snapshot = co_await fleet_now(call);
  if (!snapshot) co_return snapshot.error();
  const Fleet fleet(*snapshot);
  const Millis now = call.api.clock.wall();
  SmallList list;
  for (const auto& machine : machines)
    list.add(machine.pool + "/" + machine.instance, [&] {
      const auto* host = fleet.host_on(machine);
      auto shown = machine_json(machine, host);
      shown.emplace("pool", text(machine.pool));
      if (host != nullptr) shown.emplace("host", fleet.show(machine, now));
      return shown;
    });
  co_return list.answer(query);
}

}  // namespace geres::hub::api
