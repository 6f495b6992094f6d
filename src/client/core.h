// SPDX-License-Identifier: Apache-2.0
// What a client is made of: a loop of transfers on a network thread, and a callback thread for the user's code.
// Everything inside runs on the network thread, so nothing inside needs a lock.
#pragma once

#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "client/tokens.h"

namespace geres::client {

// Something that its owner may cancel. Network thread only.
class Task {
 public:
  void cancel() {
    cancelled_ = true;
    if (auto stop = std::exchange(stop_, nullptr)) stop();
  }
  bool cancelled() const { return cancelled_; }
  void on_cancel(std::function<void()> stop) { stop_ = std::move(stop); }

 private:
  bool cancelled_ = false;
  std::function<void()> stop_;
};

class Core : public std::enable_shared_from_this<Core> {
 public:
  explicit Core(Options options);  // throws std::invalid_argument
  void start();
  void stop();  // may be repeated

  // Any thread. Runs `work` on the network thread soon; after that thread has ended, right here. In a forked child:
  // std::logic_error.
  void run(std::function<void()> work);
  // Any thread. Runs `words` on the callback thread, in order; after that thread has ended, right here.
  void tell(std::function<void()> words);
  // This process was made by fork() after the client, so it has none of the client's threads.
  bool forked() const { return ::getpid() != made_by_; }
  bool on_callback_thread() const { return std::this_thread::get_id() == callback_id_.load(); }
  bool on_own_thread() const { return on_callback_thread() || std::this_thread::get_id() == network_id_.load(); }

  // Network thread. Sends the client's token; after a 401 once more with a new token.
  void call(const std::shared_ptr<Task>& task, transport::Call call, transport::Loop::Done done);
  void after(Millis delay, std::function<void()> then) { loop_.after(delay, std::move(then)); }
  transport::Loop& loop() { return loop_; }
  Millis patience() const { return loop_.options().patience; }
  std::string new_key();  // network thread

 private:
  void send(const std::shared_ptr<Task>& task, transport::Call call, std::string token, bool again,
            transport::Loop::Done done);
  void network();
  void callbacks();
  bool run_posted();

  const pid_t made_by_ = ::getpid();
  transport::Loop loop_;
  Tokens tokens_;
  bool stopping_ = false;  // network thread

  std::mutex post_mutex_;
  std::deque<std::function<void()>> posted_;
  bool stop_asked_ = false;
  bool network_ended_ = false;
  std::recursive_mutex afterlife_;  // serializes work after the network thread has ended

  std::mutex tell_mutex_;
  std::condition_variable told_;
  std::deque<std::function<void()>> words_;
  bool callbacks_end_ = false;
  bool callbacks_ended_ = false;
  std::atomic<std::thread::id> callback_id_{};
  std::atomic<std::thread::id> network_id_{};

  std::mutex stop_mutex_;
  std::thread network_thread_;
  std::thread callback_thread_;
};

}  // namespace geres::client
