// SPDX-License-Identifier: Apache-2.0
// What an HTTP server can be told at its start. The limits are against clients that are slow, broken or hostile.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"

namespace geres::tls {
class ServerContext;
}

namespace geres::http {

struct ListenAt {
  std::string address = "127.0.0.1";  // numeric, IPv4 or IPv6
  std::uint16_t port = 0;             // 0: the kernel picks
  bool tls = false;                   // with Options::tls
};

struct Options {
  std::vector<ListenAt> listen = {ListenAt()};  // at least one
  std::shared_ptr<tls::ServerContext> tls;      // for those that speak it
  unsigned threads = 1;
  std::size_t header_bytes_max = 16 * 1024;  // request line and all headers
  std::size_t headers_max = 100;
  Millis header_time_max = 10'000;       // from the first byte of a request to the end of its headers
  Millis idle_time_max = 75'000;         // between requests
  Millis body_stall_max = 30'000;        // without a byte of the body while the handler reads it
  Millis write_stall_max = 30'000;       // without the client taking a byte
  unsigned bytes_per_second_min = 1024;  // of bodies and answers, once such a stall is used up
  Millis linger_time_max = 2'000;        // how long to swallow what a refused client still sends
  std::size_t connections_max = 20'000;  // beyond it the oldest idle one is closed, or else the new one gets 503
  std::size_t websocket_message_max = 64 * 1024;  // a longer message closes the WebSocket (1009)
  Millis websocket_idle_max = 60'000;             // without a byte from the client; after half of it we send a ping

  // So long with a client that sends or takes nothing.
  void wait_for_clients(Millis patience) {
    header_time_max = body_stall_max = write_stall_max = patience;
    idle_time_max = std::max(idle_time_max, patience);
    linger_time_max = std::min(linger_time_max, patience);
  }
};

}  // namespace geres::http
