// SPDX-License-Identifier: Apache-2.0
// /v1/hosts as people see it: who is there, how it contains its jobs, what it runs; drain and resume.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/small_list.h"
#include "wire/api/things.h"

namespace geres::hub::api {
namespace {

// A host that works for other tenants only is absent.
bool sees_host(const Identity& who, const model::Host& host) {
  if (who.all_tenants() || !host.tenants) return true;
  return std::any_of(host.tenants->begin(), host.tenants->end(), [&](const auto& t) { return who.sees(t); });
}

// For tenants that the caller has, and no other.
bool owns_host(const Identity& who, const model::Host& host) {
  return who.all_tenants() || (host.tenants && std::all_of(host.tenants->begin(), host.tenants->end(),
                                                           [&](const auto& t) { return who.sees(t); }));
}

json::object show_host(Call& call, engine::HostInfo info) {
  if (!owns_host(call.who, info.host)) info.health_reason.clear();  // it may be of another's job
  wire::HostView view{
      info.alive, info.last_seen, info.slots_busy, info.health, std::move(info.health_reason), info.health_tested_at,
      {}};
  for (const auto& row : info.leases) {
    const auto lease = call.api.engine.lease(row.name);
    if (lease && call.who.sees(lease->tenant)) view.running.push_back(lease->job.str());
  }
  if (info.host.tenants) std::erase_if(*info.host.tenants, [&](const auto& t) { return !call.who.sees(t); });
  return wire::host_json(info.host, view);
}

awaitable<Result<std::vector<engine::HostInfo>>> all_hosts(Call& call) {
  auto ask = [&](engine::Answer<std::vector<engine::HostInfo>> answer) { call.api.engine.hosts(std::move(answer)); };
  co_return co_await ask_engine<std::vector<engine::HostInfo>>(ask);
}

// By id or name.
awaitable<Result<engine::HostInfo>> find_here(Call& call) {
  const auto& text = call.capture("id");
  const auto id = parse_uuid(text);
  auto hosts = co_await all_hosts(call);
  if (!hosts) co_return hosts.error();
  for (auto& info : *hosts)
    if ((id ? info.host.id == *id : info.host.name == text) && sees_host(call.who, info.host))
      co_return std::move(info);
  co_return fail(Code::notFound, fmt::format("there is no host '{}'", replace_bad_utf8(utf8_prefix(text, 80))), {},
                 "GET /v1/hosts lists them");
}

awaitable<Answered> set_mode(Call& call, model::HostMode mode) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto host = co_await find_here(call);
  if (!host) co_return host.error();
  if (!owns_host(call.who, host->host))
    co_return fail(Code::forbidden,
                   fmt::format("host '{}' works for tenants that token '{}' has not", host->host.name, call.who.name),
                   {}, "use a token for all tenants");
  auto ask = [&](engine::Answer<engine::HostInfo> answer) {
    call.api.engine.set_host_mode(host->host.id.str(), mode, std::move(answer));
  };
  auto now = co_await ask_engine<engine::HostInfo>(ask);
  if (!now) co_return now.error();
  co_return json_response(200, show_host(call, std::move(*now)));
}

}  // namespace

awaitable<Answered> list_hosts(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"limit", "cursor"}); !ok) co_return ok.error();
  auto hosts = co_await all_hosts(call);
  if (!hosts) co_return hosts.error();
  SmallList list;
  for (auto& info : *hosts)
    if (sees_host(call.who, info.host)) {
      auto id = info.host.id.str();
      list.add(std::move(id), show_host(call, std::move(info)));
    }
  co_return list.answer(call.request.query);
}

awaitable<Answered> get_host(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  auto host = co_await find_here(call);
  if (!host) co_return host.error();
  co_return json_response(200, show_host(call, std::move(*host)));
}

awaitable<Answered> drain_host(Call& call) {
  return set_mode(call, model::HostMode::drain);
}

awaitable<Answered> resume_host(Call& call) {
  return set_mode(call, model::HostMode::run);
}

}  // namespace geres::hub::api
