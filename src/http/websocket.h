// SPDX-License-Identifier: Apache-2.0
// A WebSocket (RFC 6455) as a handler sees it: messages that have arrived, and a way to send. Boost.Beast does the
// handshake, masks, fragments, pings and UTF-8. One coroutine handles it; a callback tells it of each message and of
// the end, so that it can wait for these and for other things at once.
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

  // Called on this thread at each message, and when it has closed.
  virtual void on_change(std::function<void()> ring) = 0;
  // The oldest message not yet taken; nullopt if there is none. While eight are waiting, nothing more is read from the
  // client.
  virtual std::optional<std::string> next() = 0;
  virtual bool closed() const = 0;  // by either side, or lost; messages that arrived before can still be taken
  // Sends one text message. False: the client has gone or accepts nothing.
  virtual awaitable<bool> send(std::string_view text) = 0;
  virtual awaitable<void> close(Close code, std::string_view reason) = 0;

 protected:
  ~WebSocket() = default;
};

// Whether the request asks for a WebSocket.
bool wants_websocket(const Request& request);

}  // namespace geres::http
