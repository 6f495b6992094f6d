// SPDX-License-Identifier: Apache-2.0
// /v1/tenants: shares and limits. A tenant exists from its first package or job on.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/small_list.h"
#include "model/names.h"
#include "wire/api/things.h"

namespace geres::hub::api {
namespace {

Error no_such_tenant(const std::string& name) {
  return fail(Code::notFound, fmt::format("there is no tenant '{}'", replace_bad_utf8(utf8_prefix(name, 80))));
}

}  // namespace

awaitable<Answered> list_tenants(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"limit", "cursor"}); !ok) co_return ok.error();
  auto read = [&] { return call.api.reads.tenants(); };
  const auto tenants = co_await blocking(call, read);
  SmallList list;
  for (const auto& tenant : tenants)
    if (call.who.sees(tenant.name)) list.add(tenant.name, [&] { return wire::tenant_json(tenant); });
  co_return list.answer(call.request.query);
}

awaitable<Answered> get_tenant(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto& name = call.capture("tenant");
  if (!call.who.sees(name)) co_return no_such_tenant(name);
  auto read = [&] { return call.api.reads.tenants(); };
  const auto tenants = co_await blocking(call, read);
  const auto found = std::find_if(tenants.begin(), tenants.end(), [&](const auto& t) { return t.name == name; });
  if (found == tenants.end()) co_return no_such_tenant(name);
  co_return json_response(200, wire::tenant_json(*found));
}

// A tenant must not set its own limits: only operators of all tenants may.
awaitable<Answered> put_tenant(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto& name = call.capture("tenant");
  if (!call.who.sees(name)) co_return no_such_tenant(name);
  if (!call.who.all_tenants())
    co_return fail(Code::forbidden, fmt::format("token '{}' is bound to tenants", call.who.name), {},
                   "a tenant's share and limits are set with a token for all tenants");
  if (auto ok = model::check_name(name, "tenant name", ""); !ok) co_return ok.error();
  auto shape = co_await body_as<wire::TenantShape>(call);
  if (!shape) co_return shape.error();
  if (auto ok = wire::check(*shape); !ok) co_return ok.error();
  engine::TenantSettings settings{shape->weight, shape->maxRunning, shape->maxQueued, {}, {}, {}};
  if (shape->maxMemoryPerJob) settings.max_memory_per_job = shape->maxMemoryPerJob->bytes;
  const auto keep = [](const std::optional<std::optional<json::Duration>>& from) {
    std::optional<std::optional<Millis>> to;
    if (from) to.emplace(*from ? std::optional<Millis>((*from)->ms) : std::nullopt);
    return to;
  };
  settings.keep_finished = keep(shape->keepFinished);
  settings.keep_failed = keep(shape->keepFailed);
  const engine::PutTenant verb{name, settings};
  const auto tenant = co_await ask_engine(call, verb);
  if (!tenant) co_return tenant.error();
  co_return json_response(200, wire::tenant_json(*tenant));
}

}  // namespace geres::hub::api
