// SPDX-License-Identifier: Apache-2.0
// A server for tests, on loopback, that answers each connection as the test likes.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "base/file.h"

namespace geres::transport {

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
  ~Listener() { stop(); }
  // Refuses connections from now on.
  void deafen() { ::shutdown(socket_.get(), SHUT_RDWR); }  // new connections are refused
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    socket_.reset();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port) + "/"; }
  int port = 0;
  std::atomic<int> connections{0};

 private:
  void run() {
    while (!stop_) {
      pollfd ready{socket_.get(), POLLIN, 0};
      if (::poll(&ready, 1, 20) != 1) continue;
      const Fd connection(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection) return;
      ++connections;
      serve_(connection.get());
    }
  }
  std::function<void(int)> serve_;
  Fd socket_;
  std::thread thread_;
  std::atomic<bool> stop_{false};
};

inline bool say(int connection, const std::string& text) {
  return ::send(connection, text.data(), text.size(), MSG_NOSIGNAL) == ssize_t(text.size());
}

inline std::string hear(int connection) {
  char buffer[4096];
  const auto n = ::recv(connection, buffer, sizeof buffer, 0);
  return n > 0 ? std::string(buffer, std::size_t(n)) : std::string();
}

// With unread data, closing would reset the connection, and the answer might be lost.
inline void finish(int connection) {
  ::shutdown(connection, SHUT_WR);
  while (!hear(connection).empty()) {
  }
}

}  // namespace geres::transport
