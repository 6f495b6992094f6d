// SPDX-License-Identifier: Apache-2.0
// /v1/webhooks. A webhook belongs to its tenant and looks absent to others. Its secret is shown when it is made, and
// never again.
#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "hub/api/event_filter.h"
#include "hub/api/filter.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/small_list.h"
#include "hub/webhooks/signature.h"
#include "wire/api/webhook_json.h"

namespace geres::hub::api {
namespace {

Error no_such_webhook(std::string_view id) {
  return fail(Code::notFound, fmt::format("there is no webhook '{}'", replace_bad_utf8(utf8_prefix(id, 80))), {},
              "GET /v1/webhooks lists them");
}

json::object show(const Api& api, const model::Webhook& webhook) {
  return wire::webhook_json(webhook, events::event_id(api.teller->log(), webhook.cursor));
}

http::Response show_secret(const Api& api, unsigned status, const model::Webhook& webhook) {
  auto body = show(api, webhook);
  body.emplace("secret", std::string_view(webhook.secret));
  auto response = json_response(status, body);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

// The webhook that the path names, if the caller may see it.
awaitable<Result<model::Webhook>> find_here(Call& call) {
  const auto& text = call.capture("id");
  auto read = [&] { return call.api.reads.webhooks(); };
  for (auto& webhook : co_await blocking(call, read)) {
    const bool named = webhook.id.str() == text || (!webhook.name.empty() && webhook.name == text);
    if (named && !webhook.removed && call.who.sees(webhook.tenant)) co_return std::move(webhook);
  }
  co_return no_such_webhook(text);
}

// Blocking.
Result<std::vector<Uuid>> batch_ids(Api& api, const Identity& who, const std::string& tenant,
                                    const std::vector<std::string>& words) {
  std::vector<Uuid> ids;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto stored = find_batch(api, who, words[i], tenant, fmt::format("/batches/{}", i));
    if (!stored) return stored.error();
    ids.push_back(stored->batch.id);
  }
  return ids;
}

Result<std::string> secret_of(const std::optional<std::string>& given) {
  if (!given) return webhooks::new_webhook_secret();
  if (auto ok = webhooks::check_webhook_secret(*given, "/secret"); !ok) return ok.error();
  return *given;
}

Result<store::EventNo> event_no(const Api& api, const std::string& id, const std::string& field) {
  const auto position = event_position(api, std::string_view(id), field);
  if (!position) return position.error();
  if (position->gap || id.empty())
    return fail(Code::badValue, fmt::format("'{}' is not an event of this log", replace_bad_utf8(utf8_prefix(id, 80))),
                field, "the id of an event, as it was told");
  return position->after;
}

json::object delivery_json(const Api& api, const store::ToldDelivery& told) {
  const auto& row = told.row;
  json::object to{{"id", std::string_view(events::event_id(api.teller->log(), row.key.event))}};
  if (told.type) {
    to.emplace("type", store::event_name(*told.type));
    to.emplace("subject", std::string_view(told.subject.str()));
  }
  if (!row.url.empty()) to.emplace("url", std::string_view(row.url));
  const bool dead = row.state == store::DeliveryState::dead;
  to.emplace("state", dead ? "dead" : "pending");
  to.emplace("attempts", row.attempts);
  to.emplace("at", std::string_view(format_time(row.at)));
  if (!dead) to.emplace("dueAt", std::string_view(format_time(row.due)));
  if (row.tried_at) to.emplace("triedAt", std::string_view(format_time(*row.tried_at)));
  if (row.status != 0) to.emplace("status", row.status);
  if (!row.error.empty()) to.emplace("error", std::string_view(row.error));
  return to;
}

}  // namespace

awaitable<Answered> post_webhook(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  auto shape = co_await body_as<wire::NewWebhookShape>(call);
  if (!shape) co_return shape.error();
  if (auto ok = wire::check(*shape); !ok) co_return ok.error();
  model::Webhook webhook;
  webhook.tenant = shape->tenant.empty() ? call.who.only_tenant() : shape->tenant;
  if (webhook.tenant.empty())
    co_return fail(Code::tenantRequired, "'tenant' is missing", "/tenant",
                   "name the tenant: your token has not exactly one");
  const std::string field = "/tenant";
  if (auto ok = co_await may_write(call, webhook.tenant, field); !ok) co_return ok.error();
  if (!shape->forJobs)
    if (auto ok = webhooks::check_target(shape->url, call.api.webhooks->rules(), "/url"); !ok) co_return ok.error();
  webhook.types = std::move(shape->types).value_or(std::vector<std::string>());
  if (auto ok = event_types_of(webhook.types, "/types"); !ok) co_return ok.error();
  const auto named = std::move(shape->batches).value_or(std::vector<std::string>());
  auto look = [&] { return batch_ids(call.api, call.who, webhook.tenant, named); };
  auto batches = co_await blocking(call, look);
  if (!batches) co_return batches.error();
  auto secret = secret_of(shape->secret);
  if (!secret) co_return secret.error();
  webhook.for_jobs = shape->forJobs;
  webhook.name = shape->name;
  webhook.url = shape->url;
  webhook.batches = std::move(*batches);
  webhook.job_types = std::move(shape->jobTypes).value_or(std::vector<std::string>());
  webhook.tags = std::move(shape->tags).value_or(std::map<std::string, std::string>());
  webhook.secret = std::move(*secret);
  const engine::CreateWebhook verb{call.who.caller(), webhook};
  const auto made = co_await ask_engine(call, verb);
  if (!made) co_return made.error();
  auto response = show_secret(call.api, 201, *made);
  response.headers.emplace_back("Location", "/v1/webhooks/" + made->id.str());
  co_return response;
}

awaitable<Answered> list_webhooks(Call& call) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"tenant", "limit", "cursor"}); !ok) co_return ok.error();
  const auto tenant = text_parameter(query, "tenant");
  auto read = [&] { return call.api.reads.webhooks(); };
  const auto webhooks = co_await blocking(call, read);
  SmallList list;
  for (const auto& webhook : webhooks)
    if (!webhook.removed && call.who.sees(webhook.tenant) && (tenant.empty() || tenant == webhook.tenant))
      list.add(webhook.id.str(), [&] { return show(call.api, webhook); });
  co_return list.answer(query);
}

awaitable<Answered> get_webhook(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto webhook = co_await find_here(call);
  if (!webhook) co_return webhook.error();
  co_return json_response(200, show(call.api, *webhook));
}

awaitable<Answered> patch_webhook(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto webhook = co_await find_here(call);
  if (!webhook) co_return webhook.error();
  auto shape = co_await body_as<wire::WebhookPatchShape>(call);
  if (!shape) co_return shape.error();
  if (auto ok = wire::check(*shape); !ok) co_return ok.error();
  engine::WebhookPatch patch;
  patch.name = shape->name;
  patch.enabled = shape->enabled;
  if (shape->url && !webhook->for_jobs)
    if (auto ok = webhooks::check_target(*shape->url, call.api.webhooks->rules(), "/url"); !ok) co_return ok.error();
  patch.url = shape->url;
  if (shape->types)
    if (auto ok = event_types_of(*shape->types, "/types"); !ok) co_return ok.error();
  patch.types = shape->types;
  if (shape->batches) {
    auto look = [&] { return batch_ids(call.api, call.who, webhook->tenant, *shape->batches); };
    auto batches = co_await blocking(call, look);
    if (!batches) co_return batches.error();
    patch.batches = std::move(*batches);
  }
  patch.job_types = shape->jobTypes;
  patch.tags = shape->tags;
  if (shape->secret) {
    auto secret = secret_of(*shape->secret);
    if (!secret) co_return secret.error();
    patch.secret = std::move(*secret);
  }
  const engine::PatchWebhook verb{call.who.caller(), webhook->id, patch};
  const auto changed = co_await ask_engine(call, verb);
  if (!changed) co_return changed.error();
  co_return patch.secret ? show_secret(call.api, 200, *changed) : json_response(200, show(call.api, *changed));
}

awaitable<Answered> delete_webhook(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto webhook = co_await find_here(call);
  if (!webhook) co_return webhook.error();
  const engine::DeleteWebhook verb{call.who.caller(), webhook->id};
  const auto done = co_await ask_engine(call, verb);
  if (!done) co_return done.error();
  http::Response response;
  response.status = 204;
  co_return response;
}

awaitable<Answered> test_webhook(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto webhook = co_await find_here(call);
  if (!webhook) co_return webhook.error();
  if (webhook->for_jobs)
    co_return fail(Code::conflict, "a webhook for jobs has no address to call", {}, "submit a job with a webhook");
  http::Promise<webhooks::Posted> promise;
  auto future = promise.future();
  call.api.webhooks->ping(webhook->id, [promise](webhooks::Posted posted) { promise.set(std::move(posted)); });
  promise = http::Promise<webhooks::Posted>();
  const auto posted = co_await future.get();
  if (!posted) co_return fail(Code::unavailable, "the hub is stopping");
  json::object body{{"delivered", posted->arrived()}, {"took", std::string_view(format_duration(posted->took))}};
  if (posted->status != 0) body.emplace("status", posted->status);
  if (!posted->arrived()) body.emplace("error", std::string_view(posted->error));
  co_return json_response(200, body);
}

awaitable<Answered> list_deliveries(Call& call) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"state", "limit", "cursor"}); !ok) co_return ok.error();
  const auto webhook = co_await find_here(call);
  if (!webhook) co_return webhook.error();
  const auto word = query.get("state").value_or("dead");
  if (word != "dead" && word != "pending")
    co_return fail(Code::badValue, fmt::format("there is no state '{}'", replace_bad_utf8(utf8_prefix(word, 80))),
                   "state", "dead or pending");
  const auto limit = number_parameter(query, "limit", 1, 1'000);
  if (!limit) co_return limit.error();
  std::int64_t after = 0;
  if (const auto cursor = query.get("cursor")) {
    const auto read = read_cursor(*cursor);
    if (!read) co_return read.error();
    after = *read;
  }
  const auto state = word == "dead" ? store::DeliveryState::dead : store::DeliveryState::pending;
  const auto most = std::size_t(limit->value_or(100));
  auto read = [&] { return call.api.reads.deliveries(webhook->id, state, after, most + 1); };
  auto rows = co_await blocking(call, read);
  const bool more = rows.size() > most;
  if (more) rows.pop_back();
  json::array items;
  for (const auto& row : rows) items.push_back(delivery_json(call.api, row));
  co_return list_response(std::move(items), more ? cursor_after(rows.back().row.key.event) : std::string());
}

awaitable<Answered> replay_webhook(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  const auto webhook = co_await find_here(call);
  if (!webhook) co_return webhook.error();
  auto shape = co_await body_as<wire::ReplayShape>(call, true);
  if (!shape) co_return shape.error();
  if (shape->from && shape->ids)
    co_return fail(Code::badValue, "'from' and 'ids' exclude each other", "/from", "give one of them, or none");
  engine::ReplayWhat what;
  if (shape->from) {
    const auto from = event_no(call.api, *shape->from, "/from");
    if (!from) co_return from.error();
    // Tell this event again and all after it; "start" is before the first event.
    what.from = std::max<store::EventNo>(0, *shape->from == "start" ? 0 : *from - 1);
  }
  if (shape->ids && (shape->ids->empty() || shape->ids->size() > 1'000))
    co_return fail(Code::badValue, fmt::format("{} ids", shape->ids->size()), "/ids",
                   "1 to 1000; leave it out for all");
  for (std::size_t i = 0; shape->ids && i < shape->ids->size(); ++i) {
    const auto no = event_no(call.api, (*shape->ids)[i], fmt::format("/ids/{}", i));
    if (!no) co_return no.error();
    what.events.push_back(*no);
  }
  const engine::ReplayWebhook verb{call.who.caller(), webhook->id, what};
  const auto count = co_await ask_engine(call, verb);
  if (!count) co_return count.error();
  co_return json_response(200, json::object{{"replayed", *count}});
}

}  // namespace geres::hub::api
