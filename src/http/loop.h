// SPDX-License-Identifier: Apache-2.0
// What every server thread has beside its sockets: a mailbox through which other threads wake its coroutines (many
// letters, one wake), timers, and the list of waits, so that a stop can end them.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "http/wait.h"

namespace geres::http {

class Loop;

// Outlives its loop if a promise still points to it; letters are then thrown away. Posting takes no lock but for the
// first letter after the box was emptied, which wakes the loop.
class Mailbox {
 public:
  explicit Mailbox(Loop& loop) : loop_(&loop) {}
  void post(std::shared_ptr<WaitCore> letter);  // any thread; a core only once before it is delivered
  template <class F>
  void empty(F each);  // the loop's thread; in the order posted
  void close();

 private:
  std::atomic<WaitCore*> newest_ = nullptr;  // linked to older ones; each holds itself while it is in here
  std::mutex waking_;                        // guards loop_ against its end
  Loop* loop_;
};

// Something with a time. On the loop's thread.
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
  Loop* loop_ = nullptr;  // set while it waits for its time
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
  void end_waits();                             // all but those for sure; later ones throw
  virtual void wake_for_letters() = 0;          // any thread: call deliver_letters() on yours
  virtual void wake_for_timers(Millis at) = 0;  // call run_timers() then

 private:
  friend class Mailbox;
  friend class WaitCore;
  std::shared_ptr<Mailbox> mailbox_;
  std::multimap<Millis, Timed*> timers_;
  WaitLink* waits_ = nullptr;
  bool ended_ = false;
};

}  // namespace geres::http
