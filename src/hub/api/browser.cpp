// SPDX-License-Identifier: Apache-2.0
#include "hub/api/browser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "http/cors.h"

namespace geres::hub::api {
namespace {

std::vector<std::string_view> cookies_named(const http::Headers& headers, std::string_view name) {
  std::vector<std::string_view> found;
  for (const auto& header : headers.items()) {
    constexpr std::string_view kCookie = "cookie";
    if (!std::equal(header.name.begin(), header.name.end(), kCookie.begin(), kCookie.end(),
                    [](char a, char b) { return (a | 0x20) == b; }))
      continue;
    auto rest = header.value;
    while (!rest.empty()) {
      auto one = rest.substr(0, rest.find(';'));
      rest.remove_prefix(std::min(one.size() + 1, rest.size()));
      while (one.starts_with(' ')) one.remove_prefix(1);
      if (one.size() > name.size() && one.starts_with(name) && one[name.size()] == '=')
        found.push_back(one.substr(name.size() + 1));
    }
  }
  return found;
}

// Types that a form of any page can send without asking first.
bool any_form_sends(std::string_view type) {
  constexpr std::array<std::string_view, 3> kOfForms{"text/plain", "application/x-www-form-urlencoded",
                                                     "multipart/form-data"};
  return type.empty() ||
         std::any_of(kOfForms.begin(), kOfForms.end(), [&](auto form) { return type.starts_with(form); });
}

Error foreign(const http::Request& request) {
  const auto origin = request.headers.get("Origin");
  return fail(Code::foreignOrigin,
              origin ? fmt::format("this call is made by a page of {}, for which nobody has signed in here",
                                   replace_bad_utf8(utf8_prefix(*origin, 200)))
                     : "nothing says that the hub's own page makes this call",
              "Origin");
}

Result<void> counts(const PublicUrl& own, const http::Request& request) {
  const auto from = made_by(own, request);
  const bool reads = request.method == http::Method::get || request.method == http::Method::head;
  if (from == From::foreign_page || (!reads && from == From::unsaid)) return foreign(request);
  const bool has_body = request.body.length().value_or(1) > 0;
  if (!reads && has_body && any_form_sends(request.headers.get("Content-Type").value_or("")))
    return fail(Code::foreignOrigin, "a body without a type, or of a form's, may come from any page", "Content-Type",
                "Content-Type: application/json");
  return {};
}

// Whether the browser came by TLS, to the hub itself or to a proxy before it.
bool secure(const PublicUrl& own, const http::Request& request) {
  return request.tls || own.secure();
}

constexpr std::string_view kSession = "geres";

// The prefix asks browsers to see to it that no other server has set it; they take it for whole servers alone.
std::string cookie_name(const PublicUrl& own, const http::Request& request, std::string_view name) {
  return (secure(own, request) && own.segments.empty() ? "__Host-" : "") + std::string(name);
}

}  // namespace

From made_by(const PublicUrl& own, const http::Request& request) {
  const auto site = request.headers.get("Sec-Fetch-Site");
  if (site == "same-origin") return From::own_page;
  const auto origin = request.headers.get("Origin");
  if (!origin) return From::unsaid;
  const bool ours = own.origin.empty() ? !http::foreign_page(request, {}) : *origin == own.origin;
  return ours ? From::own_page : From::foreign_page;
}

std::string address_of(const http::Request& request) {
  return std::string(request.peer.substr(0, request.peer.rfind(':')));
}

std::string session_cookie(const PublicUrl& own, const http::Request& request, std::string_view secret) {
  return own_cookie(own, request, kSession, secret, Sessions::kLifeMax);
}

std::string own_cookie(const PublicUrl& own, const http::Request& request, std::string_view name,
                       std::string_view value, Millis max_age, bool for_scripts) {
  return fmt::format("{}={}; Path={}; Max-Age={}{}; SameSite=Lax{}",
                     for_scripts ? std::string(name) : cookie_name(own, request, name), value, own.base(),
                     value.empty() ? 0 : max_age / 1'000, for_scripts ? "" : "; HttpOnly",
                     secure(own, request) ? "; Secure" : "");
}

std::vector<std::string_view> own_cookies(const PublicUrl& own, const http::Request& request, std::string_view name) {
  return cookies_named(request.headers, cookie_name(own, request, name));
}

Result<std::shared_ptr<const Identity>> signed_in(Api& api, const http::Request& request) {
  const auto secrets = own_cookies(api.public_url, request, kSession);
  if (secrets.empty()) return nullptr;
  if (auto ok = counts(api.public_url, request); !ok) return ok.error();
  for (const auto secret : secrets)  // hubs on other ports of this machine share the name
    if (auto who = api.sessions->find(secret, api.clock.wall())) return who;
  return fail(Code::unauthenticated, "nobody is signed in with this cookie any more", {}, "sign in again");
}

}  // namespace geres::hub::api
