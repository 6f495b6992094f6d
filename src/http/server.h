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
#include <system_error>
#include <vector>

#include "http/options.h"
#include "http/router.h"

namespace geres::http {

class CannotListen : public std::system_error {
  using std::system_error::system_error;
};

class Server {
 public:
  Server(Options options, Router router);
  ~Server();  // stop(0)
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void start();                           // listens from then on; throws CannotListen
  void stop(Millis deadline);             // may be repeated; any thread but the server's own
  std::uint16_t port() const;             // the real one of the first that it listens at, after start()
  std::vector<std::string> urls() const;  // of all: "http://127.0.0.1:41234", "https://0.0.0.0:8443"
  std::string url() const { return urls().front(); }
  std::size_t connections() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace geres::http
