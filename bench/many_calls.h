// SPDX-License-Identifier: Apache-2.0
// One thread that makes calls over tens of thousands of HTTP/1.1 connections, with timers beside them: what plays a
// whole fleet of hosts must cost less than the hub that it measures.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "whole_hub.h"

namespace geres::bench {

constexpr std::int64_t kMs = 1'000'000, kSecond = 1'000'000'000;

// As many as the machine lets this process, and the hub that it starts, have.
inline std::int64_t raise_descriptors(rlim_t wanted) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const rlimit more{std::max(files.rlim_cur, wanted), std::max(files.rlim_max, wanted)};
  if (::setrlimit(RLIMIT_NOFILE, &more) != 0) {  // only root may have more than the hard limit
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  ::getrlimit(RLIMIT_NOFILE, &files);
  return std::int64_t(files.rlim_cur);
}

class Calls {
 public:
  // `status` 0: the connection broke, or there was none.
  using Done = std::function<void(int status, std::string_view body)>;

  // One keep-alive connection, made when it is first used, with one call at a time. It outlives the calls made on it.
  class Line {
   public:
    Line() = default;
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;
    ~Line() { close(); }
    bool busy() const { return busy_; }
    bool open() const { return fd_ >= 0; }
    void from(std::uint32_t address) { from_ = address; }  // one address has too few ports for a large fleet
    // Also drops the call under way; its Done is not called.
    void close() {
      if (fd_ >= 0) ::close(fd_);
      fd_ = -1;
      busy_ = connecting_ = false;
      done_ = nullptr;
      in_.clear();
    }

   private:
    friend class Calls;
    int fd_ = -1;
    std::uint32_t from_ = INADDR_LOOPBACK;
    bool busy_ = false, connecting_ = false, wants_room_ = false;
    std::string out_, in_;
    std::size_t sent_ = 0;
    Done done_;
  };

  Calls() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), ready_(4'096) {}
  void to(std::uint16_t port) { port_ = port; }
  std::int64_t made() const { return made_; }
  std::int64_t broken() const { return broken_; }
  const std::map<std::string, std::int64_t>& reasons() const { return reasons_; }  // of those that broke

  void call(Line& line, std::string_view path, std::string_view token, std::string_view body, Done done,
            std::string_view more_headers = {}, std::string_view method = "POST") {
    ++made_;
    line.busy_ = true;
    line.done_ = std::move(done);
    line.sent_ = 0;
    line.out_.clear();
    line.out_.append(method).append(" ").append(path).append(" HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ");
    line.out_.append(token).append("\r\n").append(more_headers);
    line.out_.append("Content-Type: application/json\r\nContent-Length: ").append(std::to_string(body.size()));
    line.out_.append("\r\n\r\n").append(body);
    if (line.fd_ < 0 && !open(line)) return fail_later(line, std::strerror(errno));
    if (!line.connecting_) write(line);
  }

  void after(std::int64_t ns, std::function<void()> then) { timers_.emplace(now_ns() + ns, std::move(then)); }

  // Does what there is to do, and waits for it for up to 10 ms.
  void turn() {
    std::int64_t wait = 10 * kMs;
    if (!timers_.empty()) wait = std::clamp<std::int64_t>(timers_.begin()->first - now_ns(), 0, wait);
    const int n = ::epoll_wait(epoll_.get(), ready_.data(), int(ready_.size()), int((wait + kMs - 1) / kMs));
    for (int i = 0; i < n; ++i) {
      auto& line = *static_cast<Line*>(ready_[std::size_t(i)].data.ptr);
      if (line.fd_ < 0) continue;  // closed in this turn
      if ((ready_[std::size_t(i)].events & EPOLLOUT) != 0) writable(line);
      if (line.fd_ >= 0 && (ready_[std::size_t(i)].events & ~EPOLLOUT) != 0) readable(line);
    }
    for (const auto now = now_ns(); !timers_.empty() && timers_.begin()->first <= now;)
      timers_.extract(timers_.begin()).mapped()();
  }
  template <class Fact>
  bool until(Fact fact, double seconds) {
    for (const auto end = now_ns() + std::int64_t(seconds * 1e9); now_ns() < end; turn())
      if (fact()) return true;
    return fact();
  }
  void run(double seconds) {
    until([] { return false; }, seconds);
  }

 private:
  bool open(Line& line) {
    line.fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (line.fd_ < 0) return false;
    const int on = 1;
    ::setsockopt(line.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(line.fd_, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    sockaddr_in own{}, hub{};
    own.sin_family = hub.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(line.from_);
    hub.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    hub.sin_port = htons(port_);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
    event.data.ptr = &line;
    if (::bind(line.fd_, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0 ||
        (::connect(line.fd_, reinterpret_cast<sockaddr*>(&hub), sizeof hub) != 0 && errno != EINPROGRESS) ||
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, line.fd_, &event) != 0)
      return false;
    line.connecting_ = line.wants_room_ = true;
    return true;
  }
  void want_room(Line& line, bool wanted) {
    if (line.wants_room_ == wanted) return;
    line.wants_room_ = wanted;
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP | (wanted ? std::uint32_t(EPOLLOUT) : 0U);
    event.data.ptr = &line;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, line.fd_, &event);
  }
  // What the call came from may be on the stack, so its end comes by a timer.
  void fail_later(Line& line, std::string why) {
    after(0, [this, &line, why = std::move(why)] { fail(line, why); });
  }
  void fail(Line& line, const std::string& why) {
    const bool was_busy = line.busy_;
    auto done = std::exchange(line.done_, nullptr);
    line.close();
    if (!was_busy) return;
    ++broken_;
    ++reasons_[why];
    if (done) done(0, {});
  }
  void writable(Line& line) {
    if (line.connecting_) {
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(line.fd_, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) return fail(line, std::strerror(error));
      line.connecting_ = false;
    }
    write(line);
  }
  void write(Line& line) {
    while (line.sent_ < line.out_.size()) {
      const auto put = ::send(line.fd_, line.out_.data() + line.sent_, line.out_.size() - line.sent_, MSG_NOSIGNAL);
      if (put < 0 && errno == EAGAIN) return want_room(line, true);
      if (put < 0) return fail_later(line, std::strerror(errno));
      line.sent_ += std::size_t(put);
    }
    want_room(line, false);
  }
  void readable(Line& line) {
    char piece[65'536];
    const auto got = ::recv(line.fd_, piece, sizeof piece, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return fail(line, got == 0 ? "closed by the hub" : std::strerror(errno));
    line.in_.append(piece, std::size_t(got));
    const auto head = line.in_.find("\r\n\r\n");
    if (head == std::string::npos) return;
    const auto length_at = line.in_.find("Content-Length: ");
    if (length_at > head) return fail(line, "an answer without length");
    const auto length = std::size_t(std::atoll(line.in_.c_str() + length_at + 16));
    if (line.in_.size() < head + 4 + length) return;
    const int status = std::atoi(line.in_.c_str() + 9);
    const bool last = line.in_.find("Connection: close") < head;
    const std::string answer = std::exchange(line.in_, {});
    const auto done = std::exchange(line.done_, nullptr);
    line.busy_ = false;
    if (last) line.close();
    if (done) done(status, std::string_view(answer).substr(head + 4, length));
  }

  Fd epoll_;
  std::vector<epoll_event> ready_;
  std::multimap<std::int64_t, std::function<void()>> timers_;
  std::uint16_t port_ = 0;
  std::int64_t made_ = 0, broken_ = 0;
  std::map<std::string, std::int64_t> reasons_;
};

// Calls that share a few lines and wait for one of them.
class Pool {
 public:
  Pool(Calls& calls, std::size_t lines) : calls_(calls), lines_(lines) {}
  std::size_t waiting() const { return waiting_.size(); }
  std::int64_t open() const {
    return std::count_if(lines_.begin(), lines_.end(), [](const auto& line) { return line.open(); });
  }
  void call(std::string path, std::string token, std::string body, Calls::Done done, std::string more_headers = {},
            std::string method = "POST") {
    waiting_.push_back({std::move(path), std::move(token), std::move(body), std::move(more_headers), std::move(method),
                        std::move(done)});
    next();
  }

 private:
  struct Waiting {
    std::string path, token, body, more_headers, method;
    Calls::Done done;
  };
  void next() {
    for (auto& line : lines_) {
      if (waiting_.empty()) return;
      if (line.busy()) continue;
      const Waiting call = std::move(waiting_.front());
      waiting_.pop_front();
      calls_.call(
          line, call.path, call.token, call.body,
          [this, done = call.done](int status, std::string_view body) {
            done(status, body);
            next();
          },
          call.more_headers, call.method);
    }
  }
  Calls& calls_;
  std::vector<Calls::Line> lines_;
  std::deque<Waiting> waiting_;
};

}  // namespace geres::bench
