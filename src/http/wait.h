// SPDX-License-Identifier: Apache-2.0
// How a handler waits for another thread's answer without holding a thread: promises, bells, sleeps and blocking work.
// All of these end early when the request is cancelled (client gone, server stopping). Needs only awaitable.hpp of
// Asio.
//
//   http::Promise<Answer> promise;
//   auto future = promise.future();
//   engine.submit(command, [promise](Answer answer) { promise.set(std::move(answer)); });   // any thread
//   auto answer = co_await future.get(request.cancellation, 20'000);
//   if (!answer) …                                          // answer.error() is a WaitEnd
//
// Either side may go first. set() after the request has died does nothing; a promise that is dropped (with all its
// copies) without set() ends the wait as `broken`. Many set() calls between two turns of the waiting thread cost one
// wake.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/system/result.hpp>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "base/clock.h"
#include "base/worker_pool.h"

namespace geres::http {

template <class T>
using awaitable = boost::asio::awaitable<T>;

constexpr Millis kForever = std::numeric_limits<Millis>::max();

enum class WaitEnd { ready, timedOut, cancelled, broken };

// Thrown by a wait that begins or continues after the server's stop deadline; unwinds the handler.
struct ServerStopped : std::runtime_error {
  ServerStopped() : std::runtime_error("the server has stopped") {}
};

class Mailbox;
struct Wait;
struct WaitLink;

// Ends the waits of one request early. Lives on the request's own thread.
class Cancellation {
 public:
  enum class Why { none, clientGone, stopping };
  Cancellation() = default;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;
  virtual ~Cancellation();
  bool cancelled() const { return why_ != Why::none; }
  Why why() const { return why_; }
  void cancel(Why why);  // ends all its waits; later ones end at once
  void reset();          // for the next request

 protected:
  virtual void begin_watching() {}  // a wait is about to suspend: time to watch whether the client is still there

 private:
  friend class WaitCore;
  Why why_ = Why::none;
  WaitLink* waits_ = nullptr;
};

// The base of Promise, Bell and sleeps. signal() from any thread; wait() on a server's thread, one wait at a time.
class WaitCore : public std::enable_shared_from_this<WaitCore> {
 public:
  void signal();
  // Ends only with the signal, whatever else happens.
  static awaitable<WaitEnd> wait_for_sure(std::shared_ptr<WaitCore> core);
  static awaitable<WaitEnd> wait(std::shared_ptr<WaitCore> core, Millis timeout, Cancellation* cancellation);
  virtual ~WaitCore() = default;
  bool signalled() const { return state_.load(std::memory_order_acquire) == kSignalled; }
  void rearm() { state_.exchange(kIdle); }  // on the waiting thread, between waits

 private:
  friend class Loop;
  friend class Mailbox;
  friend struct Wait;
  static constexpr int kIdle = 0, kWaiting = 1, kSignalled = 2;
  void deliver();  // on the waiting thread
  std::atomic<int> state_ = kIdle;
  Wait* waiter_ = nullptr;            // touched by the waiting thread only
  std::shared_ptr<Mailbox> mailbox_;  // written before kWaiting
  std::shared_ptr<WaitCore> itself_;  // this and older_ are set while it is in the mailbox
  WaitCore* older_ = nullptr;
};

namespace detail {
template <class T>
struct PromiseState final : WaitCore {
  std::atomic<int> promises = 0;
  std::atomic<bool> taken = false;
  std::optional<T> value;
};
}  // namespace detail

template <class T>
class Future {
 public:
  using Answer = boost::system::result<T, WaitEnd>;
  explicit Future(std::shared_ptr<detail::PromiseState<T>> state) : state_(std::move(state)) {}

  // Call it once. Without a Cancellation it waits for the answer even if the client has gone.
  awaitable<Answer> get(Millis timeout = kForever) { return take(state_, timeout, nullptr); }
  awaitable<Answer> get(Cancellation& cancellation, Millis timeout = kForever) {
    return take(state_, timeout, &cancellation);
  }
  bool ready() const { return state_->signalled(); }

 private:
  static awaitable<Answer> take(std::shared_ptr<detail::PromiseState<T>> state, Millis timeout, Cancellation* cancel) {
    if (!state->signalled()) {
      const WaitEnd end = co_await WaitCore::wait(state, timeout, cancel);
      if (end != WaitEnd::ready) co_return end;
    }
    if (!state->value) co_return WaitEnd::broken;
    co_return std::move(*state->value);
  }
  std::shared_ptr<detail::PromiseState<T>> state_;
};

// Copies share one answer; the first set() wins.
template <class T>
class Promise {
 public:
  Promise() : state_(std::make_shared<detail::PromiseState<T>>()) { ++state_->promises; }
  Promise(const Promise& other) : state_(other.state_) {
    if (state_) ++state_->promises;
  }
  Promise(Promise&& other) noexcept : state_(std::move(other.state_)) {}
  Promise& operator=(Promise other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Promise() {
    if (state_ && --state_->promises == 0 && !state_->taken.exchange(true)) state_->signal();
  }
  Future<T> future() const { return Future<T>(state_); }
  void set(T value) const {
    if (state_->taken.exchange(true)) return;
    state_->value.emplace(std::move(value));
    state_->signal();
  }

 private:
  std::shared_ptr<detail::PromiseState<T>> state_;
};

// Anybody with a copy may ring it, any number of times, from any thread; one coroutine waits for it, again and again.
// Rings while nobody waits count as one. A ring only says that something may have changed, so look after each wait.
class Bell {
 public:
  Bell();
  void ring() const;
  awaitable<WaitEnd> wait(Cancellation& cancellation, Millis timeout = kForever) const;

 private:
  std::shared_ptr<WaitCore> core_;
};

// True: the time is up. False: cancelled before that.
awaitable<bool> sleep_for(Millis duration, Cancellation& cancellation);

// Runs `work` on the pool and returns what it returns, or rethrows. It always waits for the end, so `work` may refer to
// the caller's variables; the pool must outlive the server. Name the lambda first: g++ 12 destroys a capturing lambda
// twice if it is written inside the co_await expression.
template <class F>
auto run_on(WorkerPool& pool, F work) -> awaitable<std::invoke_result_t<F&>>;

// ---- how run_on is done ---------------------------------------------------------------------------------------------

namespace detail {
template <class T>
struct WorkState final : WaitCore {
  std::optional<T> value;
  std::exception_ptr failure;
};
template <>
struct WorkState<void> final : WaitCore {
  std::exception_ptr failure;
};
}  // namespace detail

template <class F>
auto run_on(WorkerPool& pool, F work) -> awaitable<std::invoke_result_t<F&>> {
  using T = std::invoke_result_t<F&>;
  auto state = std::make_shared<detail::WorkState<T>>();
  std::function<void()> task = [state, &work] {
    try {
      if constexpr (std::is_void_v<T>)
        work();
      else
        state->value.emplace(work());
    } catch (...) {
      state->failure = std::current_exception();
    }
    state->signal();
  };
  pool.run(std::move(task));
  co_await WaitCore::wait_for_sure(state);
  if (state->failure) std::rethrow_exception(state->failure);
  if constexpr (!std::is_void_v<T>) co_return std::move(*state->value);
}

}  // namespace geres::http
