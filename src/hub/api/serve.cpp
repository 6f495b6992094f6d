// SPDX-License-Identifier: Apache-2.0
// What happens around every handler: authentication, authorization, errors, figures and logs.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "http/cors.h"
#include "http/encoding.h"
#include "http/websocket.h"
#include "hub/api/browser.h"
#include "hub/api/host_certificate.h"
#include "hub/api/metrics.h"
#include "hub/api/page.h"
#include "hub/api/routes.h"
#include "hub/store/store.h"
#include "identity/verifier.h"

namespace geres::hub::api {
namespace {

using IdentityPtr = std::shared_ptr<const Identity>;

const Identity kNobody;

Error not_known() {
  return fail(Code::unauthenticated, "the token is not known or has expired");
}

// Guessing is hopeless, but must not keep the hub or its log busy.
Error guessed(Api& api, const http::Request& request, Error error) {
  if (api.brakes.guesses.take(address_of(request), api.clock.monotonic())) return error;
  return fail(Code::tooManyRequests, "too many calls with tokens that are not known from this address");
}

Result<IdentityPtr> identify(Api& api, const Route& route, const http::Request& request) {
  const auto header = request.headers.get("Authorization");
  const auto query = route.token_in_query ? request.query.get("access_token") : std::nullopt;
  if (!header && !query) {
    if (route.needs == Needs::registrar)
      if (auto host = certified_host(api, request)) return host;
    auto who = signed_in(api, request);
    if (who && *who) return who;
    if (!who) return who.error().code == Code::unauthenticated ? guessed(api, request, who.error()) : who.error();
    return fail(Code::unauthenticated, "the header Authorization is missing", {},
                route.token_in_query ? "Authorization: Bearer TOKEN, or access_token=TOKEN in the query" : "");
  }
  const auto secret = header ? bearer_of(*header) : *query;
  if (is_jwt(secret)) return IdentityPtr();  // identify_provided()
  if (secret.empty()) return fail(Code::unauthenticated, "the header Authorization has no bearer token");
  auto identity = api.access.find(secret, api.clock.wall());
  if (identity) return identity;
  return guessed(api, request, not_known());
}

// A failed check counts as a guess; that the provider is away, or that somebody known may do nothing here, does not.
Error refused(Api& api, const http::Request& request, const identity::Refusal& refusal) {
  const auto known = refusal.outcome == identity::Outcome::away || refusal.outcome == identity::Outcome::no_role;
  return known ? refusal.error : guessed(api, request, refusal.error);
}

// Waits only while the provider's keys have to be fetched.
awaitable<Result<IdentityPtr>> identify_provided(Api& api, http::Request& request) {
  const auto header = request.headers.get("Authorization");
  const std::string token(header ? bearer_of(*header) : *request.query.get("access_token"));
  if (api.access.verifier == nullptr)
    co_return guessed(api, request,
                      fail(Code::unauthenticated, "this is an identity provider's token, and this hub trusts none", {},
                           "start the hub with --auth-config, or use a token that it made"));
  auto checked = api.access.verifier->check(token);
  if (!checked) {
    http::Promise<identity::Checked<identity::CallerPtr>> promise;
    auto future = promise.future();
    std::function<void(identity::Checked<identity::CallerPtr>)> then = [promise](auto got) {
      promise.set(std::move(got));
    };
    api.access.verifier->check(token, std::move(then));
    promise = {};
    auto got = co_await future.get(request.cancellation);
    if (!got) co_return fail(Code::unavailable, "the hub is stopping");
    checked.emplace(std::move(*got));
  }
  if (!*checked) co_return refused(api, request, checked->error());
  co_return identity_of(std::move(**checked));
}

// Applies the operator's rates. Hosts are exempt, because their reports must not wait.
Result<void> brake(Api& api, const Identity& who, const http::Request& request) {
  const bool registers = std::find(who.roles.begin(), who.roles.end(), model::Role::host) != who.roles.end();
  if (who.kind == Identity::Kind::host || who.kind == Identity::Kind::join || registers) return {};
  const Millis now = api.clock.monotonic();
  if (!api.brakes.addresses.take(address_of(request), now))
    return fail(Code::tooManyRequests, "this address makes more calls than the operator allows");
  if (!api.brakes.tokens.take(who.id.str(), now))
    return fail(Code::tooManyRequests, fmt::format("token '{}' makes more calls than the operator allows", who.name));
  const auto tenant = who.only_tenant();
  if (!tenant.empty() && !api.brakes.tenants.take(tenant, now))
    return fail(Code::tooManyRequests, fmt::format("tenant '{}' makes more calls than the operator allows", tenant));
  return {};
}

Result<void> need_role(const Identity& who, model::Role role) {
  if (who.may(role)) return {};
  return lacks_role(who, role_name(role));
}

// A host's secret is valid for that host's paths; any other host looks absent.
Result<void> need_host(const Identity& who, const std::string& id) {
  if (who.kind != Identity::Kind::host)
    return fail(Code::forbidden, fmt::format("token '{}' is not a host's secret", who.name), {},
                "use the secret that POST /v1/hosts gave");
  if (parse_uuid(id) == who.id) return {};
  return fail(Code::notFound, fmt::format("host '{}' is another than '{}'", who.name, id), {},
              "use this host's own id");
}

Result<void> allow(const Identity& who, Needs needs, const http::Request& request) {
  switch (needs) {
    case Needs::nothing:
      return {};
    case Needs::caller:
      return {};
    case Needs::token:
      if (who.kind == Identity::Kind::token) return {};
      return lacks_role(who, "viewer");
    case Needs::viewer:
      return need_role(who, model::Role::viewer);
    case Needs::submitter:
      return need_role(who, model::Role::submitter);
    case Needs::operator_:
      return need_role(who, model::Role::operator_);
    case Needs::admin:
      return need_role(who, model::Role::admin);
    case Needs::registrar:
      if (who.kind == Identity::Kind::join || who.enrolment) return {};
      return need_role(who, model::Role::host);
    case Needs::host:
      return need_host(who, request.capture("id"));
    case Needs::download:
      return who.kind == Identity::Kind::host ? Result<void>() : need_role(who, model::Role::viewer);
  }
  return fail(Code::internal, "a route without a rule");
}

http::Response trouble(const Error& error, bool legacy) {
  unsigned status = status_of(error);
  if (legacy && status < 500 && status != 401 && status != 403)
    status = problem_kind(error.code).status == 404 && error.code != Code::unknownPackage ? 404 : 400;
  return problem_with_status(error, status);
}

// Bad callers, or a time in which nothing works, must not fill the log.
bool may_write(LineQuota& quota) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto left_out = quota.take(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  if (left_out.value_or(0) > 0)
    log::event(log::Level::info, "lines like the next were left out", {{"lines", *left_out}});
  return left_out.has_value();
}

// Something outside of us (such as the disk) failed in the middle of a handler.
Error world_failed(Api& api, const http::Request& request, const std::exception& what) {
  if (may_write(api.trouble_lines))
    log::event(
        log::Level::err, "a call failed",
        {{"method", request.method_text}, {"route", request.route}, {"error", what.what()}, {"requestId", request.id}});
  if (const auto* failed = dynamic_cast<const store::StoreFailed*>(&what)) {
    if (failed->failure == store::Failure::refused) ++api.metrics.reads_refused;
    if (failed->failure == store::Failure::full) return fail(Code::storageFull, "the disk is full");
    return fail(Code::unavailable, "the store does not answer");
  }
  if (const auto* failed = dynamic_cast<const std::system_error*>(&what)) {
    if (failed->code() == std::errc::no_space_on_device) return fail(Code::storageFull, "the disk is full");
    if (failed->code() == std::errc::too_many_files_open || failed->code() == std::errc::too_many_files_open_in_system)
      return fail(Code::unavailable, "the hub has too many files open");
  }
  return fail(Code::internal, "the hub failed");
}

// A stream whose reader may lose access while it lasts: nothing is written after that.
class Guarded final : public http::StreamWriter {
 public:
  Guarded(Api& api, IdentityPtr who, http::StreamWriter& out) : api_(api), who_(std::move(who)), out_(out) {}
  awaitable<bool> write(std::string_view bytes) override {
    if (!api_.access.current(*who_, api_.clock.wall())) co_return false;
    co_return co_await out_.write(bytes);
  }

 private:
  Api& api_;
  IdentityPtr who_;
  http::StreamWriter& out_;
};

awaitable<void> run_guarded(Api& api, IdentityPtr who, decltype(http::Response::stream) stream,
                            http::StreamWriter& out) {
  const Metrics::Open open(api.metrics.streams_open);
  Guarded guarded(api, std::move(who), out);
  co_await stream(guarded);
}

// An answer may take or last long. A token that was deleted or has expired meanwhile receives nothing more; but what
// the call changed before is done, and is reported. WebSockets check this themselves.
Answered ask_again(Api& api, const http::Request& request, const IdentityPtr& who, Answered answer) {
  if (!answer || !who) return answer;
  const bool reads = request.method == http::Method::get || request.method == http::Method::head;
  if (reads && !api.access.current(*who, api.clock.wall())) return not_known();
  if (answer->stream)
    answer->stream = [&api, who, stream = std::move(answer->stream)](http::StreamWriter& out) {
      return run_guarded(api, who, stream, out);
    };
  return answer;
}

// The memory of a large answer is counted until it is sent. An answer for which its handler found no room is sent all
// the same, because a change that was made must be reported.
void hold_room(Call& call, http::Response& response) {
  const auto bytes = std::int64_t(response.body.size());
  if (bytes <= MemoryBudget::kSmall) return;
  if (!call.answer_room) call.answer_room = call.api.large_answers.take_for_sure(call.who.id, bytes);
  call.answer_room->resize(bytes);
  response.held = std::move(call.answer_room);
}

// The first call with a new secret of a host ends the one before. Should that not be done, the next call does it.
awaitable<void> settle_secret(Call& call) {
  const engine::HostSecretUsed verb{call.who.enrolment, call.who.digest};
  const auto done = co_await ask_engine(call, verb);
  if (!done) log::warn("the earlier secret of host '{}' is still good: {}", call.who.name, done.error().message);
}

awaitable<http::Response> serve(Api& api, const Route& route, http::Request& request) {
  IdentityPtr identity;
  if (route.needs != Needs::nothing) {
    auto found = identify(api, route, request);
    if (found && !*found) found = co_await identify_provided(api, request);
    if (!found) co_return trouble(found.error(), route.legacy);
    identity = std::move(*found);
    request.attachment = identity;
    if (auto ok = brake(api, *identity, request); !ok) co_return trouble(ok.error(), route.legacy);
  }
  const Identity& who = identity ? *identity : kNobody;
  if (auto ok = allow(who, route.needs, request); !ok) co_return trouble(ok.error(), route.legacy);
  if (who.kind == Identity::Kind::host)
    if (auto ok = check_host_certificate(api, request, who.name); !ok) co_return trouble(ok.error(), route.legacy);
  Call call{api, request, who};
  Answered answer = fail(Code::internal, "");
  try {
    if (who.unsettled) co_await settle_secret(call);
    answer = ask_again(api, request, identity, co_await route.handle(call));
  } catch (const http::ServerStopped&) {
    throw;
  } catch (const std::exception& what) {
    answer = world_failed(api, request, what);
  }
  if (!answer) co_return trouble(answer.error(), route.legacy);
  hold_room(call, *answer);
  co_return std::move(*answer);
}

// One line per call, without the query (it may contain a token), bodies or parameters.
void write_access_log(Api& api, const http::Request& request, unsigned status, double seconds) {
  const bool failed = status >= 500 && status != 503;  // 503 is the normal answer of a hub that stops
  const auto level = failed                            ? spdlog::level::warn
                     : status >= 400 || api.access_log ? spdlog::level::info
                                                       : spdlog::level::debug;
  if (!spdlog::should_log(level)) return;
  const auto* identity = std::any_cast<IdentityPtr>(&request.attachment);
  auto& quota = failed ? api.trouble_lines : identity != nullptr ? api.caller_lines : api.stranger_lines;
  if (status >= 400 && !api.access_log && !may_write(quota)) return;
  const auto path = request.target.substr(0, request.target.find('?'));
  log::event(level, "request",
             {{"method", request.method_text},
              {"path", path.substr(0, 200)},
              {"status", status},
              {"ms", seconds * 1000},
              {"caller", identity ? (*identity)->name : ""},
              {"peer", request.peer},
              {"requestId", request.id}});
}

// A caller may give its call an id, so that its logs and ours use the same one. Otherwise we make one.
constexpr std::string_view kRequestId = "X-Request-Id";
constexpr std::size_t kRequestIdMax = 128;

bool is_request_id(std::string_view text) {
  return !text.empty() && text.size() <= kRequestIdMax && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_.:/+=@~").find(c) != std::string_view::npos;
  });
}

std::string request_id(Api& api, const http::Headers& headers) {
  if (const auto given = headers.get(kRequestId); given && is_request_id(*given)) return std::string(*given);
  return fmt::format("{}-{:x}", api.request_ids.prefix, ++api.request_ids.last);
}

// Adds the id to the header of every answer, and to the body of those that report an error.
void name_call(const std::string& id, http::Response& response) {
  response.headers.emplace_back(kRequestId, id);
  const auto is_problem = [](const auto& header) {
    return header.first == "Content-Type" && header.second == "application/problem+json";
  };
  if (!std::any_of(response.headers.begin(), response.headers.end(), is_problem)) return;
  if (!response.body.ends_with('}')) return;
  response.body.pop_back();
  response.body += ",\"requestId\":\"" + id + "\"}";
}

// The call itself waits for something, so its duration says nothing about the hub.
bool somebody_waits(const http::Request& request, const http::Response& response) {
  return response.stream || response.websocket || request.query.get("wait") || request.route.ends_with("/fetch") ||
         request.route == "/hubs/jobs";
}

awaitable<http::Response> watch(Api& api, http::Request& request, const http::Handler& next) {
  const auto start = std::chrono::steady_clock::now();
  request.id = request_id(api, request.headers);
  http::Response response;
  {
    const Metrics::Open open(api.metrics.calls_open);
    response = co_await next(request);
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const unsigned status = response.status;
  const auto work = somebody_waits(request, response) ? std::nullopt : std::optional(seconds);
  api.metrics.answered(http::method_name(request.method), request.route, status, work);
  write_access_log(api, request, status, seconds);
  name_call(request.id, response);
  co_return response;
}

// For what is not a request, or cannot be read as one.
void watch_unread(Api& api, const http::Unread& unread, http::Response& answer) {
  const auto id = request_id(api, unread.headers);
  if (may_write(api.stranger_lines))
    log::event(log::Level::info, "request that cannot be read",
               {{"status", answer.status},
                {"error", std::string_view(unread.error.message).substr(0, 200)},
                {"peer", unread.peer},
                {"requestId", id}});
  name_call(id, answer);
}

// Browsers let any page open a WebSocket to any server, and leave the check to the server (RFC 6455, 10.2).
awaitable<http::Response> guard_websocket(const Api& api, std::shared_ptr<const std::vector<std::string>> origins,
                                          http::Request& request, const http::Handler& next) {
  if (http::wants_websocket(request) && http::foreign_page(request, *origins) &&
      made_by(api.public_url, request) != From::own_page)
    co_return problem(fail(Code::foreignOrigin, "a page of another origin opens this WebSocket", "Origin",
                           "start the hub with --cors-origin and the page's origin"));
  co_return co_await next(request);
}

// Web pages of these origins may call the whole API, with the headers that SignalR's client uses.
http::Cors cors_for(std::vector<std::string> origins) {
  http::Cors cors;
  cors.origins = std::move(origins);
  cors.methods = "GET, HEAD, POST, PUT, PATCH, DELETE";
  cors.headers =
      "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Range, Cache-Control, X-Requested-With, "
      "X-Request-Id, X-SignalR-User-Agent";
  cors.exposed =
      "Accept-Ranges, Content-Disposition, Content-Range, ETag, Geres-Attempt, Geres-Offset, Geres-Package-Version, "
      "Idempotency-Replayed, Location, Retry-After, WWW-Authenticate, X-Request-Id";
  return cors;
}

// Their answers are small, waited for, or files; and what they are is for their protocol to say.
bool is_hosts_call(const http::Request& request) {
  const auto* identity = std::any_cast<IdentityPtr>(&request.attachment);
  return identity != nullptr && (*identity)->kind == Identity::Kind::host;
}

}  // namespace

http::Router make_router(Api& api, std::vector<std::string> cors_origins) {
  http::Router router([](const Error& error, unsigned status) { return problem_with_status(error, status); });
  for (const auto& route : routes())
    router.add(
        route.method, std::string(route.pattern),
        [&api, &route](http::Request& request) { return serve(api, route, request); },
        route.legacy ? http::Spelling::as_aspnet : http::Spelling::exact);
  router.around(
      [&api, origins = std::make_shared<const std::vector<std::string>>(cors_origins)](
          http::Request& request, const http::Handler& next) { return guard_websocket(api, origins, request, next); });
  if (!api.page->empty()) router.around(api.page->around());
  router.around(http::validate_answers(api.pool, is_hosts_call));
  router.around(http::compress_answers(api.pool, is_hosts_call));
  if (!cors_origins.empty()) router.around(http::share_with(cors_for(std::move(cors_origins))));
  router.around([&api](http::Request& request, const http::Handler& next) { return watch(api, request, next); });
  if (!api.public_url.segments.empty()) router.around(take_prefix_off(api.public_url));
  router.around_unread(
      [&api](const http::Unread& unread, http::Response& answer) { watch_unread(api, unread, answer); });
  return router;
}

}  // namespace geres::hub::api
