// SPDX-License-Identifier: Apache-2.0
// /v1/batches. A batch is asked for by id or name; ?tenant= tells apart what several tenants have named alike.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "hub/api/filter.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/small_list.h"

namespace geres::hub::api {
namespace {

// What the caller may see of the counts: in a shared batch its own tenants' only.
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

// A verb on one batch: find it, `ask` the engine, show it as it is then.
template <class Ask>
awaitable<Answered> change_batch(Call& call, Ask ask) {
  if (auto ok = only_parameters(call.request.query, {"tenant"}); !ok) co_return ok.error();
  const auto stored = co_await find_here(call);
  if (!stored) co_return stored.error();
  const std::string id = model::batch_text(stored->batch.id);
  auto ask_it = [&](engine::Answer<model::Batch> answer) { ask(id, std::move(answer)); };
  const auto batch = co_await ask_engine<model::Batch>(ask_it);
  if (!batch) co_return batch.error();
  auto read = [&] { return call.api.reads.batch(batch->id); };
  const auto now = co_await blocking(call, read);
  co_return json_response(200, show_batch(call.who, now ? *now : store::StoredBatch{*batch, {}}));
}

awaitable<Answered> set_paused(Call& call, bool paused) {
  auto ask = [&call, paused](const std::string& id, engine::Answer<model::Batch> answer) {
    call.api.engine.pause_batch(call.who.caller(), id, paused, std::move(answer));
  };
  co_return co_await change_batch(call, ask);
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
  if (!tenant.empty() && !call.who.sees(tenant)) co_return lacks_tenant(call.who, tenant, "/tenant");
  if (shape->priority && *shape->priority < 100 && !operates) {
    auto error = lacks_role(call.who, role_name(model::Role::operator_));
    error.message += ", which a priority below 100 needs";
    error.field = "/priority";
    co_return error;
  }
  engine::NewBatch batch{std::move(tenant), shape->name, shape->priority, shape->dedicated, shape->maxRunning};
  auto ask = [&](engine::Answer<model::Batch> answer) {
    call.api.engine.create_batch(call.who.caller(), std::move(batch), std::move(answer));
  };
  const auto made = co_await ask_engine<model::Batch>(ask);
  if (!made) co_return made.error();
  call.api.batch_names.put(*made);
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
  auto read = [&] { return call.api.reads.batches(); };
  const auto batches = co_await blocking(call, read);
  SmallList list;
  for (const auto& stored : batches) {
    const auto& batch = stored.batch;
    if (!sees_batch(call.who, batch) || (!name.empty() && batch.name != name) || (state && batch.state != *state))
      continue;
    if (!tenant.empty() && !batch.tenant.empty() && batch.tenant != tenant) continue;
    list.add(batch.id.str(), show_batch(call.who, stored, tenant));
  }
  co_return list.answer(query);
}

awaitable<Answered> get_batch(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"tenant"}); !ok) co_return ok.error();
  const auto stored = co_await find_here(call);
  if (!stored) co_return stored.error();
  co_return json_response(200, show_batch(call.who, *stored));
}

awaitable<Answered> close_batch(Call& call) {
  auto ask = [&call](const std::string& id, engine::Answer<model::Batch> answer) {
    call.api.engine.close_batch(call.who.caller(), id, std::move(answer));
  };
  co_return co_await change_batch(call, ask);
}

awaitable<Answered> cancel_batch(Call& call) {
  auto shape = co_await body_as<wire::CancelShape>(call, true);
  if (!shape) co_return shape.error();
  engine::CancelWhat what;
  if (shape->grace) what.grace = shape->grace->ms;
  if (what.grace > 3'600'000) co_return fail(Code::badValue, "the grace is too long", "/grace", "at most 1h");
  what.reason = shape->reason;
  auto ask = [&call, &what](const std::string& id, engine::Answer<model::Batch> answer) {
    call.api.engine.cancel_batch(call.who.caller(), id, what, std::move(answer));
  };
  co_return co_await change_batch(call, ask);
}

awaitable<Answered> pause_batch(Call& call) {
  return set_paused(call, true);
}

awaitable<Answered> resume_batch(Call& call) {
  return set_paused(call, false);
}

}  // namespace geres::hub::api
