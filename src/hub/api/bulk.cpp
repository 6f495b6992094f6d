// SPDX-License-Identifier: Apache-2.0
// Many jobs at once by a filter: POST /v1/jobs/cancel, /v1/jobs/redrive and /v1/jobs/dismiss.
#include <fmt/format.h>

#include "hub/api/filter.h"
#include "hub/api/handlers.h"
#include "hub/api/pieces.h"
#include "hub/api/query.h"

namespace geres::hub::api {
namespace {

constexpr Millis kGraceMax = 3'600'000;

bool is_empty(const wire::FilterShape& shape) {
  return !shape.tenant && !shape.batch && !shape.state && !shape.type && !shape.name && !shape.tags && !shape.host &&
         !shape.submittedAfter && !shape.submittedBefore && !shape.ids;
}

// Null, "", [] and {} are what an unset variable leaves. If they meant "all", a slip would change everything.
Result<void> no_empty_condition(const json::value& body) {
  if (!body.is_object()) return {};
  for (const auto& [name, v] : body.get_object()) {
    if (name == "reason" || name == "grace") continue;
    if (v.is_null() || (v.is_string() && v.get_string().empty()) || (v.is_array() && v.get_array().empty()) ||
        (v.is_object() && v.get_object().empty()))
      return fail(Code::emptyFilter, fmt::format("the condition '{}' is empty", std::string_view(name)),
                  "/" + std::string(name), "leave it out, or say which");
  }
  return {};
}

awaitable<Result<wire::FilterShape>> read_filter(Call& call) {
  const auto text = co_await body_text(call, call.api.limits.spec_bytes);
  if (!text) co_return text.error();
  if (text->empty()) co_return wire::FilterShape{};
  auto shape = json::read_text<wire::FilterShape>(*text);
  if (!shape) co_return shape.error();
  if (auto ok = no_empty_condition(json::parse(*text).value()); !ok) co_return ok.error();
  co_return std::move(*shape);
}

struct BulkCall {
  wire::FilterShape shape;
  Narrowed filter;
  bool dry_run = false;
  bool background = false;  // answer as soon as it is sure to be done
};

// RFC 7240: Prefer: respond-async, wait=10
bool prefers_async(const http::Request& request) {
  std::string_view list = request.headers.get("Prefer").value_or("");
  while (!list.empty()) {
    auto one = list.substr(0, list.find(','));
    list.remove_prefix(std::min(one.size() + 1, list.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    if (one.substr(0, one.find_first_of("; ")) == "respond-async") return true;
  }
  return false;
}

awaitable<Result<BulkCall>> read_bulk(Call& call, bool reason_is_condition) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"dryRun", "background"}); !ok) co_return ok.error();
  const auto dry_run = flag_parameter(query, "dryRun");
  if (!dry_run) co_return dry_run.error();
  const auto background = flag_parameter(query, "background");
  if (!background) co_return background.error();
  auto shape = co_await read_filter(call);
  if (!shape) co_return shape.error();
  if (is_empty(*shape) && !(reason_is_condition && shape->reason))
    co_return fail(Code::emptyFilter, "the filter has no condition");
  BulkCall bulk;
  auto narrow = [&] { return filter_of_body(call.api, call.who, *shape); };
  auto filter = co_await blocking(call, narrow);
  if (!filter) co_return filter.error();
  bulk.filter = std::move(*filter);
  bulk.shape = std::move(*shape);
  bulk.dry_run = *dry_run;
  bulk.background = query.get("background") ? *background : prefers_async(call.request);
  co_return bulk;
}

// The filter's states, or all of `fitting` if it names none. Named states that do not fit are left out.
std::vector<model::JobState> narrow_states(const std::vector<model::JobState>& named,
                                           const std::vector<model::JobState>& fitting) {
  if (named.empty()) return fitting;
  std::vector<model::JobState> both;
  for (const auto state : named)
    if (std::find(fitting.begin(), fitting.end(), state) != fitting.end()) both.push_back(state);
  return both;
}

http::Response count_response(std::int64_t count, bool dry_run, json::object by_reason = {}) {
  json::object body{{"count", count}, {"dryRun", dry_run}};
  if (!by_reason.empty()) body.emplace("byReason", std::move(by_reason));
  return json_response(200, body);
}

json::object reasons_json(const std::map<model::Reason, std::int64_t>& by_reason) {
  json::object body;
  for (const auto& [reason, n] : by_reason) body.emplace(json::write(reason).get_string(), n);
  return body;
}

http::Response done_response(const engine::BulkDone& done) {
  json::object body{{"count", done.count}, {"dryRun", false}};
  auto by_reason = reasons_json(done.by_reason);
  if (!by_reason.empty()) body.emplace("byReason", std::move(by_reason));
  json::array ids;
  for (const auto id : done.ids) ids.emplace_back(std::string_view(id.str()));
  body.emplace("ids", std::move(ids));
  return json_response(200, body);
}

// Of work in the background: what the engine tells of it goes to `all`, and that it has begun to who waits for that.
struct Begun {
  std::shared_ptr<BulkWork> all;
  http::Promise<Result<Uuid>> promise;
  BulkWork::Work work;
  const Clock& clock;
  bool begun = false;

  void heard(Uuid id, std::int64_t done) {
    if (begun) return all->progressed(id, done);
    begun = true;
    work.id = id;
    all->begin(work);
    promise.set(id);
  }
  void ended(Result<std::int64_t> count) {
    if (!begun) return promise.set(count ? fail(Code::internal, "it has ended before it began") : count.error());
    all->ended(work.id, std::move(count), clock.wall());
  }
};

http::Response begun_response(const BulkWork::Work& work) {
  auto response = json_response(202, json::object{{"operation", operation_json(work)}});
  response.headers.emplace_back("Location", "/v1/operations/" + work.id.str());
  return response;
}

template <class Verb>
awaitable<Answered> begin_many(Call& call, Verb verb, std::string_view name) {
  BulkWork::Work work;
  work.verb = name;
  work.owner = call.who.id;
  work.tenants = call.who.tenants;
  work.started_at = call.api.clock.wall();
  http::Promise<Result<Uuid>> promise;
  auto future = promise.future();
  auto begun = std::make_shared<Begun>(call.api.bulk_work, promise, work, call.api.clock);
  promise = http::Promise<Result<Uuid>>();
  verb.watch = [begun](Uuid id, std::int64_t done) { begun->heard(id, done); };
  engine::Answer<engine::BulkDone> answer = [begun](Result<engine::BulkDone> done) {
    begun->ended(done ? Result<std::int64_t>(done->count) : Result<std::int64_t>(done.error()));
  };
  call.api.engine.ask(std::move(verb), std::move(answer));
  begun.reset();
  const auto id = co_await answer_of(std::move(future));
  if (!id) co_return id.error();
  work.id = *id;
  co_return begun_response(work);
}

template <class Verb>
awaitable<Answered> change_many(Call& call, Verb verb, bool background, std::string_view name) {
  if (background) co_return co_await begin_many(call, std::move(verb), name);
  const auto done = co_await ask_engine(call, std::move(verb));
  if (!done) co_return done.error();
  co_return done_response(*done);
}

// A verb on ended jobs: on failed ones, unless the filter names others of `fitting`.
struct Ended {
  std::vector<model::JobState> fitting;
  bool store::JobFilter::*meant;  // the condition that a dry run adds, to count only what would change
  std::string_view verb;
};

template <class Verb>
awaitable<Answered> change_ended(Call& call, Ended what) {
  auto bulk = co_await read_bulk(call, true);
  if (!bulk) co_return bulk.error();
  if (bulk->shape.grace) co_return fail(Code::unknownField, "'grace' is for cancel only", "/grace", "leave it out");
  if (!bulk->filter) co_return count_response(0, bulk->dry_run);
  auto& filter = *bulk->filter;
  if (bulk->shape.reason) {
    const auto reason = json::read<model::Reason>(*bulk->shape.reason);
    if (!reason) co_return json::inside("reason", reason.error());
    filter.reason = *reason;
  }
  filter.states =
      filter.states.empty() ? std::vector{model::JobState::failed} : narrow_states(filter.states, what.fitting);
  if (filter.states.empty()) co_return count_response(0, bulk->dry_run);
  if (bulk->dry_run) {
    filter.*what.meant = true;
    const auto counted = co_await count_jobs(call, filter);
    if (!counted) co_return counted.error();
    co_return count_response(counted->count, true, filter.reason ? json::object() : reasons_json(counted->by_reason));
  }
  Verb verb{call.who.caller(), filter};
  co_return co_await change_many(call, std::move(verb), bulk->background, what.verb);
}

}  // namespace

awaitable<Answered> cancel_jobs(Call& call) {
  auto bulk = co_await read_bulk(call, false);
  if (!bulk) co_return bulk.error();
  engine::CancelWhat what;
  if (bulk->shape.grace) what.grace = bulk->shape.grace->ms;
  if (what.grace > kGraceMax) co_return fail(Code::badValue, "the grace is too long", "/grace", "at most 1h");
  if (bulk->shape.reason) {
    const auto reason = json::read<std::string>(*bulk->shape.reason);
    if (!reason) co_return json::inside("reason", reason.error());
    what.reason = *reason;
  }
  if (!bulk->filter) co_return count_response(0, bulk->dry_run);
  using enum model::JobState;
  auto& filter = *bulk->filter;
  filter.states = narrow_states(filter.states, {scheduled, blocked, ready, leased, running});
  if (filter.states.empty()) co_return count_response(0, bulk->dry_run);
  if (bulk->dry_run) {
    const auto counted = co_await count_jobs(call, filter);
    if (!counted) co_return counted.error();
    co_return count_response(counted->count, true);
  }
  engine::CancelWhere verb{call.who.caller(), filter, what};
  co_return co_await change_many(call, std::move(verb), bulk->background, "cancel");
}

awaitable<Answered> redrive_jobs(Call& call) {
  using enum model::JobState;
  return change_ended<engine::RedriveWhere>(call,
                                            {{finished, failed, cancelled}, &store::JobFilter::redrivable, "redrive"});
}

awaitable<Answered> dismiss_jobs(Call& call) {
  return change_ended<engine::DismissWhere>(call, {{model::JobState::failed}, &store::JobFilter::open, "dismiss"});
}

}  // namespace geres::hub::api
