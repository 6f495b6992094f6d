// SPDX-License-Identifier: Apache-2.0
#include "hub/api/sign_in.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "hub/api/browser.h"
#include "hub/api/query.h"
#include "identity/sign_in.h"

namespace geres::hub::api {
namespace {

constexpr std::string_view kOpen = "geres-login";       // the cookie of a sign-in that has begun
constexpr std::string_view kTrouble = "geres-trouble";  // of the sentence that the page shows, once
constexpr Millis kTroubleMax = 60'000;
constexpr std::size_t kPathMax = 2'000;

// Only a path of this server: what browsers take for the start of another one's address is none.
bool is_own_path(std::string_view to) {
  if (to.empty() || to.size() > kPathMax || to[0] != '/' || to.starts_with("//")) return false;
  return std::all_of(to.begin(), to.end(), [](unsigned char c) { return c > ' ' && c < 0x7f && c != '\\'; });
}

// Where the provider sends people back to; empty: nobody can say, because a Host may be anything.
std::string callback_of(const PublicUrl& own, const http::Request& request) {
  constexpr std::string_view kPath = "auth/callback";
  if (!own.origin.empty()) return fmt::format("{}{}{}", own.origin, own.base(), kPath);
  const auto host = request.headers.get("Host").value_or("");
  const auto origin = fmt::format("{}://{}", request.tls ? "https" : "http", host);
  const bool here = host.find_first_of("/?#") == std::string_view::npos && identity::refused_url(origin).empty() &&
                    identity::on_loopback(origin);
  return here ? fmt::format("{}/{}", origin, kPath) : std::string();
}

http::Response sent_to(std::string_view where) {
  http::Response response;
  response.status = 303;
  response.headers = {
      {"Location", std::string(where)}, {"Cache-Control", "no-store"}, {"Referrer-Policy", "no-referrer"}};
  return response;
}

std::string percent(std::string_view text) {
  std::string out;
  for (const unsigned char c : text) out += std::isalnum(c) != 0 ? std::string(1, char(c)) : fmt::format("%{:02X}", c);
  return out;
}

// The page says it in one sentence.
http::Response back_with(Call& call, const Error& error) {
  auto response = sent_to("/login");
  const auto& kind = problem_kind(error.code);
  auto sentence = error.message;
  const bool own_hint = error.code != Code::unauthenticated && !std::string_view(kind.hint).empty();
  if (!error.hint.empty() || own_hint)
    sentence += fmt::format("; {}", error.hint.empty() ? std::string(kind.hint) : error.hint);
  const auto cut = percent(plain_line(utf8_prefix(sentence, 600)));
  response.headers.emplace_back("Set-Cookie",
                                own_cookie(call.api.public_url, call.request, kTrouble, cut, kTroubleMax, true));
  log::event(log::Level::info, "somebody was not signed in",
             {{"code", error_name(error.code)},
              {"error", plain_line(utf8_prefix(error.message, 300))},
              {"peer", call.request.peer},
              {"requestId", call.request.id}});
  return response;
}

Error none_here() {
  return fail(Code::notSupported, "this hub trusts no identity provider", {}, "start it with --auth-config FILE");
}

bool shows_nothing(const Identity& who) {
  return std::all_of(who.roles.begin(), who.roles.end(), [](auto role) { return role == model::Role::host; });
}

}  // namespace

awaitable<Answered> begin_sign_in(Call& call) {
  auto& api = call.api;
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"provider", "to"}); !ok) co_return ok.error();
  if (api.access.verifier == nullptr) co_return none_here();
  const std::string provider(query.get("provider").value_or("")), to(query.get("to").value_or("/"));
  if (provider.empty()) co_return fail(Code::missingField, "no provider is named", "provider", "one of GET /v1/auth");
  if (!is_own_path(to)) co_return fail(Code::badValue, "this is no path of this hub's page", "to", "/jobs");
  if (!api.brakes.guesses.take(address_of(call.request), api.clock.monotonic()))
    co_return fail(Code::tooManyRequests, "too many sign-ins from this address");
  const auto redirect = callback_of(api.public_url, call.request);
  if (redirect.empty()) {
    const auto unknown = fail(Code::notSupported, "the hub does not know by which address people reach it", {},
                              "start it with --public-url");
    co_return back_with(call, unknown);
  }
  auto& sign_ins = api.access.verifier->sign_ins();
  auto begin = [&] { return sign_ins.begin(provider, redirect, to); };
  const auto begun = co_await http::run_on(sign_ins.pool(), begin);
  if (!begun) co_return back_with(call, begun.error().error);
  auto response = sent_to(begun->url);
  response.headers.emplace_back("Set-Cookie",
                                own_cookie(api.public_url, call.request, kOpen, begun->secret, identity::kSignInMax));
  co_return response;
}

awaitable<Answered> end_sign_in(Call& call) {
  auto& api = call.api;
  auto& request = call.request;
  if (api.access.verifier == nullptr) co_return none_here();
  const auto named = [&](std::string_view name) { return std::string(request.query.get(name).value_or("")); };
  const identity::SignIns::Answer answer{named("code"), named("state"), named("iss"), named("error"),
                                         named("error_description")};
  const auto cookies = own_cookies(api.public_url, request, kOpen);
  std::string secret(cookies.empty() ? std::string_view() : cookies.front().substr(0, 256));
  auto& sign_ins = api.access.verifier->sign_ins();
  auto finish = [&] { return sign_ins.finish(secret, answer); };
  auto done = co_await http::run_on(sign_ins.pool(), finish);
  const auto over = own_cookie(api.public_url, request, kOpen, {}, 0);
  if (!done) {
    auto response = back_with(call, done.error().error);
    if (!cookies.empty()) response.headers.emplace_back("Set-Cookie", over);
    co_return response;
  }
  const auto who = identity_of(done->caller);
  if (shows_nothing(*who)) {
    const auto useless = fail(Code::noRole, "your roles are a host's, and show nothing to people");
    co_return back_with(call, useless);
  }
  const auto opened = api.sessions->open(*who, api.clock.wall());
  log::event(log::Level::info, "signed in", {{"caller", who->name}, {"peer", request.peer}, {"requestId", request.id}});
  auto response = sent_to(done->to);
  response.headers.emplace_back("Set-Cookie", session_cookie(api.public_url, request, opened.secret));
  response.headers.emplace_back("Set-Cookie", over);
  co_return response;
}

}  // namespace geres::hub::api
