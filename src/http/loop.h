// SPDX-License-Identifier: Apache-2.0
// What every server thread has besides its sockets: a mailbox through which other threads wake its coroutines (many
// letters cost one wake), timers, and a list of waits, so that a stop can end them.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "http/wait.h"

namespace geres::http {

class Loop;

// Outlives its loop while a promise points to it; letters are then thrown away. Posting takes a lock only for the first
// letter after the mailbox was emptied, because that one wakes the loop.
class Mailbox {
 public:
  explicit Mailbox(Loop& loop) : loop_(&loop) {}
  void post(std::shared_ptr<WaitCore> letter);  // any thread; a core may be posted again only after it was delivered
  template <class F>
  void empty(F each);  // the loop's thread; in the order posted
  void close();

 private:
  std::atomic<WaitCore*> newest_ = nullptr;  // links to older ones; a letter holds itself while it is in here
  std::mutex waking_;                        // guards loop_ while it is woken
  Loop* loop_;
};

// Has a time at which it expires. On the loop's thread.
class Timed {
 public:
  Timed() = default;
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 protected:
  ~Timed();
  virtual void expire() = 0;  // may destroy the object

 private:
  friend class Loop;
  Loop* loop_ = nullptr;  // set while it waits to expire
  std::multimap<Millis, Timed*>::iterator entry_;
};

class Loop {
 public:
  static Loop* current();  // of this thread; null outside of server threads
  static Millis now();     // monotonic

  void call_at(Millis at, Timed& timed);
  void forget(Timed& timed);
  bool ended() const { return ended_; }
  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }

 protected:
  Loop() : mailbox_(std::make_shared<Mailbox>(*this)) {}
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  virtual ~Loop();
  void become_current();
  void deliver_letters();
  void run_timers();
  void end_waits();                             // except those of wait_for_sure; later waits throw
  virtual void wake_for_letters() = 0;          // any thread; has deliver_letters() called on the loop's thread
  virtual void wake_for_timers(Millis at) = 0;  // has run_timers() called at that time

 private:
  friend class Mailbox;
  friend class WaitCore;
  std::shared_ptr<Mailbox> mailbox_;
  std::multimap<Millis, Timed*> timers_;
  WaitLink* waits_ = nullptr;
  bool ended_ = false;
};

}  // namespace geres::http
