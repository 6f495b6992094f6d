// SPDX-License-Identifier: Apache-2.0
// /v1/batches. A batch is named by id or name; ?tenant= decides where several tenants have batches of the same name.
#include <fmt/format.h>

#include <algorithm>

#include "base/base64.h"
#include "base/bytes.h"
#include "hub/api/filter.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"

namespace geres::hub::api {
namespace {

// Shows the counts that the caller may see: in a shared batch only those of its own tenants.
json::object show_batch(const Identity& who, const store::StoredBatch& stored, const std::string& tenant = {}) {
  model::StateCounts sum{};
  for (const auto& [owner, counts] : stored.counts) {
    if (!who.sees(owner) || (!tenant.empty() && owner != tenant)) continue;
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += counts[i];
  }
  return wire::batch_json(stored.batch, sum);
}

awaitable<Result<store::StoredBatch>> find_here(Call& call) {
  auto look = [&] {
    return find_batch(call.api, call.who, call.capture("id"), text_parameter(call.request.query, "tenant"), {});
  };
  co_return co_await blocking(call, look);
}

// One verb on one batch: finds it, asks the engine, and shows the batch as it is afterwards. Fills in caller and batch.
template <class Verb>
awaitable<Answered> change_batch(Call& call, Verb verb) {
  if (auto ok = only_parameters(call.request.query, {"tenant"}); !ok) co_return ok.error();
  const auto stored = co_await find_here(call);
  if (!stored) co_return stored.error();
  verb.caller = call.who.caller();
  verb.batch = model::batch_text(stored->batch.id);
  const auto batch = co_await ask_engine(call, verb);
  if (!batch) co_return batch.error();
  auto read = [&] { return call.api.reads.batch(batch->id); };
  const auto now = co_await blocking(call, read);
  co_return json_response(200, show_batch(call.who, now ? *now : store::StoredBatch{*batch, {}}));
}

Result<std::optional<Uuid>> batch_cursor(const http::Query& query) {
  const auto cursor = query.get("cursor");
  if (!cursor) return std::optional<Uuid>();
  const auto text = from_base64(*cursor);
  const auto id = text ? parse_uuid(*text) : std::nullopt;
  if (id) return std::optional(*id);
  return bad_cursor();
}

}  // namespace

awaitable<Answered> post_batch(Call& call) {
  auto shape = co_await body_as<wire::NewBatchShape>(call);
  if (!shape) co_return shape.error();
  if (auto ok = wire::check(*shape); !ok) co_return ok.error();
  const bool operates = call.who.operates();
  std::string tenant = shape->tenant.empty() ? call.who.only_tenant() : shape->tenant;
  if (tenant.empty() && !operates)
    co_return fail(Code::tenantRequired, "'tenant' is missing", "/tenant",
                   "name the tenant; only an operator's batch may be without (shared by all)");
  const std::string field = "/tenant";
  if (!tenant.empty())
    if (auto ok = co_await may_write(call, tenant, field); !ok) co_return ok.error();
  if (shape->priority && *shape->priority < 100 && !operates) {
    auto error = lacks_role(call.who, role_name(model::Role::operator_));
    error.message += ", which a priority below 100 needs";
    error.field = "/priority";
    co_return error;
  }
  const engine::NewBatch batch{std::move(tenant), shape->name, shape->priority, shape->dedicated, shape->maxRunning};
  const engine::CreateBatch verb{call.who.caller(), batch};
  const auto made = co_await ask_engine(call, verb);
  if (!made) co_return made.error();
  auto response = json_response(201, wire::batch_json(*made, {}));
  response.headers.emplace_back("Location", "/v1/batches/" + made->id.str());
  co_return response;
}

awaitable<Answered> list_batches(Call& call) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"tenant", "state", "name", "limit", "cursor"}); !ok) co_return ok.error();
  const auto tenant = text_parameter(query, "tenant");
  const auto name = text_parameter(query, "name");
  std::optional<model::BatchState> state;
  if (const auto word = query.get("state")) {
    auto parsed = json::read<model::BatchState>(json::value(*word));
    if (!parsed) co_return about(parsed.error(), "state");
    state = *parsed;
  }
  const auto limit = number_parameter(query, "limit", 1, 1'000);
  if (!limit) co_return limit.error();
  const auto after = batch_cursor(query);
  if (!after) co_return after.error();
  const auto max = std::size_t(limit->value_or(100));
  auto read = [&]() -> Result<std::string> {
    store::BatchFilter filter{.tenants = call.who.tenants, .name = name, .state = state};
    if (!tenant.empty()) filter.tenants = {call.who.sees(tenant) ? tenant : std::string()};
    const auto batches = call.api.reads.batches(filter, *after, max + 1);
    json::array items;
    for (std::size_t i = 0; i < std::min(batches.size(), max); ++i)
      items.push_back(show_batch(call.who, batches[i], tenant));
    const bool more = batches.size() > max;
    auto text = list_text(std::move(items), more ? to_base64(batches[max - 1].batch.id.str()) : std::string());
    if (auto ok = make_room(call, text.size()); !ok) return ok.error();
    return text;
  };
  auto text = co_await blocking(call, read);
  if (!text) co_return text.error();
  co_return json_text_response(200, std::move(*text));
}

awaitable<Answered> get_batch(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"tenant"}); !ok) co_return ok.error();
  const auto stored = co_await find_here(call);
  if (!stored) co_return stored.error();
  co_return json_response(200, show_batch(call.who, *stored));
}

awaitable<Answered> delete_batch(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"tenant"}); !ok) co_return ok.error();
  const auto stored = co_await find_here(call);
  if (!stored) co_return stored.error();
  const engine::DeleteBatch verb{call.who.caller(), model::batch_text(stored->batch.id)};
  const auto done = co_await ask_engine(call, verb);
  if (!done) co_return done.error();
  const json::object body{{"deleted", done->count}};
  co_return json_response(200, body);
}

awaitable<Answered> close_batch(Call& call) {
  return change_batch(call, engine::CloseBatch{});
}

awaitable<Answered> cancel_batch(Call& call) {
  auto shape = co_await body_as<wire::CancelShape>(call, true);
  if (!shape) co_return shape.error();
  engine::CancelWhat what;
  if (shape->grace) what.grace = shape->grace->ms;
  if (what.grace > 3'600'000) co_return fail(Code::badValue, "the grace is too long", "/grace", "at most 1h");
  what.reason = shape->reason;
  const engine::CancelBatch verb{.what = what};
  co_return co_await change_batch(call, verb);
}

awaitable<Answered> pause_batch(Call& call) {
  return change_batch(call, engine::PauseBatch{.paused = true});
}

awaitable<Answered> resume_batch(Call& call) {
  return change_batch(call, engine::PauseBatch{.paused = false});
}

}  // namespace geres::hub::api
