// SPDX-License-Identifier: Apache-2.0
// What TLS costs a server, beside plain HTTP in the same run: handshakes, requests, downloads, idle connections. The
// server's processor time is the process's without that of the thread which plays the clients.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "http/server.h"
#include "tls/authority.h"
#include "tls/openssl.h"

using namespace geres;

namespace {

using SslPtr = std::unique_ptr<SSL, tls::Freed<SSL_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, tls::Freed<SSL_CTX_free>>;

double seconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return double(now.tv_sec) + double(now.tv_nsec) / 1e9;
}

double server_seconds() {
  return seconds(CLOCK_PROCESS_CPUTIME_ID) - seconds(CLOCK_THREAD_CPUTIME_ID);
}

void must(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "tls_bench: %s\n", what);
  std::exit(1);
}

class Peer {
 public:
  Peer(std::uint16_t port, SSL_CTX* context, SSL_SESSION* session = nullptr)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0, "no connection");
    const int on = 1;
    ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (context == nullptr) return;
    ssl_.reset(SSL_new(context));
    SSL_set_fd(ssl_.get(), fd_.get());
    if (session != nullptr) SSL_set_session(ssl_.get(), session);
    must(SSL_connect(ssl_.get()) == 1, "no handshake");
  }
  void send(std::string_view bytes) {
    const auto sent = ssl_ ? SSL_write(ssl_.get(), bytes.data(), int(bytes.size()))
                           : ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    must(std::size_t(sent) == bytes.size(), "nothing could be sent");
  }
  void take(std::size_t bytes) {
    thread_local std::vector<char> piece(256 * 1024);
    while (bytes > 0) {
      const auto most = std::min(bytes, piece.size());
      const auto got = ssl_ ? SSL_read(ssl_.get(), piece.data(), int(most)) : ::recv(fd_.get(), piece.data(), most, 0);
      must(got > 0, "the answer broke off");
      bytes -= std::size_t(got);
    }
  }
  // An answer with a body of so many bytes; returns what came in all.
  std::size_t take_answer(std::size_t body) {
    std::string head;
    char byte = 0;
    while (!head.ends_with("\r\n\r\n")) {
      const auto got = ssl_ ? SSL_read(ssl_.get(), &byte, 1) : ::recv(fd_.get(), &byte, 1, 0);
      must(got == 1, "no answer");
      head += byte;
    }
    take(body);
    return head.size() + body;
  }
  SSL* ssl() const { return ssl_.get(); }
  void forget_tls() { ssl_.reset(); }

 private:
  Fd fd_;
  SslPtr ssl_;
};

std::string request(const char* path) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nAccept: application/json\r\n\r\n", path,
                     std::string(54, 'a'));
}

constexpr std::size_t kSmall = 600;

struct Bench {
  std::uint16_t plain = 0, secure = 0;
  SSL_CTX* context = nullptr;

  std::uint16_t port(bool tls) const { return tls ? secure : plain; }
  SSL_CTX* with(bool tls) const { return tls ? context : nullptr; }

  // Microseconds of the server for one.
  double connections(bool tls, bool resumed, int count) const {
    SSL_SESSION* session = nullptr;
    const auto once = [&] {
      Peer peer(port(tls), with(tls), session);
      peer.send(request("/small"));
      peer.take_answer(kSmall);
      if (resumed && session == nullptr) session = SSL_get1_session(peer.ssl());
      if (peer.ssl() != nullptr) SSL_shutdown(peer.ssl());
    };
    once();
    const double before = server_seconds();
    for (int i = 0; i < count; ++i) once();
    if (session != nullptr) SSL_SESSION_free(session);
    return (server_seconds() - before) / count * 1e6;
  }
  struct Rate {
    double micros, per_second;
  };
  Rate requests(bool tls, int count) const {
    Peer peer(port(tls), with(tls));
    const auto words = request("/small");
    peer.send(words);
    const auto size = peer.take_answer(kSmall);
    const double before = server_seconds(), began = seconds(CLOCK_MONOTONIC);
    for (int i = 0; i < count; ++i) {
      peer.send(words);
      peer.take(size);
    }
    return {(server_seconds() - before) / count * 1e6, count / (seconds(CLOCK_MONOTONIC) - began)};
  }
  Rate downloads(bool tls, std::size_t bytes) const {
    Peer peer(port(tls), with(tls));
    const double before = server_seconds(), began = seconds(CLOCK_MONOTONIC);
    peer.send(request("/file"));
    peer.take_answer(bytes);
    const double all = seconds(CLOCK_MONOTONIC) - began;
    return {(server_seconds() - before) / double(bytes) * 1e9, double(bytes) / all / 1e6};
  }
  double idle(bool tls, int count) const {
    std::vector<std::unique_ptr<Peer>> peers;
    std::size_t before = 0;
    for (int i = 0; i < count + 200; ++i) {
      if (i == 200) before = mallinfo2().uordblks;
      peers.push_back(std::make_unique<Peer>(port(tls), with(tls)));
      peers.back()->send(request("/small"));
      peers.back()->take_answer(kSmall);
      peers.back()->forget_tls();  // what is left is the server's
    }
    return double(mallinfo2().uordblks - before) / count;
  }
};

}  // namespace

int main(int argc, char** argv) {
  const bool quick = argc > 1 && std::string_view(argv[1]) == "--quick";
  ::signal(SIGPIPE, SIG_IGN);
  // One arena, so that what is in use is seen as a whole.
  ::mallopt(M_ARENA_MAX, 1);
  TemporaryDirectory directory;
  const Millis now = SystemClock().wall();
  const auto authority = tls::Authority::open(directory.path(), now).value();
  const auto files = authority.server_files({"127.0.0.1"}, now).value();
  const std::size_t file_bytes = quick ? 4 << 20 : 512 << 20;
  replace_file(directory.path() / "file", std::string(file_bytes, 'x'));

  http::Router router;
  router.add(http::Method::get, "/small", [](http::Request&) -> http::awaitable<http::Response> {
    co_return http::text_response(200, "application/json", std::string(kSmall, 's'));
  });
  router.add(http::Method::get, "/file", [&](http::Request&) -> http::awaitable<http::Response> {
    http::Response response;
    http::FileBody file;
    file.fd = std::make_shared<Fd>(::open((directory.path() / "file").c_str(), O_RDONLY | O_CLOEXEC));
    file.length = file_bytes;
    response.file = file;
    co_return response;
  });
  http::Options options;
  options.listen.push_back({"127.0.0.1", 0, true});
  options.tls = std::make_shared<tls::ServerContext>(files, tls::load_server_identity(files, now).value());
  http::Server server(options, std::move(router));
  server.start();
  const auto port_of = [&](std::size_t i) {
    const auto url = server.urls()[i];
    return std::uint16_t(std::stoi(url.substr(url.rfind(':') + 1)));
  };
  ContextPtr context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_load_verify_file(context.get(), authority.certificate_file().c_str());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const Bench bench{port_of(0), port_of(1), context.get()};

  const int connections = quick ? 20 : 500, requests = quick ? 200 : 30'000, idle = quick ? 50 : 2'000;
  fmt::print("{:<46}{:>12}{:>12}{:>9}\n", "", "plain", "TLS 1.3", "ratio");
  const auto row = [](const char* what, double plain, double secure, int digits = 1) {
    fmt::print("{:<46}{:>12.{}f}{:>12.{}f}{:>9.2f}\n", what, plain, digits, secure, digits, secure / plain);
  };
  const double opened = bench.connections(false, false, connections);
  row("a new connection with a request, us", opened, bench.connections(true, false, connections), 0);
  row("the same, resumed by a ticket, us", opened, bench.connections(true, true, connections), 0);
  // In turns, so that a noisy minute falls on both.
  Bench::Rate small[2] = {}, large[2] = {};
  constexpr int kTurns = 3;
  for (int turn = 0; turn < kTurns; ++turn)
    for (const bool tls : {false, true}) {
      const auto s = bench.requests(tls, requests / kTurns);
      const auto l = bench.downloads(tls, file_bytes);
      small[tls].micros += s.micros / kTurns, small[tls].per_second += s.per_second / kTurns;
      large[tls].micros += l.micros / kTurns, large[tls].per_second += l.per_second / kTurns;
    }
  row("a request on a connection that is there, us", small[0].micros, small[1].micros);
  row("such requests a second, one at a time", small[0].per_second, small[1].per_second, 0);
  row("a download, s of the server for a GB", large[0].micros, large[1].micros, 2);
  row("a download, MB/s", large[0].per_second, large[1].per_second, 0);
  const double held = bench.idle(false, idle);
  row("an idle connection, bytes of heap", held, bench.idle(true, idle), 0);
  server.stop(1'000);
  return 0;
}
