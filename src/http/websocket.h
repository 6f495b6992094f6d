// SPDX-License-Identifier: Apache-2.0
// A WebSocket (RFC 6455) as a handler sees it: messages that have come in, and a way to send. The handshake, masks,
// fragments, pings and UTF-8 are Boost.Beast's. One coroutine handles it; it is told by a Bell of its own that a
// message has come or that the other side has gone, so that it can wait for that and for other things at once.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace geres::http {

class WebSocket {
 public:
  // Codes of RFC 6455, 7.4.1.
  enum class Close : unsigned short { normal = 1000, goingAway = 1001, policy = 1008, tooBig = 1009, trouble = 1011 };

  // Rung, on this thread, at each message and when it has closed.
  virtual void on_change(std::function<void()> ring) = 0;
  // The oldest message that was not taken yet; nullopt: none now. While eight wait, no more is read from the client.
  virtual std::optional<std::string> next() = 0;
  virtual bool closed() const = 0;  // by either side, or lost; what came before can still be taken
  // Sends one text message. False: the client has gone or takes nothing.
  virtual awaitable<bool> send(std::string_view text) = 0;
  virtual awaitable<void> close(Close code, std::string_view reason) = 0;

 protected:
  ~WebSocket() = default;
};

// Does the request ask for one?
bool wants_websocket(const Request& request);

}  // namespace geres::http
