// SPDX-License-Identifier: Apache-2.0
#include "hub/api/submit.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "hub/api/event_filter.h"
#include "hub/engine/with_jobs.h"
#include "hub/webhooks/target.h"
#include "wire/api/job_json.h"
#include "wire/api/text_checks.h"

namespace geres::hub::api {
namespace {

std::string place(const engine::Submit& what, std::size_t index) {
  return what.list ? "/" + std::to_string(index) : std::string();
}

awaitable<Result<void>> check_tenants(Call& call, const engine::Submit& what) {
  std::set<std::string_view> asked;
  for (std::size_t i = 0; i < what.jobs.size(); ++i) {
    const auto& tenant = what.jobs[i].spec.tenant;
    if (!asked.insert(tenant).second) continue;
    const std::string field = place(what, i) + "/tenant";
    if (auto ok = co_await may_write(call, tenant, field); !ok) co_return ok.error();
  }
  co_return Result<void>();
}

// Replaces an artifact of another job by its digest. That job must be of the same tenant and have the file.
Result<void> resolve_input(Api& api, const std::string& tenant, model::Input& input, const std::string& field) {
  if (input.job) {
    const auto job = api.reads.job(input.job);
    if (!job || job->spec.tenant != tenant)
      return fail(Code::unknownJob, fmt::format("there is no job '{}'", input.job.str()), field + "/job");
    const auto files = api.reads.files(input.job);
    const auto file = std::find_if(files.begin(), files.end(), [&](const auto& f) { return f.path == input.file; });
    if (file == files.end())
      return fail(Code::unknownFile, fmt::format("job '{}' left no file '{}'", input.job.str(), input.file),
                  field + "/file", "GET /v1/jobs/{id}/files lists what it left");
    input.sha256 = file->sha256;
    return {};
  }
  if (api.blobs.has(tenant, input.sha256)) return {};
  return fail(Code::unknownFile, fmt::format("tenant '{}' has no file {}", tenant, input.sha256), field + "/sha256");
}

Result<void> resolve_inputs(Api& api, engine::Submit& what) {
  for (std::size_t i = 0; i < what.jobs.size(); ++i) {
    auto& spec = what.jobs[i].spec;
    for (std::size_t k = 0; k < spec.inputs.size(); ++k) {
      const auto field = fmt::format("{}/inputs/{}", place(what, i), k);
      if (auto ok = resolve_input(api, spec.tenant, spec.inputs[k], field); !ok) return ok;
    }
  }
  return {};
}

// Checks a job's own webhooks: their addresses may be called, and their types are events.
Result<void> check_webhooks(Api& api, const engine::Submit& what) {
  for (std::size_t i = 0; i < what.jobs.size(); ++i) {
    const auto& webhook = what.jobs[i].spec.webhook;
    if (webhook.url.empty()) continue;
    const auto field = place(what, i) + "/webhook";
    if (const auto ok = webhooks::check_target(webhook.url, api.webhooks->rules(), field); !ok) return ok.error();
    if (const auto ok = event_types_of(webhook.types, field + "/types"); !ok) return ok.error();
  }
  return {};
}

Result<engine::Submit> read_single(const json::value& document, const std::string& tenant, const std::string& key) {
  auto job = wire::read_job_spec(document, {tenant, key, false});
  if (!job) return job.error();
  engine::Submit what;
  what.jobs.push_back(new_job(std::move(*job)));
  return what;
}

Result<engine::Submit> read_list(const json::array& items, const std::string& tenant, const std::string& key) {
  if (items.empty()) return fail(Code::badValue, "the list is empty", {}, "1 to 10,000 job specs");
  if (items.size() > wire::kListMax)
    return fail(Code::tooMany, fmt::format("the list has {} jobs", items.size()), {},
                fmt::format("at most {} in one call", wire::kListMax));
  std::vector<wire::ParsedJob> jobs;
  jobs.reserve(items.size());
  const wire::SpecRules rules{tenant, {}, !key.empty()};
  for (std::size_t i = 0; i < items.size(); ++i) {
    auto job = wire::read_job_spec(items[i], rules);
    if (!job) return json::inside(std::to_string(i), job.error());
    jobs.push_back(std::move(*job));
  }
  engine::Submit what;
  what.list = true;
  what.list_key = key;
  if (!key.empty()) what.list_digest = wire::list_digest(jobs);
  for (auto& job : jobs) what.jobs.push_back(new_job(std::move(job)));
  return what;
}

Result<engine::Submit> read_submit(const Api& api, const std::string& text, const Identity& who,
                                   const std::string& key) {
  if (auto ok = wire::check_key(key, "Idempotency-Key"); !ok) return ok.error();
  json::Arena arena;
  auto document = json::parse(text, arena.storage());
  if (!document) return document.error();
  const auto tenant = tenant_left_out(api, who);
  auto what =
      document->is_array() ? read_list(document->get_array(), tenant, key) : read_single(*document, tenant, key);
  if (what) what->caller = who.caller();
  return what;
}

// A single spec has the smaller limit: only a body that begins with '[' may be longer.
awaitable<Result<std::string>> submit_body(Call& call) {
  const auto& limits = call.api.limits;
  const auto length = call.request.body.length();
  const bool short_enough = length && std::int64_t(*length) <= limits.spec_bytes;
  auto text = co_await body_text(call, short_enough ? limits.spec_bytes : limits.list_bytes);
  if (!text || std::int64_t(text->size()) <= limits.spec_bytes) co_return text;
  const auto first = text->find_first_not_of(" \t\r\n");
  if (first != std::string::npos && (*text)[first] == '[') co_return text;
  co_return fail(
      Code::tooLarge, fmt::format("the body has {} bytes", text->size()), {},
      fmt::format("a single job spec may have {} bytes; put large data into an input file", limits.spec_bytes));
}

// The names in a job that an error may be about.
struct Named {
  std::string tenant;
  std::string package;
  std::string package_sha256;
};

constexpr std::size_t kKnownMax = 1'000;  // batches that a misspelt name is compared with

// Adds to an error about an unknown name the names that exist.
awaitable<http::Response> explain(Call& call, const Error& error, std::vector<Named> jobs) {
  const bool choosable =
      error.code == Code::unknownType || error.code == Code::unknownPackage || error.code == Code::unknownBatch;
  if (!choosable || jobs.empty()) co_return problem(error);
  std::size_t index = 0;
  if (error.field.size() > 1 && error.field[1] >= '0' && error.field[1] <= '9')
    index = std::min(std::size_t(std::strtoul(error.field.c_str() + 1, nullptr, 10)), jobs.size() - 1);
  const auto& job = jobs[index];
  auto look = [&call, &error, &job] {
    std::vector<std::string> known;
    if (error.code == Code::unknownBatch) {
      for (const auto& stored : call.api.reads.batches({.tenants = {job.tenant}}, {}, kKnownMax))
        known.push_back(stored.batch.name);
      return known;
    }
    int newest = 0;
    for (const auto& package : call.api.reads.packages()) {
      if (package.tenant != job.tenant) continue;
      if (error.code == Code::unknownPackage) {
        if (std::find(known.begin(), known.end(), package.name) == known.end()) known.push_back(package.name);
      } else if (package.name == job.package &&
                 (job.package_sha256.empty() ? package.version > newest : package.sha256 == job.package_sha256)) {
        newest = package.version;
        known = package.types;
      }
    }
    return known;
  };
  const auto known = co_await blocking(call, look);
  co_return problem_with_known(error, known);
}

json::value ids_json(const std::vector<Uuid>& ids) {
  json::array list;
  list.reserve(ids.size());
  for (const auto id : ids) list.push_back(json::value(std::string_view(id.str())));
  return json::object{{"ids", std::move(list)}};
}

awaitable<http::Response> show_submitted(Call& call, const engine::Submitted& done, bool list) {
  http::Response response;
  const unsigned status = done.replayed ? 200 : 201;
  if (list) {
    response = json_response(status, ids_json(done.ids));
  } else {
    response = json_response(status, co_await show_job(call, done.jobs.front()));
    response.headers.emplace_back("Location", "/v1/jobs/" + done.jobs.front().id.str());
  }
  if (done.replayed) response.headers.emplace_back("Idempotency-Replayed", "true");
  co_return response;
}

}  // namespace

engine::NewJob new_job(wire::ParsedJob job) {
  return {std::move(job.spec), std::move(job.batch), std::move(job.package_sha256)};
}

awaitable<Result<engine::Submitted>> submit(Call& call, engine::Submit what) {
  // The engine itself finds out that the store is full, but it knows nothing of the files' disk.
  if (const auto now = call.api.readiness != nullptr ? call.api.readiness->now() : Readiness::Now(); now.files_away)
    co_return fail(Code::unavailable, "the hub takes no jobs: " + now.why, {},
                   "try again later: GET /readyz tells when");
  if (auto ok = co_await check_tenants(call, what); !ok) co_return ok.error();
  if (auto ok = check_webhooks(call.api, what); !ok) co_return ok.error();
  const bool has_inputs =
      std::any_of(what.jobs.begin(), what.jobs.end(), [](const auto& job) { return !job.spec.inputs.empty(); });
  if (has_inputs) {
    auto resolve = [&call, &what] { return resolve_inputs(call.api, what); };
    if (auto ok = co_await blocking(call, resolve); !ok) co_return ok.error();
  }
  co_return co_await ask_engine(call, std::move(what));
}

awaitable<Answered> post_jobs(Call& call) {
  const std::string key(call.request.headers.get("Idempotency-Key").value_or(std::string_view()));
  auto text = co_await submit_body(call);
  if (!text) co_return text.error();
  Result<engine::Submit> what = engine::Submit();
  if (text->size() <= kParseHereMax) {
    what = read_submit(call.api, *text, call.who, key);
  } else {
    auto parse = [&] { return read_submit(call.api, *text, call.who, key); };
    what = co_await blocking(call, parse);
  }
  if (!what) co_return what.error();
  text->clear();
  const bool list = what->list;
  std::vector<Named> names;
  names.reserve(what->jobs.size());
  for (const auto& job : what->jobs) names.push_back({job.spec.tenant, job.spec.package, job.package_sha256});
  auto done = co_await submit(call, std::move(*what));
  if (!done) {
    const Error error = done.error();
    co_return co_await explain(call, error, std::move(names));
  }
  co_return co_await show_submitted(call, *done, list);
}

}  // namespace geres::hub::api
