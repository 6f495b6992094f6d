// SPDX-License-Identifier: Apache-2.0
// Turns a connection whose client asked for it into a WebSocket, until it closes. For session.cpp; Beast stays in the
// .cpp file.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "http/websocket.h"

namespace geres::http {

struct WebSocketLimits {
  std::size_t message_bytes = 0;
  Millis handshake = 10'000;
  Millis idle = 60'000;  // half of it without a byte from the client: a ping; all of it: it is lost
};

// Answers the handshake in `head` (the request's head, and whatever was received behind it), runs `handler`, closes.
// `gone` is called when the client has gone or closed, `stalled_max` is how long a send may take.
awaitable<void> run_websocket(boost::asio::ip::tcp::socket& socket, std::string head, WebSocketLimits limits,
                              std::function<awaitable<void>(WebSocket&)> handler, std::function<void()> gone);

}  // namespace geres::http
