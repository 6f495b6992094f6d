// SPDX-License-Identifier: Apache-2.0
// How many hosts of a pool are wanted: for the scaler, and as one number for scalers of other makes.
#include <fmt/format.h>

#include <algorithm>

#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/scaler_json.h"
#include "hub/engine/demand.h"

namespace geres::hub::api {
namespace {

constexpr Millis kMinute = 60'000;
constexpr std::size_t kDueMax = 20'000;     // looked at, by each clock
constexpr Millis kDecisionFresh = 180'000;  // an older one tells nothing of now

struct Found {
  engine::SnapshotPtr fleet;
  engine::Demand demand;
  std::vector<store::MachineRow> machines;
};

awaitable<Result<Found>> find_demand(Call& call, const std::string& name) {
  if (name.empty()) co_return fail(Code::badRequest, "the parameter 'pool' is missing", "pool", "?pool=NAME");
  auto read = [&] {
    return std::pair(call.api.reads.pools(), call.api.reads.machines(name, false, {name, ""}, kMachinesMax));
  };
  auto stored = co_await blocking(call, read);
  const auto& pools = stored.first;
  const bool known = std::any_of(pools.begin(), pools.end(), [&](const auto& pool) { return pool.name == name; });
  if (!known) co_return no_such_pool(name);
  const auto fleet = co_await fleet_now(call);
  if (!fleet) co_return fleet.error();
  const Millis now = call.api.clock.wall();
  auto work = [&] {
    const auto due = call.api.reads.due_soon((*fleet)->engine_clock, now, kMinute, 5 * kMinute, kDueMax);
    return engine::demand_of(**fleet, pools, name, now, due);
  };
  auto demand = co_await http::run_on(call.api.explainer, work);
  co_return Found{*fleet, std::move(demand), std::move(stored.second)};
}

json::object hosts_json(const Found& found, const std::string& pool) {
  std::int64_t ready = 0, idle = 0, draining = 0, lost = 0, unmanaged = 0, booting = 0;
  for (const auto& host : found.fleet->hosts) {
    const auto& info = *host.info;
    if (info.host.instance.empty()) unmanaged += info.alive;
    if (info.host.pool != pool) continue;
    if (!info.alive)
      ++lost;
    else if (info.host.mode != model::HostMode::run)
      ++draining;
    else
      ++ready, idle += info.leases.empty();
  }
  for (const auto& machine : found.machines)
    booting += machine.state == model::MachineState::ordered || machine.state == model::MachineState::booting;
  return {{"ready", ready},       {"idle", idle}, {"booting", booting},
          {"draining", draining}, {"lost", lost}, {"unmanaged", unmanaged}};
}

}  // namespace

awaitable<Answered> get_demand(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"pool"}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  const auto pool = text_parameter(call.request.query, "pool");
  const auto found = co_await find_demand(call, pool);
  if (!found) co_return found.error();
  const auto& demand = found->demand;
  json::object by;
  std::int64_t held = 0;
  for (const auto& [what, jobs] : demand.held) {
    by.emplace(what, jobs);
    held += jobs;
  }
  json::array dedicated;
  for (const auto& batch : demand.dedicated)
    dedicated.push_back(json::object{{"batch", std::string_view(batch.batch)}, {"hostsNeeded", batch.hosts}});
  const auto seconds = [](Millis time) { return double(time) / 1'000; };
  co_return json_response(
      200,
      json::object{{"at", std::string_view(format_time(call.api.clock.wall()))},
                   {"pool", std::string_view(pool)},
                   {"runnable", json::object{{"jobs", demand.runnable.jobs},
                                             {"slots", demand.runnable.slots},
                                             {"hostsNeeded", demand.runnable.hosts}}},
                   {"heldByLimits", json::object{{"jobs", held}, {"by", std::move(by)}}},
                   {"unplaceable", demand.unplaceable},
                   {"oldestWaitMs", demand.oldest_wait},
                   {"running", json::object{{"jobs", demand.running.jobs},
                                            {"slots", demand.running.slots},
                                            {"restSeconds", json::object{{"mean", seconds(demand.running.rest_mean)},
                                                                         {"p90", seconds(demand.running.rest_p90)}}}}},
                   {"dueSoon", json::object{{"60s", demand.due_in_1m}, {"300s", demand.due_in_5m}}},
                   {"arrivalsPerSecond", json::object{{"1m", demand.arrivals_1m}, {"10m", demand.arrivals_10m}}},
                   {"secondsPerJob", json::object{{"mean", seconds(demand.mean_duration)},
                                                  {"p90", seconds(demand.p90_duration)},
                                                  {"n", demand.ends}}},
                   {"dedicated", std::move(dedicated)},
                   {"hosts", hosts_json(*found, pool)}});
}

// A number and never null: whoever scales by it takes what is no number for none.
awaitable<Answered> get_scaler_metric(Call& call) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"pool", "name"}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  const auto pool = text_parameter(query, "pool"), name = text_parameter(query, "name");
  if (name != "hostsWanted" && name != "runnableSlots" && name != "oldestWaitSeconds")
    co_return fail(Code::badValue, "there is no such figure", "name",
                   "hostsWanted, runnableSlots or oldestWaitSeconds");
  const auto found = co_await find_demand(call, pool);
  if (!found) co_return found.error();
  json::value value;
  if (name == "runnableSlots") {
    value = found->demand.runnable.slots;
  } else if (name == "oldestWaitSeconds") {
    value = found->demand.oldest_wait / 1'000;
  } else {
    const store::DecisionFilter filter{pool, call.api.clock.wall() - kDecisionFresh, {}, false};
    auto read = [&] { return call.api.reads.decisions(filter, 0, 1); };
    const auto last = co_await blocking(call, read);
    if (last.empty())
      co_return fail(Code::unavailable, fmt::format("nothing was decided of pool '{}' lately", pool), {},
                     "geres scaler run decides");
    value = last.front().wanted;
  }
  co_return json_response(200, json::object{{"value", std::move(value)}});
}

}  // namespace geres::hub::api
