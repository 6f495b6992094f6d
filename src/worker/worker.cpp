// SPDX-License-Identifier: Apache-2.0
// The public Worker: settings, the session, and a run that ends with a signal.
#include "geres/worker.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "worker/session.h"

namespace geres::worker {
namespace {

std::atomic<int> signal_fd{-1};

extern "C" void geres_worker_signal(int) {
  const int saved = errno;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(signal_fd, &one, sizeof one);
  errno = saved;
}

// Turns SIGINT and SIGTERM into wake-ups of a thread that may do what a signal handler must not.
class Signals {
 public:
  explicit Signals(std::function<void()> told) : fd_(::eventfd(0, EFD_CLOEXEC)), told_(std::move(told)) {
    signal_fd = fd_.get();
    struct sigaction action {};
    action.sa_handler = &geres_worker_signal;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGINT, &action, &earlier_int_);
    ::sigaction(SIGTERM, &action, &earlier_term_);
    thread_ = std::thread([this] { listen(); });
  }
  ~Signals() {
    ::sigaction(SIGINT, &earlier_int_, nullptr);
    ::sigaction(SIGTERM, &earlier_term_, nullptr);
    ending_ = true;
    geres_worker_signal(0);
    thread_.join();
    signal_fd = -1;
  }

 private:
  void listen() {
    for (;;) {
      std::uint64_t count = 0;
      if (::read(fd_.get(), &count, sizeof count) < 0 && errno == EINTR) continue;
      if (ending_) return;
      told_();
    }
  }
  Fd fd_;
  std::function<void()> told_;
  std::atomic<bool> ending_{false};
  struct sigaction earlier_int_ {
  }, earlier_term_{};
  std::thread thread_;
};

}  // namespace

class Worker::Impl {
 public:
  explicit Impl(Settings from)
      : settings(std::move(from)), name(settings.name), drain(settings.options.drain.count()) {}
  Session& started() const {
    if (!session) throw Error("the worker was not started", "notStarted", "call start() or run() first");
    return *session;
  }
  Settings settings;  // moved into the session when that begins
  const std::string name;
  const Millis drain;
  Handlers handlers;
  std::unique_ptr<Session> session;
  const pid_t made_by = ::getpid();
};

Worker::Worker(Options options) : impl_(std::make_unique<Impl>(settings_of(std::move(options)))) {
  transport::Loop::prepare();
}
Worker::~Worker() {
  // A forked child has no threads to wait for, and the connections are the parent's, so everything is left alone.
  if (impl_ && impl_->made_by != ::getpid()) (void)impl_.release();
}

Worker& Worker::handle(std::string type, Handler handler) {
  check_type(type, impl_->handlers);
  if (!handler) throw Error("the handler for '" + type + "' is empty", "badValue", "a function");
  if (impl_->session) throw Error("the worker runs already", "conflict", "name all handlers before start()");
  impl_->handlers.emplace(std::move(type), std::move(handler));
  return *this;
}

void Worker::start() {
  if (impl_->session) throw Error("the worker runs already", "conflict", "make another one");
  if (impl_->handlers.empty()) throw Error("the worker has no handler", "badValue", "call handle() first");
  impl_->session = std::make_unique<Session>(std::move(impl_->settings), std::move(impl_->handlers));
  impl_->session->start();
}

void Worker::stop() {
  impl_->started().stop(impl_->drain);
}
void Worker::stop(milliseconds drain) {
  impl_->started().stop(drain.count());
}
void Worker::wait() {
  if (impl_->made_by != ::getpid())
    throw std::logic_error("this worker was made before fork(): make another one in the child");
  if (Crew::in_handler()) throw std::logic_error("wait() in a handler would wait for itself: use stop() there");
  impl_->started().wait();
}

void Worker::run_until_signal() {
  start();
  int times = 0;
  const Signals signals([this, &times] { ++times == 1 ? stop() : stop(milliseconds(0)); });
  wait();
}

Stats Worker::stats() const {
  return impl_->session ? impl_->session->stats() : Stats{};
}
const std::string& Worker::name() const {
  return impl_->name;
}

}  // namespace geres::worker
