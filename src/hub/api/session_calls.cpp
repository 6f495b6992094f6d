// SPDX-License-Identifier: Apache-2.0
// /v1/session: signing in with a token or a one-time code, asking who one is, signing out; /v1/session/codes.
#include <algorithm>

#include "hub/api/browser.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "wire/api/session_shapes.h"

namespace geres::hub::api {
namespace {

constexpr std::int64_t kBodyMax = 4'096;

bool only_registers(const Identity& who) {
  return std::all_of(who.roles.begin(), who.roles.end(), [](auto role) { return role == model::Role::host; });
}

http::Response session_response(const Api& api, unsigned status, const Identity& who) {
  auto response = json_response(status, json::object{{"caller", caller_json(api, who)},
                                                     {"expires", std::string_view(format_time(*who.session_until))}});
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

Result<std::shared_ptr<const Identity>> whose(Api& api, const wire::SignInShape& shape) {
  if (shape.token.has_value() == shape.code.has_value())
    return fail(shape.token ? Code::badValue : Code::missingField,
                shape.token ? "a token and a code are given" : "neither a token nor a code is given",
                shape.token ? "/code" : "/token", "one of the two");
  const auto now = api.clock.wall();
  if (shape.token && is_jwt(*shape.token))
    return fail(Code::unauthenticated, "an identity provider's token signs nobody in here", "/token",
                "use a token that the hub made");
  auto who = shape.token ? api.access.find(*shape.token, now) : api.sessions->take_code(*shape.code, now);
  if (!who && shape.code)
    return fail(Code::unauthenticated, "this link is not known, was used before, or is older than a minute", "/code",
                "geres web prints a new one; a token signs in, too");
  if (!who) return fail(Code::unauthenticated, "the token is not known or has expired", "/token");
  if (who->kind != Identity::Kind::token || only_registers(*who))
    return fail(Code::forbidden, "this token is a host's, and shows nothing to people",
                shape.token ? "/token" : "/code", "use a token with the role viewer, or a higher one");
  return who;
}

}  // namespace

awaitable<Answered> post_session(Call& call) {
  auto& api = call.api;
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  // Else a page could sign somebody in as another, who would then see what is done here.
  if (made_by(api.public_url, call.request) == From::foreign_page)
    co_return fail(Code::foreignOrigin, "a page of another origin signs somebody in", "Origin");
  if (!call.request.headers.get("Content-Type"))
    co_return fail(Code::unsupportedMedia, "the body has no type", "Content-Type", "Content-Type: application/json");
  const auto text = co_await body_text(call, kBodyMax);
  if (!text) co_return text.error();
  const auto shape = json::read_text<wire::SignInShape>(*text);
  if (!shape) co_return shape.error();
  const auto peer = address_of(call.request);
  const auto who = whose(api, *shape);
  if (!who) {
    if (who.error().code == Code::unauthenticated && !api.brakes.guesses.take(peer, api.clock.monotonic()))
      co_return fail(Code::tooManyRequests, "too many calls with tokens that are not known from this address");
    co_return who.error();
  }
  const auto opened = api.sessions->open(**who, api.clock.wall());
  log::event(log::Level::info, "signed in",
             {{"token", (*who)->name}, {"peer", call.request.peer}, {"requestId", call.request.id}});
  auto response = session_response(api, 201, *opened.who);
  response.headers.emplace_back("Set-Cookie", session_cookie(api.public_url, call.request, opened.secret));
  co_return response;
}

awaitable<Answered> get_session(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (!call.who.session_until)
    co_return fail(Code::notFound, "this call has a token, and no session", {}, "GET /v1/info says whose it is");
  co_return session_response(call.api, 200, call.who);
}

awaitable<Answered> delete_session(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (!call.who.session_until)
    co_return fail(Code::notFound, "this call has a token, and no session to end", {},
                   "DELETE /v1/tokens/{id} ends a token");
  call.api.sessions->close(call.who);
  http::Response response;
  response.status = 204;
  response.headers.emplace_back("Set-Cookie", session_cookie(call.api.public_url, call.request, {}));
  co_return response;
}

awaitable<Answered> post_session_code(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto& who = call.who;
  if (who.session_until)
    co_return fail(Code::forbidden, "a code is made with a token, so that a session cannot outlast itself");
  if (who.provided)
    co_return fail(Code::forbidden, "an identity provider's token signs nobody in here", {},
                   "use a token that the hub made");
  if (only_registers(who)) co_return lacks_role(who, "viewer");
  const auto now = call.api.clock.wall();
  const auto code = call.api.sessions->make_code(who, now);
  if (code.empty()) co_return fail(Code::tooManyRequests, "too many links to sign in with are open");
  json::object body{{"code", std::string_view(code)},
                    {"expires", std::string_view(format_time(now + Sessions::kCodeMax))}};
  const auto& own = call.api.public_url;
  if (!own.origin.empty()) body.emplace("page", std::string_view(own.origin + own.base()));
  auto response = json_response(201, body);
  response.headers.emplace_back("Cache-Control", "no-store");
  co_return response;
}

}  // namespace geres::hub::api
