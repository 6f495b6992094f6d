// SPDX-License-Identifier: Apache-2.0
// Turns a connection whose client asked for it into a WebSocket until it closes. Used by session.cpp; Beast stays in
// the .cpp file.
#pragma once

#include <boost/asio/ip/tcp.hpp>

#include "http/stream.h"
#include "http/websocket.h"

namespace geres::http {

struct WebSocketLimits {
  std::size_t message_bytes = 0;
  Millis handshake = 10'000;
  Millis idle = 60'000;  // without a byte from the client: after half of it we ping, after all of it the client is lost
};

// Answers the handshake in `head` (the request's head and whatever was received after it), runs `handler`, closes.
// Calls `gone` when the client has gone or closed. `stalled_max` limits how long a send may take.
awaitable<void> run_websocket(boost::asio::ip::tcp::socket& socket, Stream& stream, std::string head,
                              WebSocketLimits limits, std::function<awaitable<void>(WebSocket&)> handler,
                              std::function<void()> gone);

}  // namespace geres::http
