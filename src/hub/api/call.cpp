// SPDX-License-Identifier: Apache-2.0
#include "hub/api/call.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>

#include "base/bytes.h"
#include "base/similar.h"
#include "model/job.h"
#include "wire/api/job_json.h"

namespace geres::hub::api {

awaitable<Result<std::string>> body_text(Call& call, std::int64_t limit) {
  const auto type = call.request.headers.get("Content-Type").value_or("application/json");
  if (!type.starts_with("application/json") && !type.starts_with("application/merge-patch+json"))
    co_return fail(Code::unsupportedMedia, fmt::format("the body is '{}'", utf8_prefix(type, 80)), {},
                   "Content-Type: application/json");
  const auto length = call.request.body.length();
  if (!length || *length > std::uint64_t(MemoryBudget::kSmall)) {
    call.body_room =
        call.api.large_bodies.take(call.who.id, std::int64_t(std::min(length.value_or(limit), std::uint64_t(limit))));
    if (!call.body_room) co_return fail(Code::tooManyRequests, "too many large bodies at once");
  }
  co_return co_await call.request.body.read_all(std::uint64_t(limit));
}

Result<Uuid> job_id(const Call& call) {
  const auto& text = call.capture("id");
  if (const auto id = parse_uuid(text)) return *id;
  return fail(Code::unknownJob, fmt::format("'{}' is not a job id", replace_bad_utf8(utf8_prefix(text, 80))), {},
              "a job's id is a UUID; GET /v1/jobs?id= finds one by its first or last digits");
}

http::Response json_response(unsigned status, const json::value& body) {
  return json_text_response(status, boost::json::serialize(body));
}

http::Response json_text_response(unsigned status, std::string body) {
  return http::text_response(status, "application/json", std::move(body));
}

std::string list_text(json::array items, const std::string& next) {
  json::object body{{"items", std::move(items)}};
  if (!next.empty()) body.emplace("next", std::string_view(next));
  return boost::json::serialize(body);
}

http::Response list_response(json::array items, const std::string& next) {
  return json_text_response(200, list_text(std::move(items), next));
}

awaitable<Result<engine::SnapshotPtr>> fleet_now(Call& call) {
  http::Promise<Result<engine::SnapshotPtr>> promise;
  auto future = promise.future();
  call.api.engine.snapshot([promise](Result<engine::SnapshotPtr> made) { promise.set(std::move(made)); });
  return answer_of(std::move(future));
}

awaitable<Result<model::Job>> visible_job(Call& call, Uuid id) {
  auto read = [&call, id] { return call.api.reads.job(id); };
  auto job = co_await blocking(call, read);
  if (!job || !call.who.sees(job->spec.tenant)) co_return no_such_job(id.str());
  co_return std::move(*job);
}

awaitable<Result<JobGlance>> glance_at_job(Call& call, Uuid id) {
  auto read = [&call, id] { return find_job(call.api, id); };
  auto job = co_await blocking(call, read);
  if (!job || !call.who.sees(job->tenant)) co_return no_such_job(id.str());
  co_return std::move(*job);
}

std::optional<JobGlance> find_job(Api& api, Uuid id) {
  auto job = api.reads.job(id);
  if (!job) return std::nullopt;
  auto& status = job->status;
  return JobGlance{std::move(job->spec.tenant), status.state, status.attempt, std::move(status.files_left_out)};
}

json::object show_job_here(Api& api, const model::Job& job) {
  auto name = api.batch_names.find(job.spec.batch);
  if (!name) {
    if (const auto stored = api.reads.batch(job.spec.batch)) {
      api.batch_names.put(stored->batch);
      name = stored->batch.name;
    }
  }
  return wire::job_json(job, name.value_or(std::string()));
}

awaitable<json::object> show_job(Call& call, const model::Job& job) {
  if (auto name = call.api.batch_names.find(job.spec.batch)) co_return wire::job_json(job, *name);
  auto show = [&] { return show_job_here(call.api, job); };
  co_return co_await blocking(call, show);
}

Result<void> make_room(Call& call, std::size_t answer_bytes) {
  if (std::int64_t(answer_bytes) <= MemoryBudget::kSmall) return {};
  call.answer_room = call.api.large_answers.take(call.who.id, std::int64_t(answer_bytes));
  if (call.answer_room) return {};
  return fail(Code::tooManyRequests, "too many large answers that nobody has taken yet");
}

std::string tenant_left_out(const Api& api, const Identity& who) {
  if (auto only = who.only_tenant(); !only.empty()) return only;
  return who.sees(api.default_tenant) ? api.default_tenant : std::string();
}

void note(const Call& call, std::string_view message, std::vector<log::Member> members) {
  members.emplace_back("by", call.who.name);
  members.emplace_back("requestId", call.request.id);
  log::event(log::Level::info, message, members);
}

Error no_such_job(std::string_view id) {
  return fail(Code::unknownJob, fmt::format("there is no job '{}'", id));
}

awaitable<Result<void>> may_write(Call& call, const std::string& tenant, const std::string& field) {
  const auto& who = call.who;
  if (!who.sees(tenant)) co_return lacks_tenant(who, tenant, field);
  if (!who.all_tenants() || who.may(model::Role::admin) || tenant == call.api.default_tenant) co_return Result<void>();
  auto look = [&]() -> Result<void> {
    if (call.api.reads.has_tenant(tenant)) return {};
    std::vector<std::string> names;
    for (auto& other : call.api.reads.tenants()) names.push_back(std::move(other.name));
    auto error = fail(Code::unknownTenant, fmt::format("there is no tenant '{}'", tenant), field);
    if (const auto near = nearest(tenant, names); !near.empty()) error.hint = fmt::format("'{}'?", near);
    return error;
  };
  co_return co_await blocking(call, look);
}

Error lacks_tenant(const Identity& who, std::string_view tenant, std::string_view field) {
  return fail(Code::forbidden, fmt::format("token '{}' lacks the tenant '{}'", who.name, tenant), std::string(field),
              "ask an admin for a token with that tenant");
}

Error lacks_role(const Identity& who, std::string_view role) {
  if (who.kind == Identity::Kind::join)
    return fail(Code::forbidden, "this is a join token, good for registering a host and nothing else");
  if (who.kind == Identity::Kind::host)
    return fail(Code::forbidden, fmt::format("this is the secret of host '{}', good for its own calls only", who.name));
  return fail(Code::forbidden, fmt::format("token '{}' lacks the role {}", who.name, role), {},
              fmt::format("ask an admin for a token with the role {}", role));
}

}  // namespace geres::hub::api
