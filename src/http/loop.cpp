// SPDX-License-Identifier: Apache-2.0
#include "http/loop.h"

#include <cassert>
#include <chrono>

namespace geres::http {

namespace {
thread_local Loop* current_loop = nullptr;
}

void Mailbox::post(std::shared_ptr<WaitCore> letter) {
  WaitCore* core = letter.get();
  core->itself_ = std::move(letter);
  WaitCore* before = newest_.load(std::memory_order_relaxed);
  do {
    core->older_ = before;
  } while (!newest_.compare_exchange_weak(before, core, std::memory_order_acq_rel));
  if (before != nullptr) return;  // the thread that posted the first one has woken the loop, or is about to
  const std::lock_guard lock(waking_);
  if (loop_ != nullptr)
    loop_->wake_for_letters();
  else
    empty([](auto&&) {});
}

template <class F>
void Mailbox::empty(F each) {
  WaitCore* core = newest_.exchange(nullptr, std::memory_order_acq_rel);
  WaitCore* oldest = nullptr;
  while (core != nullptr) {
    WaitCore* next = std::exchange(core->older_, oldest);
    oldest = core;
    core = next;
  }
  while (oldest != nullptr) {
    const auto letter = std::move(oldest->itself_);
    oldest = std::exchange(oldest->older_, nullptr);
    each(*letter);
  }
}

void Mailbox::close() {
  const std::lock_guard lock(waking_);
  loop_ = nullptr;
  empty([](auto&&) {});
}

Timed::~Timed() {
  if (loop_ != nullptr) loop_->forget(*this);
}

Loop* Loop::current() {
  return current_loop;
}

Millis Loop::now() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

Loop::~Loop() {
  mailbox_->close();
}

void Loop::become_current() {
  current_loop = this;
}

void Loop::call_at(Millis at, Timed& timed) {
  assert(timed.loop_ == nullptr);
  timed.entry_ = timers_.emplace(at, &timed);
  timed.loop_ = this;
  if (timed.entry_ == timers_.begin()) wake_for_timers(at);
}

void Loop::forget(Timed& timed) {
  if (timed.loop_ == nullptr) return;
  timers_.erase(timed.entry_);
  timed.loop_ = nullptr;
}

void Loop::run_timers() {
  const Millis now = Loop::now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Timed& timed = *timers_.begin()->second;
    forget(timed);
    timed.expire();
  }
  if (!timers_.empty()) wake_for_timers(timers_.begin()->first);
}

void Loop::deliver_letters() {
  mailbox_->empty([](WaitCore& letter) { letter.deliver(); });
}

}  // namespace geres::http
