// SPDX-License-Identifier: Apache-2.0
// /v1/hosts for people: which hosts there are, how they contain their jobs, what they run; drain and resume.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/small_list.h"
#include "wire/api/things.h"

namespace geres::hub::api {
namespace {

// A host that serves only other tenants counts as absent.
bool sees_host(const Identity& who, const model::Host& host) {
  if (who.all_tenants() || !host.tenants) return true;
  return std::any_of(host.tenants->begin(), host.tenants->end(), [&](const auto& t) { return who.sees(t); });
}

// All of these tenants are the caller's.
bool owns(const Identity& who, const std::optional<std::vector<std::string>>& tenants) {
  return who.all_tenants() ||
         (tenants && std::all_of(tenants->begin(), tenants->end(), [&](const auto& t) { return who.sees(t); }));
}

bool owns_host(const Identity& who, const model::Host& host) {
  return owns(who, host.tenants);
}

Error not_its_tenants(const Identity& who, const std::string& host) {
  return fail(Code::forbidden, fmt::format("host '{}' works for tenants that token '{}' has not", host, who.name), {},
              "use a token for all tenants");
}

json::object show_host(Call& call, const engine::HostInfo& info, Millis last_seen) {
  wire::HostView view{info.alive, last_seen, info.slots_busy, info.health, {}, info.health_tested_at, {}};
  // For others, because it may mention another tenant's job.
  if (owns_host(call.who, info.host)) view.health_reason = info.health_reason;
  for (const auto& lease : info.leases)
    if (call.who.sees(lease.tenant)) view.running.push_back(lease.job.str());
  if (!info.host.tenants) return wire::host_json(info.host, view);
  auto host = info.host;
  std::erase_if(*host.tenants, [&](const auto& t) { return !call.who.sees(t); });
  return wire::host_json(host, view);
}

// By id or name.
awaitable<Result<engine::Snapshot::Host>> find_here(Call& call) {
  const auto& text = call.capture("id");
  const auto id = parse_uuid(text);
  const auto fleet = co_await fleet_now(call);
  if (!fleet) co_return fleet.error();
  const engine::Snapshot::Host* found = nullptr;
  std::vector<Uuid> ids;
  for (const auto& host : (*fleet)->hosts) {
    const auto& row = host.info->host;
    if (!(id ? row.id == *id : row.name == text) || !sees_host(call.who, row)) continue;
    found = &host;
    ids.push_back(row.id);
  }
  if (ids.size() > 1) co_return engine::many_hosts(text, ids);
  if (found != nullptr) co_return *found;
  co_return fail(Code::notFound, fmt::format("there is no host '{}'", replace_bad_utf8(utf8_prefix(text, 80))), {},
                 "GET /v1/hosts lists them");
}

awaitable<Answered> set_mode(Call& call, model::HostMode mode) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto found = co_await find_here(call);
  // A drain outlives its host, so that one that is away can be resumed, too.
  if (!found && found.error().code == Code::notFound && mode == model::HostMode::run && call.who.operates()) {
    const engine::SetHostMode verb{call.capture("id"), mode};
    const auto away = co_await ask_engine(call, verb);
    if (!away) co_return away.error();
    note(call, "host resumed", {{"host", away->host.name}});
    co_return json_response(202, json::object{{"name", std::string_view(away->host.name)}, {"state", "away"}});
  }
  if (!found) co_return found.error();
  const auto& host = found->info->host;
  if (!owns_host(call.who, host)) co_return not_its_tenants(call.who, host.name);
  const engine::SetHostMode verb{host.id.str(), mode};
  const auto now = co_await ask_engine(call, verb);
  if (!now) co_return now.error();
  if (host.mode != mode)
    note(call, mode == model::HostMode::run ? "host resumed" : "host drained",
         {{"host", host.name}, {"hostId", host.id.str()}, {"busySlots", now->slots_busy}});
  co_return json_response(200, show_host(call, *now, found->last_seen));
}

}  // namespace

awaitable<Answered> list_hosts(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"limit", "cursor"}); !ok) co_return ok.error();
  const auto fleet = co_await fleet_now(call);
  if (!fleet) co_return fleet.error();
  SmallList list;
  for (const auto& host : (*fleet)->hosts)
    if (sees_host(call.who, host.info->host))
      list.add(host.info->host.id.str(), [&] { return show_host(call, *host.info, host.last_seen); });
  co_return list.answer(call.request.query);
}

awaitable<Answered> get_host(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto host = co_await find_here(call);
  if (!host) co_return host.error();
  co_return json_response(200, show_host(call, *host->info, host->last_seen));
}

awaitable<Answered> remove_host(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto& text = call.capture("id");
  const auto id = parse_uuid(text);
  Uuid wanted{};
  const auto here = co_await find_here(call);
  if (here) {
    const auto& host = here->info->host;
    if (!owns_host(call.who, host)) co_return not_its_tenants(call.who, host.name);
    if (!host.enrolment)
      co_return fail(Code::conflict,
                     fmt::format("host '{}' has joined with a token, and would be back at once", host.name), {},
                     "delete its token, and stop it");
    wanted = host.enrolment;
  } else if (here.error().code != Code::notFound) {
    co_return here.error();
  } else {
    auto read = [&] { return call.api.reads.enrolments(); };
    const auto all = co_await blocking(call, read);
    std::vector<Uuid> ids;
    for (const auto& one : all)
      if ((id ? one.id == *id : one.name == text) && owns(call.who, one.tenants)) ids.push_back(one.id);
    if (ids.empty()) co_return here.error();
    if (ids.size() > 1) co_return engine::many_hosts(text, ids);
    wanted = ids[0];
  }
  const engine::RemoveEnrolment verb{wanted};
  const auto done = co_await ask_engine(call, verb);
  if (!done) co_return done.error();
  note(call, "host removed", {{"host", text}, {"enrolmentId", wanted.str()}});
  http::Response response;
  response.status = 204;
  co_return response;
}

awaitable<Answered> drain_host(Call& call) {
  return set_mode(call, model::HostMode::drain);
}

awaitable<Answered> resume_host(Call& call) {
  return set_mode(call, model::HostMode::run);
}

}  // namespace geres::hub::api
