// SPDX-License-Identifier: Apache-2.0
// One job and lists of jobs: /v1/jobs, and /v1/jobs/{id} with everything below it.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>

#include "base/bytes.h"
#include "base/similar.h"
#include "hub/api/filter.h"
#include "hub/api/handlers.h"
#include "hub/api/pieces.h"
#include "hub/api/query.h"
#include "hub/engine/with_jobs.h"
#include "model/job_transitions.h"
#include "wire/api/job_json.h"
#include "wire/api/job_view.h"
#include "wire/api/text_checks.h"

namespace geres::hub::api {
namespace {

constexpr Millis kWaitMax = 600'000;
constexpr Millis kGraceMax = 3'600'000;

Result<std::vector<std::string>> fields_parameter(const http::Query& query) {
  auto fields = words_parameter(query, "fields");
  const auto all = wire::job_fields();
  for (const auto& field : fields)
    if (std::find(all.begin(), all.end(), field) == all.end())
      return fail(Code::badValue, fmt::format("a job has no field '{}'", replace_bad_utf8(utf8_prefix(field, 80))),
                  "fields", fmt::format("some of {}", fmt::join(all, ", ")));
  return fields;
}

// Large members are read from the store only if the caller asks for them.
bool any_of_large(const std::vector<std::string>& fields) {
  constexpr std::string_view kLarge[] = {"parameters", "result", "filesLeftOut", "filesLeftOutCount"};
  return std::any_of(fields.begin(), fields.end(),
                     [&](const std::string& field) { return std::ranges::find(kLarge, field) != std::end(kLarge); });
}

struct WaitFor {
  Millis deadline = 0;                        // monotonic
  std::optional<std::int64_t> since_version;  // absent: wait until the job has ended
};

bool waited_enough(const model::Job& job, const WaitFor& what) {
  return model::ended(job.status.state) || (what.since_version && job.status.version > *what.since_version);
}

// Returns the job as soon as it is what the caller waits for, or as it is when the time is up.
awaitable<Result<model::Job>> wait_for_job(Call& call, Uuid id, WaitFor what) {
  const http::Bell bell;
  const auto interest = what.since_version ? events::Feed::changed : events::Feed::ended;
  const auto subscription = call.api.feed.subscribe(id, interest, [bell] { bell.ring(); });
  while (true) {
    auto job = co_await visible_job(call, id);
    if (!job || waited_enough(*job, what)) co_return job;
    const Millis left = what.deadline - call.api.clock.monotonic();
    if (left <= 0 || call.request.cancellation.cancelled()) co_return job;
    co_await bell.wait(call.request.cancellation, left);
  }
}

Result<engine::CancelWhat> cancel_what(const wire::CancelShape& shape) {
  engine::CancelWhat what;
  if (shape.grace) {
    if (shape.grace->ms > kGraceMax) return fail(Code::badValue, "the grace is too long", "/grace", "at most 1h");
    what.grace = shape.grace->ms;
  }
  if (shape.reason.size() > 1'024)
    return fail(Code::tooLarge, "the reason is too long", "/reason", "at most 1,024 bytes");
  what.reason = shape.reason;
  return what;
}

}  // namespace

awaitable<Answered> list_jobs(Call& call) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query,
                                {"tenant", "batch", "type", "name", "host", "reason", "tag.", "id", "submittedAfter",
                                 "submittedBefore", "order", "limit", "cursor", "state", "open", "fields"},
                                {"state", "fields"});
      !ok)
    co_return ok.error();
  auto page = page_parameters(query);
  if (!page) co_return page.error();
  auto fields = fields_parameter(query);
  if (!fields) co_return fields.error();
  page->slim = !fields->empty() && !any_of_large(*fields);
  const FindFilter find = [&] { return filter_of_query(call.api, call.who, query); };
  const RenderJobs render = [&](const std::vector<model::Job>& jobs, store::Seq next) {
    json::array items;
    items.reserve(jobs.size());
    for (const auto& job : jobs) {
      auto item = show_job_here(call.api, job);
      if (!fields->empty()) wire::keep_fields(item, *fields);
      items.push_back(std::move(item));
    }
    return list_text(std::move(items), next == 0 ? std::string() : cursor_after(next));
  };
  auto listed = co_await list_jobs_in_pieces(call, *page, find, render);
  if (!listed) co_return listed.error();
  co_return json_text_response(200, std::move(listed->text));
}

awaitable<Answered> get_job(Call& call) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"wait", "sinceVersion", "fields"}, {"fields"}); !ok) co_return ok.error();
  const auto wait = duration_parameter(query, "wait", kWaitMax);
  if (!wait) co_return wait.error();
  const auto since = number_parameter(query, "sinceVersion", 0, std::numeric_limits<std::int64_t>::max());
  if (!since) co_return since.error();
  const auto fields = fields_parameter(query);
  if (!fields) co_return fields.error();
  const auto id = job_id(call);
  if (!id) co_return id.error();

  const Millis patience = wait->value_or(*since ? 30'000 : 0);
  Result<model::Job> job = model::Job();
  const WaitFor what{call.api.clock.monotonic() + patience, *since};
  if (patience > 0)
    job = co_await wait_for_job(call, *id, what);
  else
    job = co_await visible_job(call, *id);
  if (!job) co_return job.error();
  auto shown = co_await show_job(call, *job);
  if (!fields->empty()) wire::keep_fields(shown, *fields);
  co_return json_response(200, shown);
}

awaitable<Answered> patch_job(Call& call) {
  const auto id = job_id(call);
  if (!id) co_return id.error();
  auto shape = co_await body_as<wire::JobPatchShape>(call);
  if (!shape) co_return shape.error();
  engine::JobPatch patch;
  patch.priority = shape->priority;
  if (shape->notBefore)
    patch.not_before = *shape->notBefore ? std::optional<Millis>((*shape->notBefore)->at) : std::nullopt;
  if (shape->tags) {
    if (auto ok = wire::check_tags(*shape->tags, "/tags"); !ok) co_return ok.error();
    patch.tags = *shape->tags;
  }
  const engine::PatchJob verb{call.who.caller(), *id, patch};
  auto job = co_await ask_engine(call, verb);
  if (!job) co_return job.error();
  co_return json_response(200, co_await show_job(call, *job));
}

awaitable<Answered> cancel_job(Call& call) {
  const auto id = job_id(call);
  if (!id) co_return id.error();
  auto shape = co_await body_as<wire::CancelShape>(call, true);
  if (!shape) co_return shape.error();
  const auto what = cancel_what(*shape);
  if (!what) co_return what.error();
  const engine::CancelJob verb{call.who.caller(), *id, *what};
  auto job = co_await ask_engine(call, verb);
  if (!job) co_return job.error();
  co_return json_response(200, co_await show_job(call, *job));
}

awaitable<Answered> redrive_job(Call& call) {
  const auto id = job_id(call);
  if (!id) co_return id.error();
  auto shape = co_await body_as<wire::RedriveShape>(call, true);
  if (!shape) co_return shape.error();
  if (shape->dependants)
    co_return fail(Code::notSupported, "dependencies are not supported by this version", "/dependants");
  const engine::RedriveJob verb{call.who.caller(), *id};
  auto job = co_await ask_engine(call, verb);
  if (!job) co_return job.error();
  auto response = json_response(201, co_await show_job(call, *job));
  response.headers.emplace_back("Location", "/v1/jobs/" + job->id.str());
  co_return response;
}

awaitable<Answered> dismiss_job(Call& call) {
  const auto id = job_id(call);
  if (!id) co_return id.error();
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const engine::DismissJob verb{call.who.caller(), *id};
  auto job = co_await ask_engine(call, verb);
  if (!job) co_return job.error();
  co_return json_response(200, co_await show_job(call, *job));
}

awaitable<Answered> why_job(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto id = job_id(call);
  if (!id) co_return id.error();
  std::optional<engine::WhyAnswer> why;
  for (int tries = 0; !why; ++tries) {  // again if it was granted, or became ready, in the meantime
    if (tries == 20) co_return fail(Code::unavailable, "the job changes faster than it can be looked at");
    auto job = co_await visible_job(call, *id);
    if (!job) co_return job.error();
    engine::SnapshotPtr fleet;
    if (job->status.state == model::JobState::ready) {
      auto now = co_await fleet_now(call);
      if (!now) co_return now.error();
      fleet = std::move(*now);
    }
    auto explain = [&] { return engine::why(std::move(*job), fleet.get(), call.api.reads, call.api.clock.wall()); };
    why = co_await http::run_on(call.api.explainer, std::move(explain));
  }
  json::array reasons;
  for (const auto& hindrance : why->reasons) {
    json::object reason{{"kind", std::string_view(hindrance.code)}, {"message", std::string_view(hindrance.message)}};
    if (hindrance.hosts > 0) reason.emplace("hosts", hindrance.hosts);
    reasons.push_back(std::move(reason));
  }
  const json::object body{{"id", std::string_view(id->str())},
                          {"state", model::state_name(why->job.status.state)},
                          {"summary", std::string_view(why->summary)},
                          {"reasons", std::move(reasons)},
                          {"ahead", why->ahead},
                          {"aheadInBatch", why->ahead_in_batch}};
  co_return json_response(200, body);
}

awaitable<Answered> list_attempts(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto id = job_id(call);
  if (!id) co_return id.error();
  const auto job = co_await visible_job(call, *id);
  if (!job) co_return job.error();
  auto read = [&] { return call.api.reads.attempts(*id); };
  const auto attempts = co_await blocking(call, read);
  json::array items;
  for (const auto& attempt : attempts) items.push_back(wire::attempt_json(attempt));
  co_return list_response(std::move(items), {});
}

awaitable<Answered> list_job_events(Call& call) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"limit", "cursor"}); !ok) co_return ok.error();
  const auto page = page_parameters(query);
  if (!page) co_return page.error();
  const auto id = job_id(call);
  if (!id) co_return id.error();
  const auto job = co_await visible_job(call, *id);
  if (!job) co_return job.error();
  auto read = [&] { return call.api.reads.job_events(*id, page->after, page->limit + 1); };
  auto events = co_await blocking(call, read);
  std::string next;
  if (events.size() > page->limit) {
    events.resize(page->limit);
    next = cursor_after(events.back().no);
  }
  json::array items;
  for (const auto& event : events) items.push_back(call.api.teller->event_json(event, &*job));
  co_return list_response(std::move(items), next);
}

}  // namespace geres::hub::api
