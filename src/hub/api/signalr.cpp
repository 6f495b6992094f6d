// SPDX-License-Identifier: Apache-2.0
// /hubs/jobs: the transports of SignalR (TransportProtocols.md of dotnet/aspnetcore). A client negotiates and gets a
// token, with which it opens one of three transports: a WebSocket, server-sent events, or one long poll after the
// other. With the latter two it sends by POST. DELETE ends the connection.
#include <fmt/format.h>

#include <boost/json/serialize.hpp>

#include "http/websocket.h"
#include "hub/api/event_filter.h"
#include "hub/api/filter.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/signalr/connections.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::api {
namespace {

using signalr::Entry;
using EntryPtr = std::shared_ptr<Entry>;

constexpr Millis kPollMax = 90'000;

// What the connection may look up; it keeps `who` alive.
signalr::Sight sight_of(Api& api, std::shared_ptr<const Identity> who) {
  signalr::Sight sight;
  sight.visible = events_visible_to(*who);
  sight.job = [&api, who](Uuid id) -> Result<store::JobAsOf> {
    auto seen = api.reads.job_as_of(id);
    if (!seen || !who->sees(seen->job.spec.tenant)) return no_such_job(id.str());
    return std::move(*seen);
  };
  sight.batch = [&api, who](const std::string& batch) -> Result<Uuid> {
    const auto stored = find_batch(api, *who, batch, {}, {});
    if (!stored) return stored.error();
    return stored->batch.id;
  };
  return sight;
}

Result<EntryPtr> open_connection(Call& call) {
  auto& api = call.api;
  auto who = std::make_shared<const Identity>(call.who);
  const auto now = api.clock.monotonic();
  auto entry = api.signalr.open(call.who.id, now, [&](std::function<void()> ring) {
    return std::make_unique<signalr::Connection>(api.tail, *api.teller, sight_of(api, who), std::move(ring), now);
  });
  if (!entry) return fail(Code::unavailable, "too many connections wait");
  return entry;
}

Result<EntryPtr> find_connection(Call& call) {
  const auto token = text_parameter(call.request.query, "id");
  if (auto entry = call.api.signalr.find(token, call.who.id)) return entry;
  return fail(Code::notFound, "there is no connection with this id", "id", "negotiate a new one");
}

// The next text to send. nullopt: the connection has ended or another request has taken it over, the client has gone,
// or the hub stops. At `until` an empty text.
awaitable<std::optional<std::string>> next_output(Api& api, http::Request& request, const Identity& who, EntryPtr entry,
                                                  Entry::Turn turn, Millis until) {
  auto& connection = *entry->connection;
  while (true) {
    if (!entry->is_turn(turn.number) || connection.ended()) co_return std::nullopt;
    if (request.cancellation.cancelled() || !api.access.current(who, api.clock.wall())) co_return std::nullopt;
    auto make = [&] {
      const std::lock_guard serving(entry->serving);
      return connection.output(api.clock.monotonic());
    };
    auto text = co_await http::run_on(api.pool, make);
    if (!text.empty()) co_return text;
    if (connection.ended()) co_return std::nullopt;
    const auto now = api.clock.monotonic();
    if (now >= until) co_return std::string();
    co_await turn.bell.wait(request.cancellation, std::clamp<Millis>(connection.next_due() - now, 0, until - now));
  }
}

bool stopping(const http::Request& request) {
  return request.cancellation.why() == http::Cancellation::Why::stopping;
}

// ---- WebSockets

awaitable<void> serve_websocket(Api& api, http::Request& request, const Identity& who, EntryPtr entry,
                                http::WebSocket& socket) {
  const auto turn = entry->take_over();
  socket.on_change([&] {
    while (auto message = socket.next()) entry->connection->receive(*message, api.clock.monotonic());
  });
  while (auto text = co_await next_output(api, request, who, entry, turn, http::kForever))
    if (!co_await socket.send(*text)) break;
  api.signalr.remove(entry->token);
  if (!stopping(request)) co_return co_await socket.close(http::WebSocket::Close::normal, {});
  co_await socket.send(signalr::Connection::farewell());
  co_await socket.close(http::WebSocket::Close::goingAway, "the hub stops");
}

// ---- server-sent events

std::string as_event(std::string_view text) {
  std::string event;
  while (!text.empty()) {
    const auto end = text.find('\n');
    event += "data: ";
    event += text.substr(0, end);
    event += "\r\n";
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return event + "\r\n";
}

awaitable<void> serve_event_stream(Api& api, http::Request& request, const Identity& who, EntryPtr entry,
                                   http::StreamWriter& out) {
  const auto turn = entry->take_over();
  bool there = co_await out.write(":\r\n");
  while (there) {
    const auto text = co_await next_output(api, request, who, entry, turn, http::kForever);
    if (!text) break;
    there = co_await out.write(as_event(*text));
  }
  if (stopping(request)) co_await out.write(as_event(signalr::Connection::farewell()));
  if (entry->is_turn(turn.number)) api.signalr.remove(entry->token);
}

// ---- long polling

http::Response poll_answer(unsigned status, std::string text) {
  auto response = http::text_response(status, "text/plain", std::move(text));
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

awaitable<http::Response> serve_poll(Api& api, http::Request& request, const Identity& who, EntryPtr entry) {
  // The first poll only shows that the transport works.
  if (!entry->polled_before.exchange(true)) {
    const auto turn = entry->take_over();
    entry->leave(turn.number, api.clock.monotonic());
    co_return poll_answer(200, {});
  }
  const auto turn = entry->take_over();
  const auto text = co_await next_output(api, request, who, entry, turn, api.clock.monotonic() + kPollMax);
  if (text) {
    entry->leave(turn.number, api.clock.monotonic());
    co_return poll_answer(200, std::move(*text));
  }
  if (stopping(request) && entry->is_turn(turn.number)) co_return poll_answer(200, signalr::Connection::farewell());
  if (entry->is_turn(turn.number) && entry->connection->ended()) api.signalr.remove(entry->token);
  entry->leave(turn.number, api.clock.monotonic());
  co_return poll_answer(204, {});
}

}  // namespace

awaitable<Answered> signalr_negotiate(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"negotiateVersion", "access_token", "useStatefulReconnect"}); !ok)
    co_return ok.error();
  const auto version = number_parameter(call.request.query, "negotiateVersion", 0, 1'000);
  if (!version) co_return version.error();
  const auto body = co_await body_text(call, 1'024);
  if (!body && body.error().code != Code::unsupportedMedia) co_return body.error();
  const auto entry = open_connection(call);
  if (!entry) co_return entry.error();
  const bool two_names = version->value_or(0) >= 1;  // from version 1 on the public id is not the token
  const auto name = two_names ? std::string_view((*entry)->token).substr(0, 12) : std::string_view((*entry)->token);
  const auto transport = [](std::string_view transport) {
    return json::object{{"transport", transport}, {"transferFormats", json::array{"Text"}}};
  };
  json::object answer{{"negotiateVersion", two_names ? 1 : 0}, {"connectionId", name}};
  if (two_names) answer.emplace("connectionToken", std::string_view((*entry)->token));
  answer.emplace("availableTransports",
                 json::array{transport("WebSockets"), transport("ServerSentEvents"), transport("LongPolling")});
  co_return json_response(200, answer);
}

awaitable<Answered> signalr_connect(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"id", "access_token", "_"}); !ok) co_return ok.error();
  auto& api = call.api;
  auto& request = call.request;
  const auto& who = call.who;
  const bool upgrade = http::wants_websocket(request);
  // A client that is sure to use WebSockets may skip the negotiation.
  const bool at_once = upgrade && !request.query.get("id");
  const auto entry = at_once ? open_connection(call) : find_connection(call);
  if (!entry) co_return entry.error();
  http::Response response;
  if (upgrade) {
    response.websocket = [&api, &request, &who, entry = *entry](http::WebSocket& socket) {
      return serve_websocket(api, request, who, entry, socket);
    };
    co_return response;
  }
  const auto accept = request.headers.get("Accept").value_or("");
  if (accept.find("text/event-stream") == std::string_view::npos)
    co_return co_await serve_poll(api, request, who, *entry);
  response.headers.emplace_back("Content-Type", "text/event-stream");
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back("X-Accel-Buffering", "no");
  response.stream = [&api, &request, &who, entry = *entry](http::StreamWriter& out) {
    return serve_event_stream(api, request, who, entry, out);
  };
  co_return response;
}

awaitable<Answered> signalr_send(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"id", "access_token"}); !ok) co_return ok.error();
  const auto entry = find_connection(call);
  if (!entry) co_return entry.error();
  const auto body = co_await call.request.body.read_all(signalr::Connection::kReceivedMax);
  if (!body) co_return body.error();
  (*entry)->connection->receive(*body, call.api.clock.monotonic());
  co_return http::text_response(200, "text/plain", {});
}

awaitable<Answered> signalr_end(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"id", "access_token"}); !ok) co_return ok.error();
  const auto entry = find_connection(call);
  if (!entry) co_return entry.error();
  call.api.signalr.remove((*entry)->token);
  (*entry)->take_over();  // ends the request that serves it now
  co_return http::text_response(202, "text/plain", {});
}

}  // namespace geres::hub::api
