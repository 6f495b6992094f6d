// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/clock.h"

namespace geres {

// Work that is done again and again, on a thread of its own. stop() waits for the round that runs.
class Repeated {
 public:
  ~Repeated() { stop(); }
  void start(Millis every, std::function<void()> work) {
    thread_ = std::thread([this, every, work = std::move(work)] {
      std::unique_lock lock(mutex_);
      while (!wake_.wait_for(lock, std::chrono::milliseconds(every), [this] { return stop_; })) {
        lock.unlock();
        work();
        lock.lock();
      }
    });
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace geres
