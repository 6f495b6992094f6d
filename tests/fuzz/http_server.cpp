// SPDX-License-Identifier: Apache-2.0
// Whatever bytes a client sends to a real server: it gets whole answers and nothing else, then the end, and the next
// client is served.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>

#include "base/file.h"
#include "http/server.h"
#include "target.h"

using namespace geres;
using fuzz::must;

namespace {

http::Router router() {
  http::Router router;
  router.add(http::Method::get, "/a/{name}", [](http::Request& request) -> http::awaitable<http::Response> {
    co_return http::text_response(200, "text/plain", request.capture("name"));
  });
  router.add(http::Method::post, "/b", [](http::Request& request) -> http::awaitable<http::Response> {
    auto body = co_await request.body.read_all(100);
    co_return http::text_response(body ? 200 : 400, "text/plain", body ? *body : body.error().message);
  });
  router.add(http::Method::get, "/s", [](http::Request&) -> http::awaitable<http::Response> {
    http::Response response;
    response.stream = [](http::StreamWriter& out) -> http::awaitable<void> {
      co_await out.write("one");
      co_await out.write("two");
    };
    co_return response;
  });
  return router;
}

struct Running {
  Running() : server({}, router()) { server.start(); }
  http::Server server;
};

Fd connect_to(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval most{20, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
  must(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "it listens");
  // The next one takes the port over at once: no heap of ports that wait for late packets.
  const linger hard{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  return fd;
}

std::string answer_to(std::uint16_t port, std::string_view bytes) {
  const Fd fd = connect_to(port);
  while (!bytes.empty()) {
    const auto sent = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) break;
    bytes.remove_prefix(std::size_t(sent));
  }
  ::shutdown(fd.get(), SHUT_WR);
  std::string answer;
  char piece[4096];
  ssize_t got = 0;
  while ((got = ::recv(fd.get(), piece, sizeof piece, 0)) > 0 || (got < 0 && errno == EINTR))  // libFuzzer's alarm
    answer.append(piece, std::size_t(std::max<ssize_t>(got, 0)));
  must(got == 0, "the connection ends properly, and in time", got < 0 ? std::strerror(errno) : "");
  return answer;
}

bool has(std::string_view head, std::string_view line) {
  return head.find(line) != std::string_view::npos;
}

void take(std::string_view& bytes, std::size_t length) {
  must(bytes.size() >= length, "an answer has its whole body", bytes);
  bytes.remove_prefix(length);
}

// Takes one answer off the front.
void take_answer(std::string_view& bytes) {
  must(bytes.starts_with("HTTP/1.1 "), "an answer begins as one", bytes);
  const auto end = bytes.find("\r\n\r\n");
  must(end != std::string_view::npos, "an answer has a whole head", bytes);
  const auto head = bytes.substr(0, end + 2);
  bytes.remove_prefix(end + 4);
  if (head.starts_with("HTTP/1.1 100 ")) return;
  const auto at = head.find("\r\nContent-Length: ");
  if (at != std::string_view::npos) {
    std::size_t length = 0;
    std::from_chars(head.data() + at + 18, head.data() + head.size(), length);
    take(bytes, length);
  } else if (has(head, "\r\nTransfer-Encoding: chunked\r\n")) {
    const std::string_view stream = "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n";
    must(bytes.starts_with(stream), "a stream is whole", bytes);
    take(bytes, stream.size());
  } else if (!head.starts_with("HTTP/1.1 204 ")) {
    must(bytes == "onetwo", "only a stream ends with the connection", bytes);
    bytes = {};
  }
  if (has(head, "\r\nConnection: close\r\n")) must(bytes.empty(), "nothing follows the last answer", bytes);
}

}  // namespace

GERES_FUZZ_TARGET(http_server) {
  static Running running;
  if (bytes.size() > 30'000) return;
  const auto port = running.server.port();
  const std::string answer = answer_to(port, bytes);
  // The answers to HEAD have the lengths of bodies that do not come.
  const bool whole = bytes.find("HEAD") == std::string_view::npos;
  for (std::string_view rest = answer; whole && !rest.empty();) take_answer(rest);
  must(answer_to(port, "GET /a/b HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("\r\n\r\nb"), "the next one is served");
}
