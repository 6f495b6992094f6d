// SPDX-License-Identifier: Apache-2.0
// /v1/scaler, to look at: a fleet that sizes itself, as it is and as it was.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "base/bytes.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/scaler_json.h"
#include "hub/api/small_list.h"
#include "wire/api/pool_json.h"

namespace geres::hub::api {

namespace {

constexpr Millis kForEver = std::numeric_limits<Millis>::max();

}  // namespace

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

// How much there was to do: what a rehearsal is made of where jobs are not kept so long.
awaitable<Answered> list_load(Call& call) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"pool", "from", "to", "limit", "cursor"}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  const auto pool = text_parameter(query, "pool");
  if (pool.empty()) co_return fail(Code::badRequest, "the parameter 'pool' is missing", "pool", "?pool=NAME");
  auto from = time_parameter(query, "from");
  const auto to = time_parameter(query, "to");
  if (!from) co_return from.error();
  if (!to) co_return to.error();
  const auto limit = number_parameter(query, "limit", 1, 1'000);
  if (!limit) co_return limit.error();
  Millis first = from->value_or(0), after = -1;
  if (const auto cursor = text_parameter(query, "cursor"); !cursor.empty()) {
    const auto read = read_cursor(cursor);
    if (!read) co_return read.error();
    first = *read;
    after = first;
  }
  const auto max = std::size_t(limit->value_or(1'000));
  auto read = [&] { return call.api.reads.load_samples(pool, first, to->value_or(kForEver), max + 2); };
  auto samples = co_await blocking(call, read);
  if (!samples.empty() && samples.front().at <= after) samples.erase(samples.begin());
  const bool more = samples.size() > max;
  if (more) samples.resize(max);
  json::array items;
  for (const auto& sample : samples)
    items.push_back(json::object{{"at", time_json(sample.at)},
                                 {"ready", json::object{{"jobs", sample.ready}, {"slots", sample.ready_slots}}},
                                 {"running", json::object{{"jobs", sample.running}, {"slots", sample.running_slots}}},
                                 {"arrived", sample.arrived},
                                 {"hosts", sample.hosts},
                                 {"booting", sample.booting}});
  co_return list_response(std::move(items), more ? cursor_after(samples.back().at) : std::string());
}

}  // namespace geres::hub::api
