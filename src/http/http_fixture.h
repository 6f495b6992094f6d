// SPDX-License-Identifier: Apache-2.0
// A server with a few handlers and clients that send raw bytes, for tests.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <thread>

#include "http/server.h"
#include "tls/authority.h"
#include "tls/openssl.h"

namespace geres::http {

// The same tests are built twice.
#ifdef GERES_TEST_TLS
inline constexpr bool kTls = true;
#else
inline constexpr bool kTls = false;
#endif

// An authority of this process, and the certificate of all its servers.
struct TestIdentity {
  TemporaryDirectory directory;
  tls::Authority authority = tls::Authority::open(directory.path(), SystemClock().wall()).value();
  tls::ServerFiles files = authority.server_files({"127.0.0.1", "localhost"}, SystemClock().wall()).value();
  static const TestIdentity& get() {
    static const TestIdentity one;
    return one;
  }
  static std::shared_ptr<tls::ServerContext> context() {
    const auto& files = get().files;
    return std::make_shared<tls::ServerContext>(files, tls::load_server_identity(files, SystemClock().wall()).value());
  }
};

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

inline std::optional<FileBody> open_file(const std::filesystem::path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat about {};
  if (!fd || ::fstat(fd.get(), &about) != 0 || !S_ISREG(about.st_mode)) return std::nullopt;
  FileBody file;
  file.fd = std::make_shared<Fd>(std::move(fd));
  file.length = std::uint64_t(about.st_size);
  return file;
}

inline constexpr int kPatienceMs = 20'000;

class Client {
 public:
  explicit Client(const Server& server) : Client(server, Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))) {}
  Client(const Server& server, Fd socket) : Client(server.port(), std::move(socket)) {}
  Client(std::uint16_t port, Fd socket) : fd_(std::move(socket)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::system_error(errno, std::generic_category(), "connect");
  }

  // False: the server has closed the connection.
  bool send(std::string_view bytes) {
    shake_hands();
    while (!bytes.empty()) {
      const auto sent = ssl_ ? SSL_write(ssl_.get(), bytes.data(), int(std::min<std::size_t>(bytes.size(), 1 << 20)))
                             : ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(std::size_t(sent));
    }
    return true;
  }
  bool readable_within(int ms) {
    if (ssl_ && SSL_pending(ssl_.get()) > 0) return true;
    pollfd poll_for{fd_.get(), POLLIN, 0};
    return ::poll(&poll_for, 1, ms) > 0;
  }
  // More bytes. Empty: the end, or nothing came in time.
  std::string more() {
    shake_hands();
    if (!readable_within(kPatienceMs)) return ADD_FAILURE() << "nothing came; so far: " << got_, "";
    char buffer[64 * 1024];
    const auto count = ssl_ ? SSL_read(ssl_.get(), buffer, sizeof buffer) : ::recv(fd_.get(), buffer, sizeof buffer, 0);
    return count > 0 ? std::string(buffer, std::size_t(count)) : "";
  }
  std::string read_until(std::string_view mark) {
    while (got_.find(mark) == std::string::npos) {
      const auto piece = more();
      if (piece.empty()) break;
      got_ += piece;
    }
    const auto end = std::min(got_.find(mark), got_.size());
    std::string result = got_.substr(0, std::min(end + mark.size(), got_.size()));
    got_.erase(0, result.size());
    return result;
  }
  std::string read_all() {
    for (auto piece = more(); !piece.empty(); piece = more()) got_ += piece;
    return std::exchange(got_, {});
  }
  std::string read_bytes(std::size_t count) {
    while (got_.size() < count) {
      const auto piece = more();
      if (piece.empty()) break;
      got_ += piece;
    }
    std::string result = got_.substr(0, count);
    got_.erase(0, result.size());
    return result;
  }
  // A whole response with Content-Length.
  std::string response() {
    std::string head = read_until("\r\n\r\n");
    const auto at = head.find("Content-Length: ");
    const auto length = at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
    return head + read_bytes(length);
  }
  std::string ask(std::string_view bytes) {
    send(bytes);
    return response();
  }
  void half_close() {
    shake_hands();
    if (ssl_) SSL_shutdown(ssl_.get());
    ::shutdown(fd_.get(), SHUT_WR);
  }
  void close() { fd_.reset(); }
  void reset() {
    const linger hard{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    fd_.reset();
  }

 private:
  // With the first word. A server that has no room for a client ends the handshake, as it ends a plain connection.
  void shake_hands() {
    if (!kTls || ssl_) return;
    static const std::unique_ptr<SSL_CTX, tls::Freed<SSL_CTX_free>> context = [] {
      ::signal(SIGPIPE, SIG_IGN);
      std::unique_ptr<SSL_CTX, tls::Freed<SSL_CTX_free>> made(SSL_CTX_new(TLS_client_method()));
      SSL_CTX_load_verify_file(made.get(), TestIdentity::get().authority.certificate_file().c_str());
      SSL_CTX_set_verify(made.get(), SSL_VERIFY_PEER, nullptr);
      return made;
    }();
    ssl_.reset(SSL_new(context.get()));
    SSL_set_fd(ssl_.get(), fd_.get());
    SSL_connect(ssl_.get());
  }

  Fd fd_;
  std::unique_ptr<SSL, tls::Freed<SSL_free>> ssl_;
  std::string got_;
};

inline std::string get(std::string_view target, std::string_view more_headers = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n" + std::string(more_headers) + "\r\n";
}

inline std::string post(std::string_view target, std::string_view body, std::string_view more_headers = "") {
  return "POST " + std::string(target) + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n" + std::string(more_headers) + "\r\n" + std::string(body);
}

// Records what happened in handlers, for tests to wait for.
class Diary {
 public:
  void write(std::string line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
    changed_.notify_all();
  }
  std::string next() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::milliseconds(kPatienceMs), [this] { return !lines_.empty(); }))
      return "(nothing)";
    auto line = std::move(lines_.front());
    lines_.pop_front();
    return line;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> lines_;
};

inline Response ok(std::string text) {
  return text_response(200, "text/plain", std::move(text));
}

inline Response from(const Error& error) {
  const unsigned status = error.code == Code::tooLarge ? 413 : error.code == Code::timeout ? 408 : 400;
  return text_response(status, "text/plain", std::string(error_name(error.code)) + ": " + error.message);
}

class Http : public testing::Test {
 protected:
  void start() {
    router_.add(Method::get, "/hello", [](Request&) -> awaitable<Response> { co_return ok("hello"); });
    router_.add(Method::post, "/echo", [](Request& request) -> awaitable<Response> {
      auto body = co_await request.body.read_all(1'000);
      if (!body) co_return from(body.error());
      co_return ok(*body);
    });
    router_.add(Method::put, "/count", [](Request& request) -> awaitable<Response> {
      std::uint64_t count = 0;
      while (true) {
        auto piece = co_await request.body.read_some(std::uint64_t(8) << 20);
        if (!piece) co_return from(piece.error());
        if (piece->empty()) break;
        count += piece->size();
      }
      co_return ok(std::to_string(count));
    });
    router_.add(Method::post, "/ignore", [](Request&) -> awaitable<Response> { co_return ok("ignored"); });
    router_.add(Method::get, "/wait", [this](Request& request) -> awaitable<Response> {
      Promise<std::string> promise;
      auto future = promise.future();
      {
        const std::lock_guard lock(mutex_);
        promises_.push_back(std::move(promise));
      }
      diary_.write("waiting");
      auto answer = co_await future.get(request.cancellation);
      diary_.write(answer                                                        ? "answered"
                   : request.cancellation.why() == Cancellation::Why::clientGone ? "client gone"
                   : request.cancellation.why() == Cancellation::Why::stopping   ? "stopping"
                                                                                 : "broken");
      co_return ok(answer ? *answer : "none");
    });
    if (kTls) options_.listen.front().tls = true, options_.tls = TestIdentity::context();
    server_.emplace(options_, router_);
    server_->start();
  }
  void TearDown() override {
    if (server_) server_->stop(5'000);
  }

  // Sends bytes after which the server should close, and returns its answer.
  std::string refusal(std::string_view bytes) {
    Client client(*server_);
    client.send(bytes);
    return client.read_all();
  }

  Options options_;
  Router router_;
  // The promise of the newest request to /wait.
  Promise<std::string> take_promise() {
    const std::lock_guard lock(mutex_);
    auto promise = std::move(promises_.back());
    promises_.pop_back();
    return promise;
  }

  Diary diary_;
  std::mutex mutex_;
  std::vector<Promise<std::string>> promises_;
  std::optional<Server> server_;
};

}  // namespace geres::http
