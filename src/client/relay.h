// SPDX-License-Identifier: Apache-2.0
// For tests: an address that stays while hubs behind it come and go. Forwards each connection to the current hub, and
// breaks connections on demand.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace geres::client {

class Relay {
 public:
  enum Door { kOpen, kClosed };  // closed: connections are refused until open()

  explicit Relay(Door door = kOpen) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto at = address(0);
    socklen_t size = sizeof at;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), size) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
      throw std::runtime_error("the relay has no address");
    port_ = ntohs(at.sin_port);
    if (door == kOpen) open();
  }
  void open() {
    if (::listen(listener_, 128) != 0) throw std::runtime_error("the relay cannot listen");
    acceptor_ = std::thread([this] { accept(); });
  }
  ~Relay() {
    ending_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    if (acceptor_.joinable()) acceptor_.join();
    cut();
    for (auto& pump : pumps_) pump.join();
    ::close(listener_);
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  // "http://127.0.0.1:8080"; empty: connections are closed at once.
  void lead_to(const std::string& url) { target_ = url.empty() ? 0 : std::stoi(url.substr(url.rfind(':') + 1)); }
  // Ends all current connections.
  void cut() {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  int accepted() const { return accepted_; }
  // Drops answers and closes their connections: the hub has acted, but nobody hears of it.
  void swallow_answers(int count) { swallow_ = count; }
  int swallowed() const { return swallowed_; }
  // Current connections stay open, but nothing passes through them any more.
  void freeze() { frozen_ = int(accepted_); }
  // Behaves like a proxy that allows no long poll: the hub is not told that it may wait.
  void make_hasty() { hasty_ = true; }
  int asked() const { return asked_; }  // number of requests, roughly

 private:
  static sockaddr_in address(int port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(std::uint16_t(port));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
  }

  void accept() {
    while (!ending_) {
      const int from = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (from < 0) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        return;
      }
      const int number = ++accepted_;
      const std::lock_guard lock(mutex_);
      open_.insert(from);
      pumps_.emplace_back([this, from, number] { serve(from, number); });
    }
  }

  void serve(int from, int number) {
    const int to = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto at = address(target_);
    const bool there = target_ != 0 && ::connect(to, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
    {
      const std::lock_guard lock(mutex_);
      open_.insert(to);
    }
    while (there && pump(from, to, number)) {
    }
    const std::lock_guard lock(mutex_);
    for (const int fd : {from, to}) open_.erase(fd), ::close(fd);
  }

  static void leave_out(std::string& text, const std::string& what, const std::string& until) {
    const auto at = text.find(what);
    if (at == std::string::npos) return;
    text.erase(at, text.find_first_of(until, at + what.size()) - at);
  }

  bool pump(int from, int to, int number) {
    pollfd both[] = {{from, POLLIN, 0}, {to, POLLIN, 0}};
    if (::poll(both, 2, -1) < 0) return errno == EINTR;
    char bytes[16 * 1024];
    for (int i = 0; i < 2; ++i) {
      if (both[i].revents == 0) continue;
      const auto got = ::recv(both[i].fd, bytes, sizeof bytes, 0);
      if (got <= 0) return false;
      if (i == 1 && swallow_ > 0 && swallow_-- > 0) {
        ++swallowed_;
        return false;
      }
      if (number <= frozen_) continue;
      std::string text(bytes, std::size_t(got));
      if (i == 0) ++asked_;
      if (i == 0 && hasty_) {
        leave_out(text, "wait=", "& ");
        leave_out(text, "&follow=true", "& ");
      }
      for (std::size_t sent = 0; sent < text.size();) {
        const auto n = ::send(both[1 - i].fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return false;
        sent += std::size_t(n);
      }
    }
    return true;
  }

  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> target_ = 0;
  std::atomic<bool> ending_ = false;
  std::atomic<int> accepted_ = 0;
  std::atomic<int> frozen_ = 0;
  std::atomic<bool> hasty_ = false;
  std::atomic<int> asked_ = 0;
  std::atomic<int> swallow_ = 0;
  std::atomic<int> swallowed_ = 0;
  std::mutex mutex_;
  std::set<int> open_;
  std::vector<std::thread> pumps_;
  std::thread acceptor_;
};

}  // namespace geres::client
