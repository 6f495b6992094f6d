// SPDX-License-Identifier: Apache-2.0
// /v1/hosts/invites: join tokens. What a host needs to join is one string, shown once: where the hub is, what its
// certificates are known by, and the token.
#include <fmt/format.h>

#include <algorithm>

#include "base/sha256.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/small_list.h"
#include "wire/api/join_string.h"
#include "wire/api/things.h"

namespace geres::hub::api {
namespace {

// An admin of certain tenants invites hosts, and sees invitations, for these tenants only.
bool within(const Identity& who, const std::vector<std::string>& tenants) {
  if (who.all_tenants()) return true;
  return !tenants.empty() && std::all_of(tenants.begin(), tenants.end(), [&](const auto& t) { return who.sees(t); });
}

// As the caller has reached it, because a hub that listens on all addresses does not know which one others use. A
// caller who came in clear, though, tells hosts where the hub speaks TLS.
std::string own_url(Call& call) {
  auto own = call.api.own_url();
  const auto host = call.request.headers.get("Host").value_or("");
  if (host.empty()) return own;
  const bool secure = own.starts_with("https://");
  if (secure == call.request.tls) return fmt::format("{}://{}", secure ? "https" : "http", host);
  const auto name = host.substr(0, host.find(':', host.starts_with('[') ? host.find(']') : 0));
  for (const std::string_view all : {"//0.0.0.0:", "//[::]:"})
    if (const auto at = own.find(all); at != std::string::npos) own.replace(at, all.size(), fmt::format("//{}:", name));
  return own;
}

std::string plain(const PublicUrl& url) {
  auto text = url.origin + url.base();
  while (text.ends_with('/')) text.pop_back();
  return text;
}

Result<std::string> url_for(Call& call, const std::string& wanted) {
  if (wanted.empty()) {
    const auto& known = call.api.public_url;
    return known.origin.empty() ? own_url(call) : plain(known);
  }
  const auto url = parse_public_url(wanted);
  if (!url) return fail(Code::badValue, url.error().message, "/url", "such as https://jobs.example.com");
  return plain(*url);
}

}  // namespace

awaitable<Answered> post_invite(Call& call) {
  auto shape = co_await body_as<wire::InviteShape>(call, true);
  if (!shape) co_return shape.error();
  if (auto ok = wire::check(*shape); !ok) co_return ok.error();
  // Left out, they are those that the caller has.
  const auto tenants = shape->tenants.value_or(call.who.tenants);
  if (!within(call.who, tenants))
    co_return fail(Code::forbidden, fmt::format("token '{}' has not all these tenants", call.who.name), "/tenants",
                   "hosts can only be invited for tenants that one's own token has");
  const auto url = url_for(call, shape->url);
  if (!url) co_return url.error();
  const std::string secret = "geres_" + random_hex(32);
  engine::Invite verb;
  verb.token.sha256 = sha256_hex(secret);
  verb.token.name = shape->name;
  verb.token.tenants = tenants;
  verb.token.expires = call.api.clock.wall() + shape->ttl.ms;
  verb.token.uses = shape->uses;
  verb.token.created_by = call.who.name;
  const auto made = co_await ask_engine(call, std::move(verb));
  if (!made) co_return made.error();
  note(call, "host invited",
       {{"joinTokenId", made->id.str()},
        {"host", made->name},
        {"uses", made->uses},
        {"expires", format_time(made->expires)}});
  // In clear there is nothing to know it by.
  const auto pin = url->starts_with("https://") ? call.api.ca_pin : std::string();
  auto body = wire::invite_json(*made);
  body.emplace("hub", *url);
  body.emplace("join", wire::join_string({*url, pin, made->id.str(), secret}));
  auto response = json_response(201, body);
  response.headers.emplace_back("Cache-Control", "no-store");
  co_return response;
}

awaitable<Answered> list_invites(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"limit", "cursor"}); !ok) co_return ok.error();
  auto read = [&] { return call.api.reads.join_tokens(); };
  const auto tokens = co_await blocking(call, read);
  const Millis now = call.api.clock.wall();
  SmallList list;
  for (const auto& token : tokens)
    if (token.uses_left > 0 && token.expires > now && within(call.who, token.tenants))
      list.add(token.id.str(), [&] { return wire::invite_json(token); });
  co_return list.answer(call.request.query);
}

awaitable<Answered> delete_invite(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto id = parse_uuid(call.capture("id"));
  auto read = [&] { return call.api.reads.join_tokens(); };
  const auto tokens = co_await blocking(call, read);
  const auto found =
      std::find_if(tokens.begin(), tokens.end(), [&](const auto& token) { return id && token.id == *id; });
  if (found == tokens.end() || !within(call.who, found->tenants))
    co_return fail(Code::notFound, fmt::format("there is no join token '{}'", call.capture("id")), {},
                   "GET /v1/hosts/invites lists them");
  const engine::Uninvite verb{*id};
  const auto done = co_await ask_engine(call, verb);
  if (!done) co_return done.error();
  note(call, "join token withdrawn", {{"joinTokenId", id->str()}, {"host", found->name}});
  http::Response response;
  response.status = 204;
  co_return response;
}

}  // namespace geres::hub::api
