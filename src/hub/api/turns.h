// SPDX-License-Identifier: Apache-2.0
// One thing at a time for each caller: its second one waits for its first, independently of other callers.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "http/wait.h"

namespace geres::hub::api {

// Any thread. Must outlive its turns.
class Turns {
 public:
  class Turn {
   public:
    Turn(Turns& turns, std::string caller) : turns_(turns), caller_(std::move(caller)) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { turns_.pass_on(caller_); }

   private:
    Turns& turns_;
    const std::string caller_;
  };
  using TurnPtr = std::unique_ptr<Turn>;

  // nullptr: cancelled while waiting.
  http::awaitable<TurnPtr> take(std::string caller, http::Cancellation& cancellation);

 private:
  struct Waiter {
    http::Bell bell;
    bool served = false;
  };
  using WaiterPtr = std::shared_ptr<Waiter>;

  WaiterPtr line_up(const std::string& caller);                    // nullptr: it is this caller's turn already
  bool leave(const std::string& caller, const WaiterPtr& waiter);  // false: its turn came in the meantime
  void pass_on(const std::string& caller);

  std::mutex mutex_;
  std::unordered_map<std::string, std::deque<WaiterPtr>> waiting_;  // those behind the one whose turn it is
};

}  // namespace geres::hub::api
