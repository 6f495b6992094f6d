// SPDX-License-Identifier: Apache-2.0
#include "hub/api/turns.h"

#include <algorithm>

namespace geres::hub::api {

http::awaitable<Turns::TurnPtr> Turns::take(std::string caller, http::Cancellation& cancellation) {
  if (const auto waiter = line_up(caller)) {
    while (!cancellation.cancelled()) {
      co_await waiter->bell.wait(cancellation);
      const std::lock_guard lock(mutex_);
      if (waiter->served) break;
    }
    if (leave(caller, waiter)) co_return nullptr;
  }
  co_return std::make_unique<Turn>(*this, std::move(caller));
}

Turns::WaiterPtr Turns::line_up(const std::string& caller) {
  const std::lock_guard lock(mutex_);
  const auto [line, first] = waiting_.try_emplace(caller);
  if (first) return nullptr;
  return line->second.emplace_back(std::make_shared<Waiter>());
}

bool Turns::leave(const std::string& caller, const WaiterPtr& waiter) {
  const std::lock_guard lock(mutex_);
  if (waiter->served) return false;
  std::erase(waiting_.at(caller), waiter);
  return true;
}

void Turns::pass_on(const std::string& caller) {
  const std::lock_guard lock(mutex_);
  const auto line = waiting_.find(caller);
  if (line->second.empty()) {
    waiting_.erase(line);
    return;
  }
  const auto next = std::move(line->second.front());
  line->second.pop_front();
  next->served = true;
  next->bell.ring();
}

}  // namespace geres::hub::api
