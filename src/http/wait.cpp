// SPDX-License-Identifier: Apache-2.0
#include "http/wait.h"

#include <cassert>

#include "http/loop.h"
#include "http/suspension.h"

namespace geres::http {

// A wait's entry in a list of waits; leaves the list when the wait ends.
struct WaitLink {
  explicit WaitLink(Wait& wait) : wait(wait) {}
  ~WaitLink() { leave(); }
  void join(WaitLink*& head) {
    list = &head;
    next = head;
    if (next != nullptr) next->before = this;
    head = this;
  }
  void leave() {
    if (list == nullptr) return;
    if (next != nullptr) next->before = before;
    (before != nullptr ? before->next : *list) = next;
    list = nullptr;
    next = before = nullptr;
  }

  Wait& wait;
  WaitLink** list = nullptr;
  WaitLink* next = nullptr;
  WaitLink* before = nullptr;
};

// One wait in progress. Lives in the waiting coroutine's frame; its core, its loop and its cancellation point to it.
struct Wait final : Timed {
  Wait(WaitCore& core, Loop& loop) : core(core) {
    core.waiter_ = this;
    core.mailbox_ = loop.mailbox();
  }
  ~Wait() {
    if (core.waiter_ == this) core.waiter_ = nullptr;
  }

  void finish(WaitEnd how) {
    core.waiter_ = nullptr;
    end = how;
    parked.resume();
  }
  void finish_early(WaitEnd how) {
    int waiting = WaitCore::kWaiting;
    // If the exchange fails, the signal has come and its letter is on the way.
    if (core.state_.compare_exchange_strong(waiting, WaitCore::kIdle)) finish(how);
  }
  void expire() override { finish_early(WaitEnd::timedOut); }

  WaitCore& core;
  WaitLink of_loop{*this};
  WaitLink of_cancellation{*this};
  Suspension parked;
  WaitEnd end = WaitEnd::ready;
  bool stopped = false;
};

Cancellation::~Cancellation() {
  assert(waits_ == nullptr);
}

void Cancellation::cancel(Why why) {
  if (cancelled()) return;
  why_ = why;
  while (waits_ != nullptr) {
    Wait& wait = waits_->wait;
    waits_->leave();
    wait.finish_early(WaitEnd::cancelled);
  }
}

void Cancellation::reset() {
  assert(waits_ == nullptr);
  why_ = Why::none;
}

void WaitCore::signal() {
  if (state_.exchange(kSignalled, std::memory_order_acq_rel) != kWaiting) return;
  const auto mailbox = mailbox_;  // a copy: once the letter is posted, the waiter may continue and replace mailbox_
  mailbox->post(shared_from_this());
}

void WaitCore::deliver() {
  if (waiter_ != nullptr) waiter_->finish(WaitEnd::ready);
}

awaitable<WaitEnd> WaitCore::wait_for_sure(std::shared_ptr<WaitCore> core) {
  if (core->signalled()) co_return WaitEnd::ready;
  Wait wait(*core, *Loop::current());
  int idle = kIdle;
  if (core->state_.compare_exchange_strong(idle, kWaiting)) co_await wait.parked.suspend();
  co_return WaitEnd::ready;
}

awaitable<WaitEnd> WaitCore::wait(std::shared_ptr<WaitCore> core, Millis timeout, Cancellation* cancellation) {
  if (core->signalled()) co_return WaitEnd::ready;
  Loop& loop = *Loop::current();
  if (loop.ended()) throw ServerStopped();
  if (cancellation != nullptr) {
    if (!cancellation->cancelled()) cancellation->begin_watching();
    if (cancellation->cancelled()) co_return WaitEnd::cancelled;
  }
  if (timeout <= 0) co_return WaitEnd::timedOut;
  assert(core->waiter_ == nullptr);
  Wait wait(*core, loop);
  wait.of_loop.join(loop.waits_);
  if (cancellation != nullptr) wait.of_cancellation.join(cancellation->waits_);
  if (timeout < kForever - Loop::now()) loop.call_at(Loop::now() + timeout, wait);
  int idle = kIdle;
  if (core->state_.compare_exchange_strong(idle, kWaiting)) co_await wait.parked.suspend();
  if (wait.stopped) throw ServerStopped();
  co_return wait.end;
}

void Loop::end_waits() {
  ended_ = true;
  while (waits_ != nullptr) {
    Wait& wait = waits_->wait;
    waits_->leave();
    wait.stopped = true;
    wait.finish_early(WaitEnd::cancelled);
  }
}

Bell::Bell() : core_(std::make_shared<WaitCore>()) {}

void Bell::ring() const {
  core_->signal();
}

awaitable<WaitEnd> Bell::wait(Cancellation& cancellation, Millis timeout) const {
  const auto core = core_;
  const WaitEnd end = co_await WaitCore::wait(core, timeout, &cancellation);
  if (end == WaitEnd::ready) core->rearm();
  co_return end;
}

awaitable<bool> sleep_for(Millis duration, Cancellation& cancellation) {
  const auto never = std::make_shared<WaitCore>();
  const WaitEnd end = co_await WaitCore::wait(never, duration, &cancellation);
  co_return end == WaitEnd::timedOut;
}

}  // namespace geres::http
