// SPDX-License-Identifier: Apache-2.0
#include "http/websocket.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <type_traits>

#include "base/log.h"
#include "http/suspension.h"
#include "http/websocket_session.h"

namespace geres::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using Socket = asio::ip::tcp::socket;

constexpr std::size_t kWaitingMax = 8;

bool names_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    auto word = list.substr(0, comma);
    while (!word.empty() && (word.front() == ' ' || word.front() == '\t')) word.remove_prefix(1);
    while (!word.empty() && (word.back() == ' ' || word.back() == '\t')) word.remove_suffix(1);
    if (beast::iequals(word, token)) return true;
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return false;
}

// The connection as Beast wants it: the socket is waited for, the stream moves the bytes.
class Layer {
 public:
  using executor_type = Socket::executor_type;
  Layer(Socket& socket, Stream& stream) : socket_(socket), stream_(stream) {}
  executor_type get_executor() { return socket_.get_executor(); }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return asio::async_compose<Token, void(error_code, std::size_t)>(Step<Read>{*this, Read{first_of(buffers)}}, token,
                                                                     socket_);
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return asio::async_compose<Token, void(error_code, std::size_t)>(Step<Write>{*this, Write{first_of(buffers)}},
                                                                     token, socket_);
  }
  // Says that nothing more will be sent, and swallows what still comes.
  template <class Token>
  auto async_end(Token&& token) {
    stream_.end();
    return asio::async_compose<Token, void(error_code, std::size_t)>(Step<Swallow>{*this, Swallow{}}, token, socket_);
  }
  void break_off() { ::shutdown(socket_.native_handle(), SHUT_RDWR); }

 private:
  // The first that is not empty: one at a time is what "some" allows.
  template <class Buffers>
  static auto first_of(const Buffers& buffers) {
    auto at = asio::buffer_sequence_begin(buffers);
    const auto end = asio::buffer_sequence_end(buffers);
    using Buffer = std::conditional_t<std::is_convertible_v<decltype(*at), asio::mutable_buffer>, asio::mutable_buffer,
                                      asio::const_buffer>;
    for (; at != end; ++at)
      if (const Buffer buffer(*at); buffer.size() > 0) return buffer;
    return Buffer();
  }

  struct Read {
    asio::mutable_buffer to;
    Io go(Stream& stream, std::size_t& moved) {
      return to.size() == 0 ? Io::done : stream.receive(static_cast<char*>(to.data()), to.size(), moved);
    }
    bool for_room(const Stream& stream) const { return stream.tls() && stream.wants_room(); }
  };
  struct Write {
    asio::const_buffer from;
    Io go(Stream& stream, std::size_t& moved) {
      std::string_view bytes(static_cast<const char*>(from.data()), from.size());
      const Io io = stream.send(bytes);
      moved = from.size() - bytes.size();
      return io == Io::again && moved > 0 ? Io::done : io;
    }
    static bool for_room(const Stream&) { return true; }
  };
  struct Swallow {
    static Io go(Stream& stream, std::size_t& moved) {
      thread_local char piece[4096];
      Io io = Io::done;
      while (io == Io::done) io = stream.receive(piece, sizeof piece, moved);
      moved = 0;
      return io == Io::ended ? Io::done : io;
    }
    bool for_room(const Stream& stream) const { return stream.tls() && stream.wants_room(); }
  };
  // Tries, and waits for the socket in between. Never ends within the call that began it.
  template <class Way>
  struct Step {
    Layer& layer;
    Way way;
    bool begun = false;
    template <class Self>
    void operator()(Self& self, error_code error = {}) {
      if (!std::exchange(begun, true)) return asio::post(layer.get_executor(), std::move(self));
      if (error) return self.complete(error, 0);
      std::size_t moved = 0;
      const Io io = way.go(layer.stream_, moved);
      if (io == Io::done) return self.complete({}, moved);
      if (io == Io::ended) return self.complete(asio::error::eof, 0);
      const auto kind = way.for_room(layer.stream_) ? Socket::wait_write : Socket::wait_read;
      layer.socket_.async_wait(kind, std::move(self));
    }
  };

  Socket& socket_;
  Stream& stream_;
};

// Beast finds these two by their argument.
template <class Handler>
void async_teardown(beast::role_type, Layer& layer, Handler&& handler) {
  layer.async_end(
      [handler = std::forward<Handler>(handler)](error_code error, std::size_t) mutable { handler(error); });
}
[[maybe_unused]] void beast_close_socket(Layer& layer) {
  layer.break_off();
}

// Shared with the coroutine that reads, which may end after the handler has.
class BeastWebSocket final : public WebSocket, public std::enable_shared_from_this<BeastWebSocket> {
 public:
  BeastWebSocket(Layer layer, const WebSocketLimits& limits, std::function<void()> gone)
      : stream_(layer), gone_(std::move(gone)) {
    beast::websocket::stream_base::timeout times{};
    times.handshake_timeout = std::chrono::milliseconds(limits.handshake);
    times.idle_timeout = std::chrono::milliseconds(limits.idle);
    times.keep_alive_pings = true;
    stream_.set_option(times);
    stream_.read_message_max(limits.message_bytes);
    stream_.text(true);
    stream_.auto_fragment(false);
  }

  awaitable<bool> accept(const std::string& head) {
    error_code error;
    co_await stream_.async_accept(asio::buffer(head), asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }

  // Reads until the client closes or is lost.
  static awaitable<void> read(std::shared_ptr<BeastWebSocket> self) {
    try {
      co_await self->read_all();
    } catch (const std::exception& trouble) {
      log::error("http: a WebSocket failed: {}", trouble.what());
    }
    self->closed_ = true;
    if (!self->finished_) self->gone_();
    self->ring();
    self->reader_done_ = true;
    self->done_.resume();
  }

  awaitable<void> finish() {
    finished_ = true;
    ring_ = nullptr;  // it refers to things that went away with the handler
    if (!closed_) co_await close(Close::normal, {});
    room_.resume();
    if (!reader_done_) co_await done_.suspend();
  }

  void on_change(std::function<void()> ring) override { ring_ = std::move(ring); }
  std::optional<std::string> next() override {
    if (waiting_.empty()) return std::nullopt;
    auto message = std::move(waiting_.front());
    waiting_.pop_front();
    if (waiting_.size() + 1 == kWaitingMax) room_.resume();
    return message;
  }
  bool closed() const override { return closed_; }

  awaitable<bool> send(std::string_view text) override {
    if (closed_) co_return false;
    error_code error;
    co_await stream_.async_write(asio::buffer(text), asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }

  awaitable<void> close(Close code, std::string_view reason) override {
    if (closed_ || closing_) co_return;
    closing_ = true;
    const beast::websocket::close_reason why(beast::websocket::close_code(code),
                                             beast::string_view(reason.substr(0, 120)));
    error_code ignored;
    co_await stream_.async_close(why, asio::redirect_error(asio::use_awaitable, ignored));
  }

 private:
  void ring() {
    if (ring_) ring_();
  }
  awaitable<void> read_all() {
    beast::flat_buffer buffer;
    while (true) {
      error_code error;
      co_await stream_.async_read(buffer, asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return;
      waiting_.push_back(beast::buffers_to_string(buffer.data()));
      buffer.consume(buffer.size());
      ring();
      if (waiting_.size() >= kWaitingMax && !finished_) co_await room_.suspend();
    }
  }

  beast::websocket::stream<Layer> stream_;
  std::function<void()> gone_;
  std::function<void()> ring_;
  std::deque<std::string> waiting_;
  Suspension room_, done_;
  bool closed_ = false, closing_ = false, finished_ = false, reader_done_ = false;
};

}  // namespace

bool wants_websocket(const Request& request) {
  return names_token(request.headers.get("Connection").value_or(""), "upgrade") &&
         names_token(request.headers.get("Upgrade").value_or(""), "websocket");
}

awaitable<void> run_websocket(Socket& socket, Stream& stream, std::string head, WebSocketLimits limits,
                              std::function<awaitable<void>(WebSocket&)> handler, std::function<void()> gone) {
  auto websocket = std::make_shared<BeastWebSocket>(Layer(socket, stream), limits, std::move(gone));
  if (!co_await websocket->accept(head)) co_return;
  asio::co_spawn(socket.get_executor(), BeastWebSocket::read(websocket), asio::detached);
  std::exception_ptr trouble;
  try {
    co_await handler(*websocket);
  } catch (...) {
    trouble = std::current_exception();
  }
  co_await websocket->finish();
  if (trouble) std::rethrow_exception(trouble);
}

}  // namespace geres::http
