// SPDX-License-Identifier: Apache-2.0
#include "http/session.h"

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "http/answer.h"
#include "http/loop.h"
#include "http/websocket_session.h"

namespace geres::http {

namespace {

constexpr int kEmptyLinesMax = 8;                 // before a request
constexpr std::uint64_t kDiscardMax = 64 * 1024;  // of a body that nobody read, so that the connection can be kept
constexpr std::size_t kOneWriteMax = 256 * 1024;  // head and body are sent in one write up to this size

}  // namespace

awaitable<void> Session::run(std::shared_ptr<Session> self) {
  try {
    if (co_await self->shake_hands())
      while (co_await self->next_bytes())
        if (!co_await self->serve_one()) break;
  } catch (const ServerStopped&) {
  } catch (const std::exception& trouble) {
    log::error("http: connection of {} ended: {}", self->peer_, trouble.what());
  }
  self->close();
}

awaitable<void> Session::refuse(std::shared_ptr<Session> self) {
  Refusal refusal;
  refusal.status = 503;
  refusal.error = fail(Code::unavailable, "too many connections");
  Headers none;
  try {
    if (co_await self->shake_hands()) co_await self->answer_refusal(std::move(refusal), std::move(none));
  } catch (const std::exception&) {
  }
  self->close();
}

void Session::finish() {
  finishing_ = true;
  if (idle_)
    wake_reader();
  else
    cancel(Why::stopping);
}

// At once done where there is no TLS. False: the client is no client.
awaitable<bool> Session::shake_hands() {
  if (!stream().tls()) co_return true;
  deadline(Loop::now() + options_.header_time_max);
  for (bool first = true;; first = false) {
    idle_ = true;
    const Io came = finishing_ ? Io::ended : co_await readable();
    idle_ = false;
    if (came != Io::done) co_return false;
    if (first && stream().speaks_plainly()) break;
    const Io io = stream().shake_hands();
    if (io == Io::done) {
      no_deadline();
      if (auto shown = stream().client_certificate()) client_ = std::make_unique<tls::Certificate>(std::move(*shown));
      co_return true;
    }
    if (io == Io::ended) co_return false;
  }
  stream().be_plain();
  no_deadline();
  Refusal refusal;
  refusal.status = 400;
  refusal.error = fail(Code::badRequest, "this port speaks HTTPS, and this was plain HTTP", {},
                       "call it with https:// instead of http://");
  Headers none;
  co_await answer_refusal(std::move(refusal), std::move(none));
  co_return false;
}

// False: there is no further request.
awaitable<bool> Session::next_bytes() {
  const Millis patience = first_ ? options_.header_time_max : options_.idle_time_max;
  first_ = false;
  while (unread().empty()) {
    // Wait first: a client that sends a request and waits for the answer has seldom sent more yet.
    if (!finishing_) {
      release_buffer();
      deadline(Loop::now() + patience);
      idle_ = true;
      const Io io = co_await readable();
      idle_ = false;
      no_deadline();
      if (io != Io::done) co_return false;
    }
    const Io io = receive();
    if (io == Io::ended || (io == Io::again && finishing_)) co_return false;
  }
  co_return true;
}

awaitable<Session::Head> Session::read_head(RequestHead& head, Refusal& refusal) {
  deadline(Loop::now() + options_.header_time_max);
  HeadScanner scanner(options_.header_bytes_max, options_.headers_max);
  int empty_lines = 0;
  while (true) {
    // An empty line before a request is harmless, and old clients send one after a body (RFC 9112, 2.2).
    for (; unread().starts_with("\r\n") && empty_lines < kEmptyLinesMax; ++empty_lines) consume(2);
    const bool half_an_empty_line = unread() == "\r" && empty_lines < kEmptyLinesMax;
    const auto found = half_an_empty_line ? HeadScanner::Found::more : scanner.scan(unread());
    if (found == HeadScanner::Found::refused) {
      refusal = scanner.refusal();
      co_return Head::refused;
    }
    if (found == HeadScanner::Found::head) break;
    Io io = receive();
    if (io == Io::again) {
      if (finishing_) co_return Head::gone;
      idle_ = true;
      io = co_await readable();
      idle_ = false;
    }
    if (io == Io::ended) co_return Head::gone;
    if (io != Io::timedOut) continue;
    refusal.status = 408;
    refusal.error = fail(Code::timeout, "the request's head did not arrive in time");
    co_return unread().empty() ? Head::gone : Head::refused;
  }
  no_deadline();
  head.block = unread().substr(0, scanner.length());
  consume(scanner.length());
  if (auto trouble = parse_head(head)) {
    refusal = std::move(*trouble);
    co_return Head::refused;
  }
  co_return Head::read;
}

// False: the connection has to end.
awaitable<bool> Session::serve_one() {
  RequestHead head;
  Refusal refusal;
  const Head got = co_await read_head(head, refusal);
  if (got == Head::gone) co_return false;

  Cancellation::reset();
  if (finishing_) cancel(Why::stopping);
  begin_body(head);
  Request request(*this, *this);
  if (got == Head::read) {
    if (auto decoded = decode_target(head.target, request.path, request.query); !decoded)
      refusal.error = decoded.error();
    else
      refusal.status = 0;
  }
  if (refusal.status != 0) {
    co_await answer_refusal(std::move(refusal), std::move(head.headers));
    co_return false;
  }
  request.method = head.method;
  request.method_text = head.method_text;
  request.target = head.target;
  request.headers = std::move(head.headers);
  request.peer = peer_;
  request.tls = stream().tls();
  request.client = client_.get();

  Response response = co_await handle(request);
  if (response.websocket) {
    co_await become_websocket(head, response);
    co_return false;
  }
  answer_pace_ = Pace(options_.write_stall_max, options_.bytes_per_second_min);
  const bool keep = may_keep_alive(head, response);
  const bool sent = co_await reply(request, response, head.http11, keep);
  stop_looking();
  if (!sent) co_return false;
  if (!keep) {
    co_await linger();
    co_return false;
  }
  co_return co_await discard_body();
}

awaitable<Response> Session::handle(Request& request) {
  Response response;
  std::string trouble;
  try {
    response = co_await router_.handle(request);
    co_return response;
  } catch (const ServerStopped&) {
    throw;
  } catch (const std::exception& thrown) {
    trouble = thrown.what();
  } catch (...) {
    trouble = "something that is not a std::exception";
  }
  log::event(
      log::Level::err, "a call failed for a reason that nobody expected",
      {{"method", request.method_text}, {"route", request.route}, {"error", trouble}, {"requestId", request.id}});
  co_return router_.error(fail(Code::internal, "the request failed for a reason that is in the server's log"), 500);
}

awaitable<void> Session::become_websocket(const RequestHead& head, Response& response) {
  stop_looking();
  upgraded_ = true;
  std::string received = head.block;
  received += unread();
  consume(unread().size());
  WebSocketLimits limits;
  limits.message_bytes = options_.websocket_message_max;
  limits.handshake = options_.header_time_max;
  limits.idle = options_.websocket_idle_max;
  std::function<void()> gone = [self = std::static_pointer_cast<Session>(shared_from_this())] {
    self->cancel(Why::clientGone);
  };
  co_await run_websocket(socket(), stream(), std::move(received), limits, std::move(response.websocket),
                         std::move(gone));
}

bool Session::may_keep_alive(const RequestHead& head, const Response& response) const {
  if (!head.keep_alive || response.close || finishing_ || body_.error) return false;
  if (response.stream && !head.http11) return false;
  if (body_.ended) return true;
  return !body_.continue_due && body_.length && *body_.length - body_.received <= kDiscardMax;
}

awaitable<void> Session::answer_refusal(Refusal refusal, Headers headers) {
  Response response = router_.unread({peer_, headers, refusal.error}, refusal.status);
  std::string bytes = write_head(response, Framing::length, response.body.size(), false, true);
  bytes += response.body;
  if (co_await send_all(bytes)) co_await linger();
}

awaitable<bool> Session::send_all(std::string_view bytes) {
  const Io io = send_now(bytes);
  if (io == Io::done && bytes.empty()) co_return true;
  if (io == Io::ended) co_return false;
  co_return co_await send(bytes, answer_pace_);
}

awaitable<bool> Session::reply(const Request& request, Response& response, bool http11, bool keep) {
  const bool head_only = request.method == Method::head;
  if (response.stream) {
    std::string head = write_head(response, http11 ? Framing::chunked : Framing::untilClose, 0, keep, http11);
    if (head_only) co_return co_await send_all(head);
    co_return co_await reply_stream(response, std::move(head), http11);
  }
  if (const auto range = request.headers.get("Range"); range && request.method == Method::get)
    apply_range(response, *range);
  if (response.file && response.status == 200) response.headers.emplace_back("Accept-Ranges", "bytes");
  const bool bodiless = response.status == 204 || response.status == 304;
  const std::uint64_t length = response.file ? response.file->length : response.body.size();
  std::string bytes = write_head(response, bodiless ? Framing::none : Framing::length, length, keep, http11);
  if (head_only || bodiless) co_return co_await send_all(bytes);
  if (response.file) {
    if (!co_await send_all(bytes)) co_return false;
    const FileBody file = *response.file;
    co_return co_await send_file(file.fd->get(), file.offset, file.length, answer_pace_);
  }
  if (response.body.size() <= kOneWriteMax) {
    bytes += response.body;
    co_return co_await send_all(bytes);
  }
  if (!co_await send_all(bytes)) co_return false;
  co_return co_await send_all(response.body);
}

awaitable<bool> Session::reply_stream(Response& response, std::string head, bool chunked) {
  if (!co_await send_all(head)) co_return false;
  chunked_answer_ = chunked;
  // If it throws, the last chunk is not sent, so the client sees that the answer is incomplete.
  co_await response.stream(*this);
  if (cancelled() && why() == Why::clientGone) co_return false;
  if (!chunked) co_return true;
  constexpr std::string_view last = "0\r\n\r\n";
  co_return co_await send_all(last);
}

awaitable<bool> Session::write(std::string_view bytes) {
  if (bytes.empty()) co_return !(cancelled() && why() == Why::clientGone);
  bool sent = false;
  if (chunked_answer_) {
    char size[24];
    std::string chunk(size, std::size_t(std::snprintf(size, sizeof size, "%zx\r\n", bytes.size())));
    chunk.reserve(chunk.size() + bytes.size() + 2);
    chunk += bytes;
    chunk += "\r\n";
    sent = co_await send_all(chunk);
  } else {
    sent = co_await send_all(bytes);
  }
  if (!sent) cancel(Why::clientGone);
  co_return sent;
}

// Reads and drops what the client still sends, because closing at once would reset the connection and the client might
// never see our answer.
awaitable<void> Session::linger() {
  shut_sending();
  const Millis until = Loop::now() + options_.linger_time_max;
  deadline(until);
  while (Loop::now() < until) {
    const bool all_read = body_.ended && unread().empty();
    consume(unread().size());
    const Io io = receive();
    if (io == Io::ended || (io == Io::again && all_read)) break;
    if (co_await readable() != Io::done) break;
  }
}

}  // namespace geres::http
