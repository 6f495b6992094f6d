// SPDX-License-Identifier: Apache-2.0
// The GeRes2 API: /api/jobcontrol and /api/jobmonitor, implemented by the verbs of /v1.
#include <fmt/format.h>

#include <boost/json/serialize.hpp>

#include "hub/api/filter.h"
#include "hub/api/handlers.h"
#include "hub/api/pieces.h"
#include "hub/api/query.h"
#include "hub/api/submit.h"
#include "hub/engine/with_jobs.h"
#include "wire/api/legacy_json.h"

namespace geres::hub::api {
namespace {

constexpr const char* kPagingHeader = "gerespagingtoken";
constexpr std::size_t kBatchesMax = 10'000;  // GeRes2 had no pages for these lists

// The batch in the path; empty if there is none.
std::string batch_of(const Call& call) {
  return call.request.captures.empty() ? std::string() : call.request.captures.front().second;
}

// Uses the reader of /v1 specs, so that the same rules hold; errors use the legacy names.
Result<wire::ParsedJob> parsed_job(const wire::LegacyJobShape& shape, const std::string& batch) {
  if (auto ok = wire::check(shape); !ok) return ok.error();
  const auto text = [](const std::string& s) { return json::value(std::string_view(s)); };
  const json::object spec{{"tenant", text(shape.TenantName)},
                          {"type", text(shape.JobType)},
                          {"package", text(shape.JobProcessorPackageName)},
                          {"name", text(shape.JobName)},
                          {"parameters", text(shape.Parameters)},
                          {"batch", text(batch)}};
  auto job = wire::read_job_spec(spec, {});
  if (job) return job;
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {{"/tenant", "/TenantName"},
                                                                      {"/type", "/JobType"},
                                                                      {"/package", "/JobProcessorPackageName"},
                                                                      {"/name", "/JobName"},
                                                                      {"/parameters", "/Parameters"}};
  for (const auto& [ours, theirs] : kNames)
    if (job.error().field == ours) return about(job.error(), theirs);
  return job;
}

awaitable<Result<engine::Submitted>> submit_shapes(Call& call, std::vector<wire::LegacyJobShape> shapes, bool list) {
  engine::Submit what;
  what.caller = call.who.caller();
  what.list = list;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    auto job = parsed_job(shapes[i], batch_of(call));
    if (!job) co_return list ? json::inside(std::to_string(i), job.error()) : job.error();
    what.jobs.push_back(new_job(std::move(*job)));
  }
  co_return co_await submit(call, std::move(what));
}

// The store knows batches by id; an unknown one is 404 here.
awaitable<Result<store::StoredBatch>> batch_here(Call& call, const std::string& batch) {
  auto look = [&] { return find_batch(call.api, call.who, batch, {}, {}); };
  co_return co_await blocking(call, look);
}

http::Response done() {
  http::Response response;
  response.status = 204;
  return response;
}

json::value id_json(Uuid id) {
  return json::value(std::string_view(id.str()));
}

}  // namespace

awaitable<Answered> legacy_post_job(Call& call) {
  auto shape = co_await body_as<wire::LegacyJobShape>(call);
  if (!shape) co_return shape.error();
  std::vector<wire::LegacyJobShape> shapes{std::move(*shape)};
  const auto submitted = co_await submit_shapes(call, std::move(shapes), false);
  if (!submitted) co_return submitted.error();
  co_return json_response(200, id_json(submitted->ids.front()));
}

awaitable<Answered> legacy_post_jobs(Call& call) {
  auto text = co_await body_text(call, call.api.limits.list_bytes);
  if (!text) co_return text.error();
  auto parse = [&] { return json::read_text<std::vector<wire::LegacyJobShape>>(*text); };
  auto shapes = co_await blocking(call, parse);
  if (!shapes) co_return shapes.error();
  if (shapes->size() > wire::kListMax)
    co_return fail(Code::tooMany, fmt::format("the list has {} jobs", shapes->size()), {},
                   fmt::format("at most {} in one call", wire::kListMax));
  json::array ids;
  if (!shapes->empty()) {
    const auto submitted = co_await submit_shapes(call, std::move(*shapes), true);
    if (!submitted) co_return submitted.error();
    for (const auto id : submitted->ids) ids.push_back(id_json(id));
  }
  co_return json_response(200, ids);
}

awaitable<Answered> legacy_delete_job(Call& call) {
  const auto id = job_id(call);
  if (!id) co_return id.error();
  const engine::CancelJob verb{call.who.caller(), *id, {}};
  const auto job = co_await ask_engine(call, verb);
  if (!job) co_return job.error();
  co_return done();
}

awaitable<Answered> legacy_put_batch(Call& call) {
  auto shape = co_await body_as<wire::LegacyBatchShape>(call);
  if (!shape) co_return shape.error();
  const wire::NewBatchShape batch{shape->BatchName, call.who.only_tenant(), shape->Priority,
                                  shape->RequiresDedicatedWorker, 0};
  if (auto ok = wire::check(batch); !ok) co_return ok.error();
  const bool operates = call.who.operates();
  if (batch.tenant.empty() && !operates)
    co_return fail(Code::tenantRequired, "it is not clear whose batch this would be", {},
                   "use a token with exactly one tenant, or POST /v1/batches");
  if (batch.priority && *batch.priority < 100 && !operates)
    co_return lacks_role(call.who, role_name(model::Role::operator_));
  engine::NewBatch what{batch.tenant, batch.name, batch.priority, batch.dedicated, 0};
  engine::CreateBatch verb{call.who.caller(), std::move(what)};
  const auto made = co_await ask_engine(call, std::move(verb));
  if (!made) co_return made.error();
  co_return json_response(200, id_json(made->id));
}

awaitable<Answered> legacy_close_batch(Call& call) {
  const auto stored = co_await batch_here(call, call.capture("id"));
  if (!stored) co_return stored.error();
  const engine::CloseBatch verb{call.who.caller(), model::batch_text(stored->batch.id)};
  const auto batch = co_await ask_engine(call, verb);
  if (!batch) co_return batch.error();
  co_return done();
}

awaitable<Answered> legacy_cancel_batch(Call& call) {
  const auto stored = co_await batch_here(call, call.capture("id"));
  if (!stored) co_return stored.error();
  const engine::CancelBatch verb{call.who.caller(), model::batch_text(stored->batch.id), {}};
  const auto batch = co_await ask_engine(call, verb);
  if (!batch) co_return batch.error();
  co_return done();
}

awaitable<Answered> legacy_get_job(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"batchId"}); !ok) co_return ok.error();
  const auto id = job_id(call);
  if (!id) co_return id.error();
  const auto job = co_await visible_job(call, *id);
  if (!job) co_return job.error();
  const auto batch = text_parameter(call.request.query, "batchId");
  if (!batch.empty() && batch != model::batch_text(job->spec.batch)) co_return no_such_job(id->str());
  co_return json_response(200, wire::legacy_job_json(*job));
}

awaitable<Answered> legacy_list_jobs(Call& call) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"numOfRecords"}); !ok) co_return ok.error();
  const auto count = number_parameter(query, "numOfRecords", 1, 1'000);
  if (!count) co_return count.error();
  store::Page page;
  page.ascending = true;
  if (const auto token = call.request.headers.get(kPagingHeader); token && !token->empty()) {
    auto position = read_cursor(*token);
    if (!position) co_return about(position.error(), kPagingHeader);
    page.after = *position;
  }
  const auto limit = std::size_t(count->value_or(100));
  page.limit = limit;
  const auto stored = co_await batch_here(call, batch_of(call));
  if (!stored) co_return stored.error();
  const FindFilter find = [&]() -> Result<Narrowed> {
    store::JobFilter filter;
    filter.tenants = call.who.tenants;
    filter.batch = stored->batch.id;
    return Narrowed(std::move(filter));
  };
  const RenderJobs render = [](const std::vector<model::Job>& jobs, store::Seq) {
    json::array items;
    for (const auto& job : jobs) items.push_back(wire::legacy_job_json(job));
    return boost::json::serialize(items);
  };
  auto listed = co_await list_jobs_in_pieces(call, page, find, render);
  if (!listed) co_return listed.error();
  auto response = json_text_response(200, std::move(listed->text));
  if (listed->next != 0) response.headers.emplace_back(kPagingHeader, cursor_after(listed->next));
  co_return response;
}

awaitable<Answered> legacy_list_batches(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  auto read = [&]() -> Result<std::string> {
    json::array items;
    for (const auto& stored : call.api.reads.batches({.tenants = call.who.tenants}, {}, kBatchesMax))
      items.push_back(wire::legacy_batch_json(stored.batch));
    auto text = boost::json::serialize(items);
    if (auto ok = make_room(call, text.size()); !ok) return ok.error();
    return text;
  };
  auto text = co_await blocking(call, read);
  if (!text) co_return text.error();
  co_return json_text_response(200, std::move(*text));
}

}  // namespace geres::hub::api
