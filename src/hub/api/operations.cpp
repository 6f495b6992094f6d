// SPDX-License-Identifier: Apache-2.0
// GET /v1/operations/{id}: how far work on many jobs is that was left to the hub.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"

namespace geres::hub::api {
namespace {

bool may_see(const Identity& who, const BulkWork::Work& work) {
  if (who.id == work.owner || who.operates()) return true;
  return !work.tenants.empty() &&
         std::all_of(work.tenants.begin(), work.tenants.end(), [&](const auto& tenant) { return who.sees(tenant); });
}

}  // namespace

json::object operation_json(const BulkWork::Work& work) {
  json::object body{{"id", std::string_view(work.id.str())},
                    {"verb", std::string_view(work.verb)},
                    {"state", !work.ended_at ? "running"
                              : work.error   ? "failed"
                                             : "done"},
                    {"done", work.done},
                    {"of", nullptr},
                    {"startedAt", std::string_view(format_time(work.started_at))}};
  if (work.of) body["of"] = *work.of;
  if (work.ended_at) body.emplace("endedAt", std::string_view(format_time(*work.ended_at)));
  if (work.error) body.emplace("error", std::string_view(work.error->message));
  return body;
}

awaitable<Answered> get_operation(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto& text = call.capture("id");
  const auto id = parse_uuid(text);
  const auto work = id ? call.api.bulk_work->find(*id) : std::nullopt;
  if (!work || !may_see(call.who, *work))
    co_return fail(Code::notFound, fmt::format("there is no operation '{}'", replace_bad_utf8(utf8_prefix(text, 80))),
                   {},
                   "they are known until an hour after their end, or until the hub restarts, which goes on with them");
  co_return json_response(200, operation_json(*work));
}

}  // namespace geres::hub::api
