// SPDX-License-Identifier: Apache-2.0
// The session's request body: lengths, chunks, limits, and clients that wait for "100 Continue".
#include <algorithm>

#include "http/loop.h"
#include "http/session.h"

namespace geres::http {

namespace {

constexpr std::uint64_t kPiece = 256 * 1024;
constexpr std::uint64_t kStraightMin = 64 * 1024;
constexpr std::uint64_t kYieldAfter = 1024 * 1024;  // bytes; a fast client must leave the loop to others, too

}  // namespace

void Session::begin_body(const RequestHead& head) {
  body_ = BodyState();
  body_pace_ = Pace(options_.body_stall_max, options_.bytes_per_second_min);
  body_.length = head.length;
  body_.ended = head.length == std::uint64_t(0);
  body_.continue_due = head.expects_continue;
}

Error Session::body_failed(Error error) {
  body_.error = error;
  return error;
}

std::optional<Error> Session::over_limit(std::uint64_t limit) {
  if (body_.received <= limit && (!body_.length || *body_.length <= limit)) return std::nullopt;
  return body_failed(fail(Code::tooLarge, "the body is over the limit of " + std::to_string(limit) + " bytes"));
}

// Waits until more of the body may have arrived. Sends "100 Continue" first if the client waits for it.
awaitable<std::optional<Error>> Session::more_body() {
  if (std::exchange(body_.continue_due, false)) {
    constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!co_await send_all(go_on)) co_return body_failed(fail(Code::badRequest, "the client went away"));
  }
  body_pace_.moved(body_.received - std::exchange(body_.paced, body_.received));
  const Millis since = Loop::now();
  deadline(since + body_pace_.left());
  const Io io = co_await readable();
  no_deadline();
  body_pace_.waited(Loop::now() - since);
  if (io == Io::timedOut) co_return body_failed(fail(Code::timeout, "the body stopped arriving, or came too slowly"));
  if (io == Io::ended) co_return body_failed(fail(Code::badRequest, "the client went away"));
  co_return std::nullopt;
}

// What has already arrived of the body; may be empty.
Result<std::string> Session::take_received() {
  std::string piece;
  if (body_.length) {
    const auto bytes = std::min<std::uint64_t>(unread().size(), *body_.length - body_.received);
    piece = unread().substr(0, bytes);
    consume(bytes);
    body_.ended = body_.received + bytes == *body_.length;
  } else if (!unread().empty()) {
    const auto used = body_.chunks.decode(unread(), piece);
    if (!used) return body_failed(used.error());
    consume(*used);
    body_.ended = body_.chunks.ended();
  }
  body_.received += piece.size();
  return piece;
}

// Receives a large body straight into `piece`, without a copy.
Io Session::receive_straight(std::string& piece) {
  piece.resize(std::min(kPiece, *body_.length - body_.received));
  std::size_t filled = 0;
  Io io = Io::done;
  while (filled < piece.size() && io == Io::done) {
    std::size_t got = 0;
    io = receive_into(piece.data() + filled, piece.size() - filled, got);
    filled += got;
  }
  piece.resize(filled);
  if (filled < kPiece / 4) piece.shrink_to_fit();  // do not hold a large buffer while waiting for the rest
  body_.received += filled;
  body_.ended = body_.received == *body_.length;
  return filled > 0 ? Io::done : io;
}

awaitable<Result<std::string>> Session::read_some(std::uint64_t limit) {
  if (body_.error) co_return *body_.error;
  if (auto over = over_limit(limit)) co_return *over;
  while (!body_.ended) {
    auto piece = take_received();
    if (!piece) co_return piece.error();
    Io io = Io::done;
    if (piece->empty() && !body_.ended) {
      const bool large = body_.length && *body_.length - body_.received > kStraightMin;
      io = large ? receive_straight(*piece) : receive();
    }
    if (auto over = over_limit(limit)) co_return *over;
    if (!piece->empty()) {
      body_.unyielded += piece->size();
      if (std::exchange(body_.unyielded, body_.unyielded % kYieldAfter) >= kYieldAfter) co_await yield();
      co_return std::move(*piece);
    }
    if (io == Io::ended) co_return body_failed(fail(Code::badRequest, "the body ended early"));
    if (io == Io::again)
      if (auto error = co_await more_body()) co_return *error;
  }
  co_return std::string();
}

awaitable<Result<std::string>> Session::read_all(std::uint64_t limit) {
  std::string all;
  if (body_.length && unread().size() >= *body_.length && !body_.error && !over_limit(limit)) co_return take_received();
  while (true) {
    auto piece = co_await read_some(limit);
    if (!piece) co_return piece.error();
    if (piece->empty()) co_return std::move(all);
    if (all.empty())
      all = std::move(*piece);
    else
      all += *piece;
  }
}

// Reads and drops what the handler did not read, so that the next request can follow. False: close instead.
awaitable<bool> Session::discard_body() {
  while (!body_.ended) {
    const auto piece = co_await read_some(*body_.length);
    if (!piece) co_return false;
  }
  co_return true;
}

}  // namespace geres::http
