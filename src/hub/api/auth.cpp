// SPDX-License-Identifier: Apache-2.0
// /v1/me: who asks, and what made it so. /v1/auth: where people sign in, and what the hub makes of a token.
#include <fmt/format.h>

#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "identity/verifier.h"
#include "wire/api/session_shapes.h"

namespace geres::hub::api {
namespace {

void put_steps(json::object& body, const std::vector<identity::Because>& because) {
  json::array steps;
  for (const auto& step : because) steps.push_back(json::write(step));
  body.emplace("because", std::move(steps));
}

// What an identity provider says of somebody, and what it came to.
void put_provided(json::object& body, const identity::Caller& caller) {
  body.emplace("provider", std::string_view(caller.provider));
  body.emplace("subject", std::string_view(caller.who.subject));
  body.emplace("client", std::string_view(caller.who.client));
  put_steps(body, caller.rights.because);
}

std::string_view kind_of(const Identity& who) {
  if (who.kind == Identity::Kind::host) return "host";
  if (who.provided) return who.provided->who.application ? "application" : "person";
  return who.session_until ? "session" : "token";
}

json::object me_json(const Api& api, const Identity& who) {
  auto body = caller_json(api, who);
  body.emplace("kind", kind_of(who));
  body.emplace("allTenants", who.all_tenants());
  const auto ends = who.provided ? std::optional(who.provided->expires) : who.expires;
  if (ends) body.emplace("expires", std::string_view(format_time(*ends)));
  if (who.provided) put_provided(body, *who.provided);
  return body;
}

json::object problem_json(const Error& error) {
  const auto& kind = problem_kind(error.code);
  return {{"code", error_name(error.code)},
          {"detail", std::string_view(error.message)},
          {"hint", error.hint.empty() ? kind.hint : std::string_view(error.hint)}};
}

awaitable<Result<identity::Checked<identity::CallerPtr>>> judged(Call& call, std::string token) {
  http::Promise<identity::Checked<identity::CallerPtr>> promise;
  auto future = promise.future();
  std::function<void(identity::Checked<identity::CallerPtr>)> then = [promise](auto got) {
    promise.set(std::move(got));
  };
  call.api.access.verifier->check(std::move(token), std::move(then));
  promise = {};
  auto got = co_await future.get(call.request.cancellation);
  if (!got) co_return fail(Code::unavailable, "the hub is stopping");
  co_return std::move(*got);
}

http::Response private_answer(const json::object& body) {
  auto response = json_response(200, body);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

}  // namespace

awaitable<Answered> get_me(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  co_return private_answer(me_json(call.api, call.who));
}

awaitable<Answered> get_auth(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  json::array providers;
  const auto* verifier = call.api.access.verifier;
  const auto config = verifier != nullptr ? verifier->config() : nullptr;
  for (const auto& provider : config ? config->providers : std::vector<identity::ProviderConfig>()) {
    if (!provider.login) continue;
    json::array scopes;
    for (const auto& scope : provider.login->scopes) scopes.push_back(json::value(std::string_view(scope)));
    providers.push_back(json::object{{"name", std::string_view(provider.name)},
                                     {"issuer", std::string_view(provider.issuer)},
                                     {"clientId", std::string_view(provider.login->clientId)},
                                     {"scopes", std::move(scopes)}});
  }
  co_return json_response(200, json::object{{"providers", std::move(providers)}});
}

awaitable<Answered> test_auth(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (!call.who.all_tenants())
    co_return fail(Code::forbidden, fmt::format("token '{}' is bound to tenants", call.who.name), {},
                   "what the hub makes of others' tokens is shown to admins of all tenants");
  auto shape = co_await body_as<wire::TestTokenShape>(call);
  if (!shape) co_return shape.error();
  if (call.api.access.verifier == nullptr)
    co_return fail(Code::notSupported, "this hub trusts no identity provider", {}, "start it with --auth-config FILE");
  const auto result = co_await judged(call, std::move(shape->token));
  if (!result) co_return result.error();
  json::object body;
  if (*result) {
    body = me_json(call.api, *identity_of(**result));
    body.emplace("outcome", "good");
  } else {
    const auto& refusal = result->error();
    body.emplace("outcome", identity::outcome_name(refusal.outcome));
    body.emplace("problem", problem_json(refusal.error));
    put_steps(body, refusal.because);
  }
  co_return private_answer(body);
}

}  // namespace geres::hub::api
