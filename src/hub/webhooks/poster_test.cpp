// SPDX-License-Identifier: Apache-2.0
// Calls to a real listener on loopback: what is refused never reaches it, and no answer holds a call for ever.
#include "hub/webhooks/poster.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <optional>
#include <thread>

#include "base/file.h"

namespace geres::hub::webhooks {
namespace {

// Takes one connection at a time and hands it to `serve`.
class Listener {
 public:
  explicit Listener(std::function<void(int)> serve) : serve_(std::move(serve)) {
    socket_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(socket_.get(), 16), 0);
    EXPECT_EQ(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Listener() {
    stop_ = true;
    thread_.join();
  }
  int port = 0;
  std::atomic<int> connections{0};

 private:
  void run() {
    while (!stop_) {
      pollfd ready{socket_.get(), POLLIN, 0};
      if (::poll(&ready, 1, 20) != 1) continue;
      const Fd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      ++connections;
      serve_(connection.get());
    }
  }
  std::function<void(int)> serve_;
  Fd socket_;
  std::thread thread_;
  std::atomic<bool> stop_{false};
};

bool say(int connection, const std::string& text) {
  return ::send(connection, text.data(), text.size(), MSG_NOSIGNAL) == ssize_t(text.size());
}

std::string hear(int connection) {
  char buffer[4096];
  const auto n = ::recv(connection, buffer, sizeof buffer, 0);
  return n > 0 ? std::string(buffer, std::size_t(n)) : std::string();
}

// Closed with something unread, a connection would be reset, and what was said might be lost.
void finish(int connection) {
  ::shutdown(connection, SHUT_WR);
  while (!hear(connection).empty()) {
  }
}

Posted post(const AddressRules& rules, const std::string& url, const std::string& host, Poster::Options options = {}) {
  Poster poster(rules, options);
  std::optional<Posted> answer;
  Post post;
  post.url = url;
  post.host = host;
  post.headers = {{"webhook-id", "one"}};
  post.body = "{}";
  poster.post(std::move(post), [&](Posted posted) { answer = std::move(posted); });
  while (!answer) poster.turn(100);
  return *answer;
}

std::string at(const Listener& listener) {
  return "http://127.0.0.1:" + std::to_string(listener.port) + "/";
}

TEST(Poster, ConnectsToNothingThatIsRefusedWhateverItWasAskedBefore) {
  Listener listener([](int) {});
  const auto posted = post(AddressRules(), at(listener), "example.com");
  EXPECT_FALSE(posted.arrived());
  EXPECT_EQ(posted.status, 0);
  EXPECT_NE(posted.error.find("loopback"), std::string::npos) << posted.error;
  EXPECT_EQ(listener.connections, 0);
}

TEST(Poster, TakesNoProxyFromTheEnvironment) {
  Listener proxy([](int connection) { say(connection, "HTTP/1.1 204 No Content\r\n\r\n"); });
  Listener listener([](int connection) {
    EXPECT_TRUE(hear(connection).starts_with("POST / HTTP/1.1\r\n"));
    say(connection, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    finish(connection);
  });
  ::setenv("http_proxy", at(proxy).c_str(), 1);
  ::setenv("all_proxy", at(proxy).c_str(), 1);
  const auto rules = AddressRules::allowing({"127.0.0.1"}).value();
  const auto posted = post(rules, at(listener), "127.0.0.1");
  ::unsetenv("http_proxy");
  ::unsetenv("all_proxy");
  EXPECT_TRUE(posted.arrived()) << posted.error;
  EXPECT_EQ(posted.status, 200);
  EXPECT_EQ(proxy.connections, 0);
}

TEST(Poster, AnAnswerWithoutEndIsCutAndOneThatDoesNotComeIsATimeout) {
  const auto rules = AddressRules::allowing({"127.0.0.1"}).value();
  Listener endless([](int connection) {
    hear(connection);
    say(connection, "HTTP/1.1 200 OK\r\n\r\n");
    while (say(connection, std::string(4096, 'x'))) {
    }
  });
  EXPECT_TRUE(post(rules, at(endless), "127.0.0.1").arrived());
  Listener headers([](int connection) {
    hear(connection);
    say(connection, "HTTP/1.1 500 No\r\n");
    while (say(connection, "X-More: " + std::string(4096, 'x') + "\r\n")) {
    }
  });
  EXPECT_FALSE(post(rules, at(headers), "127.0.0.1").arrived());
  Listener silent([](int connection) { hear(connection), hear(connection); });
  Poster::Options hasty;
  hasty.answer_time_max = 50;
  const auto posted = post(rules, at(silent), "127.0.0.1", hasty);
  EXPECT_EQ(posted.status, 0);
  EXPECT_NE(posted.error.find("no answer within"), std::string::npos) << posted.error;
}

}  // namespace
}  // namespace geres::hub::webhooks
