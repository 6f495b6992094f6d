// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server: accepts, reads and checks requests, calls the router's handlers, writes answers. Knows nothing of
// jobs.
//
// Threads: each of the `threads` loops has a thread of its own. A connection belongs to one loop for life, and
// everything about it (handler, body, cancellation, stream) runs there. So a handler must not block: it waits with
// http/wait.h and sends blocking work to a WorkerPool with run_on(). Lifetimes: whatever handlers refer to must outlive
// the Server. stop() first ends idle connections and cancels the requests' Cancellation, then waits for requests in
// flight. At the deadline it closes what is left and ends every wait (with ServerStopped if the handler goes on
// waiting). After stop() nothing of the server runs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "http/router.h"

namespace geres::http {

struct Options {
  std::string address = "127.0.0.1";  // numeric, IPv4 or IPv6
  std::uint16_t port = 0;             // 0: the kernel picks
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
};

class Server {
 public:
  Server(Options options, Router router);
  ~Server();  // stop(0)
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void start();                // listens from then on; throws std::system_error if it cannot
  void stop(Millis deadline);  // may be repeated; any thread but the server's own
  std::uint16_t port() const;  // the real one, after start()
  std::string url() const;     // "http://127.0.0.1:41234"
  std::size_t connections() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace geres::http
