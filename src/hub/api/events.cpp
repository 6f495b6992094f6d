// SPDX-License-Identifier: Apache-2.0
// GET /v1/events: the log of events as it grows, as server-sent events (the WHATWG HTML standard, 9.2). Each event
// carries its id, so that a client that comes back with Last-Event-ID reads on from there. Events that are no longer
// kept are reported as a `gap`.
#include <fmt/format.h>

#include "hub/api/event_filter.h"
#include "hub/api/handlers.h"
#include "hub/api/query.h"

namespace geres::hub::api {
namespace {

constexpr std::size_t kPage = 200;             // events read at once
constexpr std::size_t kWriteMax = 256 * 1024;  // bytes in one write, roughly
constexpr Millis kHeartbeat = 15'000;

struct EventView {
  Api& api;
  http::Request& request;
  EventPosition from;
  events::Filter filter;
  bool follow = true;  // false: end with the newest event
  http::Bell bell;
};

std::string id_line(const Api& api, store::EventNo no) {
  return fmt::format("id: {}\n", events::event_id(api.teller->log(), no));
}

std::string gap_text(const Api& api, std::optional<store::EventNo> after, store::EventNo until) {
  const auto& log = api.teller->log();
  const events::Gap gap{after ? events::event_id(log, *after) : "", events::event_id(log, until)};
  return fmt::format("{}event: gap\ndata: {}\n\n", id_line(api, until), gap.data());
}

std::string events_text(const Api& api, std::span<const events::Told> told, const std::vector<events::TextPtr>& texts) {
  std::string text;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    text += id_line(api, told[i].row().no);
    text += "event: ";
    text += store::event_name(told[i].row().type);
    text += "\ndata: ";
    text += texts[i]->event;
    text += "\n\n";
  }
  return text;
}

awaitable<events::Reader::Page> next_page(Api& api, events::Reader& reader) {
  if (!reader.behind()) co_return reader.read(kPage);
  auto read = [&] { return reader.read(kPage); };
  co_return co_await http::run_on(api.pool, read);
}

// False: the client takes no more.
awaitable<bool> send_page(Api& api, std::span<const events::Told> told, http::StreamWriter& out) {
  while (!told.empty()) {
    auto texts = events::Teller::made_texts(told, kWriteMax);
    if (texts.empty()) {
      auto make = [&] { return api.teller->texts(told, kWriteMax); };
      texts = co_await http::run_on(api.pool, make);
    }
    const std::string text = events_text(api, told, texts);
    told = told.subspan(texts.size());
    texts.clear();
    if (!co_await out.write(text)) co_return false;
  }
  co_return true;
}

// An id without an event moves the position with which a client comes back, and browsers show nothing. So a client
// whose filter seldom fits does not make the hub search everything since its last event.
awaitable<void> send_events(std::shared_ptr<EventView> view, http::StreamWriter& out) {
  auto& api = view->api;
  events::Reader reader(api.tail, view->filter, view->from.after, [bell = view->bell] { bell.ring(); });
  std::string text = "retry: 1000\n";
  text += view->from.gap ? gap_text(api, std::nullopt, view->from.after) : id_line(api, view->from.after) + "\n";
  while (true) {
    if (!text.empty() && !co_await out.write(text)) co_return;
    const auto position = reader.position();
    const auto page = co_await next_page(api, reader);
    if (page.gap_until) {
      text = gap_text(api, position, *page.gap_until);
      continue;
    }
    text.clear();
    if (!co_await send_page(api, page.events, out)) co_return;
    if (!page.events.empty() || page.more) continue;
    if (!view->follow) {
      const auto end = id_line(api, reader.position()) + "\n";
      co_await out.write(end);
      co_return;
    }
    const auto end = co_await view->bell.wait(view->request.cancellation, kHeartbeat);
    if (view->request.cancellation.cancelled()) co_return;
    if (end != http::WaitEnd::timedOut) continue;
    text = fmt::format(": still here\n{}\n", id_line(api, reader.position()));
  }
}

}  // namespace

awaitable<Answered> stream_events(Call& call) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"lastEventId", "follow", "access_token"}, {"tenant", "batch", "job", "type"});
      !ok)
    co_return ok.error();
  const auto follow = query.get("follow") ? flag_parameter(query, "follow") : Result<bool>(true);
  if (!follow) co_return follow.error();
  auto find = [&] { return event_filter_of_query(call.api, call.who, query); };
  auto filter = co_await blocking(call, find);
  if (!filter) co_return filter.error();
  const auto header = call.request.headers.get("Last-Event-ID");
  const auto from = header ? event_position(call.api, header, "Last-Event-ID")
                           : event_position(call.api, query.get("lastEventId"), "lastEventId");
  if (!from) co_return from.error();
  auto view = std::make_shared<EventView>(call.api, call.request, *from, std::move(*filter), *follow);
  http::Response response;
  response.headers.emplace_back("Content-Type", "text/event-stream");
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Cache-Control", "no-store");
  response.headers.emplace_back("X-Accel-Buffering", "no");
  response.stream = [view](http::StreamWriter& out) { return send_events(view, out); };
  co_return response;
}

}  // namespace geres::hub::api
