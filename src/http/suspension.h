// SPDX-License-Identifier: Apache-2.0
// One coroutine, parked until somebody on its own thread calls resume(). The only place that knows how Asio's
// coroutines are woken; everything that waits (sockets, promises, timers) is built on it.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace geres::http {

class Suspension {
 public:
  boost::asio::awaitable<void> suspend() {
    return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void()>(
        [this](auto handler) {
          Parked parked(std::move(handler));
          parked_.swap(parked);
        },
        boost::asio::use_awaitable);
  }
  // Continues the coroutine inside this call; `this` may be gone afterwards. Does nothing if no coroutine is parked.
  void resume() {
    Parked parked;
    parked.swap(parked_);
    if (parked) std::move(parked)();
  }

 private:
  // Swapped, never moved: its move assignment in Boost 1.81 calls itself without end.
  using Parked = boost::asio::any_completion_handler<void()>;
  Parked parked_;
};

}  // namespace geres::http
