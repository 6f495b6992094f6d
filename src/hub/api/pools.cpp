// SPDX-License-Identifier: Apache-2.0
// Pools, as operators set them. All of it concerns all tenants at once.
#include <fmt/format.h>

#include <charconv>
#include <thread>

#include "base/bytes.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/scaler_json.h"
#include "hub/api/small_list.h"
#include "hub/engine/demand.h"
#include "model/names.h"
#include "wire/api/pool_json.h"

namespace geres::hub::api {
namespace {

constexpr Millis kHour = 3'600'000;

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

// What is allowed, and probably not meant.
json::array warnings_of(const model::Pool& pool, const engine::Snapshot& fleet) {
  std::int64_t waiting = 0;
  for (const auto& lane : fleet.lane_views) {
    if (!engine::fits_no_pool(*lane.key, std::span(&pool, 1))) return {};
    waiting += lane.ready;
  }
  if (waiting == 0) return {};
  const auto none =
      waiting == 1 ? "the job that waits would not" : fmt::format("none of the {} jobs that wait would", waiting);
  return {text(fmt::format("{} run on a host of this template: {}", none,
                           engine::why_no_pool(*fleet.lane_views.front().key, std::span(&pool, 1))))};
}

http::Response show_pool(const model::Pool& pool, unsigned status = 200, json::array warnings = {}) {
  auto body = wire::pool_json(pool);
  if (!warnings.empty()) body.emplace("warnings", std::move(warnings));
  auto response = json_response(status, body);
  response.headers.emplace_back("ETag", fmt::format("\"{}\"", pool.version));
  return response;
}

}  // namespace

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
  const auto snapshot = co_await fleet_now(call);
  auto response =
      show_pool(*pool, pool->version == 1 ? 201 : 200, snapshot ? warnings_of(*pool, **snapshot) : json::array());
  co_return response;
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

}  // namespace geres::hub::api
