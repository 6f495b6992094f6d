// SPDX-License-Identifier: Apache-2.0
// /v1/tokens. A token's secret is shown once, when it is made.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/sha256.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/small_list.h"
#include "wire/api/things.h"

namespace geres::hub::api {
namespace {

// An admin of certain tenants sees and makes only tokens of these tenants.
bool within(const Identity& who, const std::vector<std::string>& tenants) {
  if (who.all_tenants()) return true;
  return !tenants.empty() && std::all_of(tenants.begin(), tenants.end(), [&](const auto& t) { return who.sees(t); });
}

// The members of its log line, without the secret.
std::vector<log::Member> members_of(const model::Token& token) {
  std::string roles, tenants;
  for (const auto role : token.roles) roles += (roles.empty() ? "" : ",") + std::string(role_name(role));
  for (const auto& tenant : token.tenants) tenants += (tenants.empty() ? "" : ",") + tenant;
  std::vector<log::Member> members{{"token", token.name},
                                   {"tokenId", token.id.str()},
                                   {"roles", roles},
                                   {"tenants", tenants.empty() ? std::string_view("*") : utf8_prefix(tenants, 200)}};
  if (token.expires) members.emplace_back("expires", format_time(*token.expires));
  return members;
}

}  // namespace

awaitable<Answered> post_token(Call& call) {
  auto shape = co_await body_as<wire::NewTokenShape>(call);
  if (!shape) co_return shape.error();
  if (auto ok = wire::check(*shape, call.api.clock.wall()); !ok) co_return ok.error();
  const auto tenants = shape->tenants.value_or(std::vector<std::string>());
  if (!within(call.who, tenants))
    co_return fail(Code::forbidden, fmt::format("token '{}' has not all these tenants", call.who.name), "/tenants",
                   "a token can only be made for tenants that one's own has");
  const std::string secret = new_secret();
  model::Token token;
  token.name = shape->name;
  token.sha256 = sha256_hex(secret);
  token.roles = shape->roles;
  token.tenants = tenants;
  if (shape->expires) token.expires = shape->expires->at;
  const engine::CreateToken verb{token};
  const auto made = co_await ask_engine(call, verb);
  if (!made) co_return made.error();
  note(call, "token made", members_of(*made));
  auto body = wire::token_json(*made);
  body.emplace("token", std::string_view(secret));
  auto response = json_response(201, body);
  response.headers.emplace_back("Cache-Control", "no-store");
  co_return response;
}

awaitable<Answered> list_tokens(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"limit", "cursor"}); !ok) co_return ok.error();
  auto read = [&] { return call.api.reads.tokens(); };
  const auto tokens = co_await blocking(call, read);
  SmallList list;
  for (const auto& token : tokens)
    if (within(call.who, token.tenants)) list.add(token.id.str(), [&] { return wire::token_json(token); });
  co_return list.answer(call.request.query);
}

awaitable<Answered> delete_token(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto& text = call.capture("id");
  const auto id = parse_uuid(text);
  auto read = [&] { return call.api.reads.tokens(); };
  const auto tokens = co_await blocking(call, read);
  const auto found =
      std::find_if(tokens.begin(), tokens.end(), [&](const auto& token) { return id && token.id == *id; });
  if (found == tokens.end() || !within(call.who, found->tenants))
    co_return fail(Code::notFound, fmt::format("there is no token '{}'", text));
  const engine::DeleteToken verb{*id};
  const auto done = co_await ask_engine(call, verb);
  if (!done) co_return done.error();
  note(call, "token revoked", {{"token", found->name}, {"tokenId", id->str()}});
  http::Response response;
  response.status = 204;
  co_return response;
}

}  // namespace geres::hub::api
