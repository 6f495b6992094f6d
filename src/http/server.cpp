// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/log.h"
#include "http/loop.h"
#include "http/session.h"
#include "tls/server_context.h"

namespace geres::http {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr Millis kAcceptPause = 100;       // after descriptors have run out
constexpr Millis kTellAgain = 10'000;      // between two log lines about that
constexpr int kUnsentMax = 256 * 1024;     // that the kernel holds of an answer which its client does not take
constexpr std::size_t kLookForIdle = 256;  // connections searched for an idle one that can be closed for a new one
constexpr int kAcceptsInTurn = 64;         // then other connections have their turn
constexpr std::size_t kRefusalsMax = 256;  // connections over the limit that get a 503, at a time; others are closed

// Counts connections over all loops, and lets stop() wait until there are none.
class Census {
 public:
  std::size_t add() { return ++count_; }
  std::size_t count() const { return count_; }
  void remove() {
    if (--count_ > 0) return;
    const std::lock_guard lock(mutex_);
    none_.notify_all();
  }
  bool wait_for_none(Millis patience) {
    std::unique_lock lock(mutex_);
    const auto none = [this] { return count_ == 0; };
    if (patience == kForever) return none_.wait(lock, none), true;
    return none_.wait_for(lock, std::chrono::milliseconds(std::min<Millis>(patience, 86'400'000)), none);
  }

 private:
  std::atomic<std::size_t> count_ = 0;
  std::mutex mutex_;
  std::condition_variable none_;
};

// A thread with its connections.
class ServerLoop final : public Loop {
 public:
  ServerLoop(const Options& options, const Router& router, Census& census)
      : options_(options), router_(router), census_(census) {}

  void start() {
    thread_ = std::thread([this] { run(); });
  }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  asio::io_context& context() { return context_; }

  template <class F>
  void post(F work) {
    asio::post(context_, std::move(work));
  }

  // The rest runs on the loop's thread.
  void serve(int fd, bool ipv6, std::string peer, bool tls, bool refuse) {
    tcp::socket socket(context_);
    boost::system::error_code error;
    socket.assign(ipv6 ? tcp::v6() : tcp::v4(), fd, error);
    if (error) {
      ::close(fd);
      return census_.remove();
    }
    auto context = tls ? options_.tls->current() : nullptr;
    auto session = std::make_shared<Session>(std::move(socket), std::move(context), std::move(peer), options_, router_);
    if (refuse && end_an_idle_one()) refuse = false;
    const auto place = sessions_.insert(sessions_.end(), session.get());
    if (finishing_) session->finish();
    asio::co_spawn(context_, refuse ? Session::refuse(session) : Session::run(session),
                   [this, session, place](std::exception_ptr) {
                     sessions_.erase(place);
                     census_.remove();
                   });
    if (sessions_.size() == 1) sweep_.begin();
  }
  void finish() {
    finishing_ = true;
    for_each([](Session& session) { session.finish(); });
  }
  void break_off() {
    finish();
    end_waits();
    for_each([](Session& session) { session.break_off(); });
  }
  void end() { context_.stop(); }

 private:
  // The oldest come first. Busy ones are moved to the end, so that each search continues where the last one stopped.
  bool end_an_idle_one() {
    for (std::size_t looked = std::min(sessions_.size(), kLookForIdle); looked > 0; --looked) {
      const auto session = std::static_pointer_cast<Session>(sessions_.front()->shared_from_this());
      sessions_.splice(sessions_.end(), sessions_, sessions_.begin());
      if (!session->idle()) continue;
      session->finish();
      return true;
    }
    return false;
  }

  // Looks at the connections' deadlines a few times a second, which is cheaper than a timer set anew for every request.
  class Sweep final : public Timed {
   public:
    explicit Sweep(ServerLoop& loop) : loop_(loop) {
      const Options& o = loop.options_;
      const Millis shortest = std::min(
          {o.header_time_max, o.idle_time_max, o.body_stall_max, o.write_stall_max, o.linger_time_max, Millis{2'000}});
      period_ = std::max<Millis>(shortest / 8, 5);
    }
    void begin() {
      if (!running_) loop_.call_at(Loop::now() + period_, *this);
      running_ = true;
    }

   private:
    void expire() override {
      running_ = !loop_.sessions_.empty();
      if (!running_) return;
      loop_.call_at(Loop::now() + period_, *this);
      loop_.end_overdue();
    }
    ServerLoop& loop_;
    Millis period_;
    bool running_ = false;
  };

  void run() {
    become_current();
    // Without this, sendfile() to a client that has gone would end the whole process.
    sigset_t pipe{};
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    context_.run();
    end_waits();
  }

  // `call` may end sessions, its own or others.
  template <class F>
  void for_each(F call, Millis overdue_at = -1) {
    std::vector<std::shared_ptr<Session>> chosen;
    for (Session* session : sessions_)
      if (overdue_at < 0 || session->overdue(overdue_at))
        chosen.push_back(std::static_pointer_cast<Session>(session->shared_from_this()));
    for (const auto& session : chosen) call(*session);
  }
  void end_overdue() {
    const Millis now = Loop::now();
    for_each(
        [now](Session& session) {
          if (session.overdue(now)) session.expire();
        },
        now);
  }

  void wake_for_letters() override {
    asio::post(context_, [this] { deliver_letters(); });
  }
  void wake_for_timers(Millis at) override {
    timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::milliseconds(at)));
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) run_timers();
    });
  }

  const Options& options_;
  const Router& router_;
  Census& census_;
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(context_);
  asio::steady_timer timer_{context_};
  std::list<Session*> sessions_;
  Sweep sweep_{*this};
  bool finishing_ = false;
  std::thread thread_;
};

// Accepts clients and deals them out to the loops in turn. On the first loop's thread.
class Acceptor final : private Timed {
 public:
  Acceptor(const ListenAt& at, const Options& options, std::vector<std::unique_ptr<ServerLoop>>& loops, Census& census)
      : options_(options), tls_(at.tls), loops_(loops), census_(census), socket_(loops[0]->context()) {
    const tcp::endpoint endpoint(asio::ip::make_address(at.address), at.port);
    socket_.open(endpoint.protocol());
    socket_.set_option(tcp::acceptor::reuse_address(true));
    socket_.bind(endpoint);
    socket_.listen(SOMAXCONN);
    socket_.native_non_blocking(true);
  }
  std::uint16_t port() const { return socket_.local_endpoint().port(); }

  void begin() {
    if (!socket_.is_open()) return;
    socket_.async_wait(tcp::acceptor::wait_read, [this](const boost::system::error_code& error) {
      if (!error && accept_waiting()) begin();
    });
  }
  void close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
    loops_[0]->forget(*this);
  }

 private:
  // False: not before the pause is over.
  bool accept_waiting() {
    for (int i = 0; i < kAcceptsInTurn; ++i) {
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      const int fd = ::accept4(socket_.native_handle(), reinterpret_cast<sockaddr*>(&address), &size,
                               SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0) {
        take_in(fd, address);
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        tell_of(errno);
        loops_[0]->call_at(Loop::now() + kAcceptPause, *this);
        return false;
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return true;
      }
    }
    return true;
  }
  void expire() override { begin(); }

  void tell_of(int error) {
    const Millis now = Loop::now();
    if (now < tell_at_) return;
    tell_at_ = now + kTellAgain;
    log::warn("http: clients have to wait: {}", std::generic_category().message(error));
  }

  void take_in(int fd, const sockaddr_storage& address) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &kUnsentMax, sizeof kUnsentMax);
    const std::size_t number = census_.add();
    if (number > options_.connections_max + kRefusalsMax) {
      ::close(fd);
      return census_.remove();
    }
    const bool refuse = number > options_.connections_max;
    const bool ipv6 = address.ss_family == AF_INET6;
    ServerLoop& loop = *loops_[next_++ % loops_.size()];
    if (&loop == loops_[0].get()) return loop.serve(fd, ipv6, peer_name(address), tls_, refuse);
    loop.post(
        [&loop, fd, ipv6, peer = peer_name(address), tls = tls_, refuse] { loop.serve(fd, ipv6, peer, tls, refuse); });
  }

  static std::string peer_name(const sockaddr_storage& address) {
    char text[INET6_ADDRSTRLEN] = "";
    if (address.ss_family == AF_INET6) {
      const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
      ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
      return "[" + std::string(text) + "]:" + std::to_string(ntohs(v6.sin6_port));
    }
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
  }

  const Options& options_;
  const bool tls_;
  std::vector<std::unique_ptr<ServerLoop>>& loops_;
  Census& census_;
  tcp::acceptor socket_;
  std::size_t next_ = 0;
  Millis tell_at_ = 0;
};

}  // namespace

class Server::Impl {
 public:
  Impl(Options options, Router router) : options_(std::move(options)), router_(std::move(router)) {}

  void start() {
    const std::lock_guard lock(mutex_);
    if (!loops_.empty()) return;
    for (unsigned i = 0; i < std::max(options_.threads, 1u); ++i)
      loops_.push_back(std::make_unique<ServerLoop>(options_, router_, census_));
    std::vector<std::string> urls;
    for (const auto& at : options_.listen) {
      try {
        acceptors_.push_back(std::make_unique<Acceptor>(at, options_, loops_, census_));
      } catch (const boost::system::system_error& error) {
        acceptors_.clear();
        loops_.clear();
        throw CannotListen(std::error_code(error.code()),
                           "cannot listen on " + at.address + " port " + std::to_string(at.port));
      }
      urls.push_back(url_of(at, acceptors_.back()->port()));
    }
    port_ = acceptors_.front()->port();
    {
      const std::lock_guard urls_lock(urls_mutex_);
      urls_ = std::move(urls);
    }
    for (auto& loop : loops_) loop->start();
    loops_[0]->post([this] {
      for (auto& acceptor : acceptors_) acceptor->begin();
    });
  }

  void stop(Millis deadline) {
    const std::lock_guard lock(mutex_);
    if (loops_.empty()) return;
    loops_[0]->post([this] {
      for (auto& acceptor : acceptors_) acceptor->close();
    });
    for (auto& loop : loops_) loop->post([&loop] { loop->finish(); });
    if (!census_.wait_for_none(deadline)) {
      for (auto& loop : loops_) loop->post([&loop] { loop->break_off(); });
      census_.wait_for_none(kForever);
    }
    for (auto& loop : loops_) loop->post([&loop] { loop->end(); });
    for (auto& loop : loops_) loop->join();
    acceptors_.clear();
    loops_.clear();
  }

  const Options options_;
  const Router router_;
  std::atomic<std::uint16_t> port_ = 0;
  Census census_;
  std::vector<std::string> urls() const {
    const std::lock_guard lock(urls_mutex_);
    return urls_;
  }

 private:
  static std::string url_of(const ListenAt& at, std::uint16_t port) {
    const bool ipv6 = at.address.find(':') != std::string::npos;
    return (at.tls ? "https://" : "http://") + (ipv6 ? "[" + at.address + "]" : at.address) + ":" +
           std::to_string(port);
  }

  std::mutex mutex_;  // start and stop
  mutable std::mutex urls_mutex_;
  std::vector<std::string> urls_;
  std::vector<std::unique_ptr<ServerLoop>> loops_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
};

Server::Server(Options options, Router router) : impl_(std::make_unique<Impl>(std::move(options), std::move(router))) {}

Server::~Server() {
  stop(0);
}

void Server::start() {
  impl_->start();
}

void Server::stop(Millis deadline) {
  impl_->stop(deadline);
}

std::uint16_t Server::port() const {
  return impl_->port_;
}

std::vector<std::string> Server::urls() const {
  return impl_->urls();
}

std::size_t Server::connections() const {
  return impl_->census_.count();
}

}  // namespace geres::http
