// SPDX-License-Identifier: Apache-2.0
// A client's socket on its loop: reading and writing with deadlines, and noticing that the client has gone. It waits
// for readiness and then reads or writes itself, so that an idle connection holds no buffer.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "http/pace.h"
#include "http/stream.h"
#include "http/suspension.h"
#include "http/wait.h"

namespace geres::http {

// One coroutine reads and writes. Derived objects are held by a shared_ptr, which the socket's operations share.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  // Speaks TLS if there is a context. Throws std::bad_alloc.
  Connection(Socket socket, std::shared_ptr<SSL_CTX> tls);
  virtual ~Connection() = default;

  bool overdue(Millis now) const {
    return now >= deadline_ && (waiting_for_ == Waiting::read || waiting_for_ == Waiting::write);
  }
  void expire();  // when overdue: ends the read or write under way
  // Ends the read or write under way, and all later ones.
  void break_off();

 protected:
  // What has been received and not yet consumed.
  std::string_view unread() const { return std::string_view(received_).substr(consumed_); }
  void consume(std::size_t bytes);
  void release_buffer();  // if nothing is unread

  Io receive();  // what has arrived, up to 64 KiB; appended to unread()
  Io receive_into(char* to, std::size_t room, std::size_t& got);  // requires that unread() is empty
  awaitable<Io> readable();  // until receive() is worth a try; ends at the deadline
  // Removes from `bytes` what was sent; `done` with bytes left: call yield() before the rest.
  Io send_now(std::string_view& bytes);
  awaitable<bool> send(std::string_view bytes, Pace& pace);
  awaitable<bool> send_file(int fd, std::uint64_t offset, std::uint64_t length, Pace& pace);
  awaitable<void> yield();  // gives the loop's other connections their turn
  void deadline(Millis at) { deadline_ = at; }
  void no_deadline() { deadline_ = kForever; }

  // From now until stop_looking(), bytes are received even while nobody reads, so that the end of the stream is seen
  // and client_went() called.
  void look_out();
  void stop_looking() { looking_out_ = false; }
  virtual void client_went() = 0;

  void shut_sending();
  void close();
  bool broken() const { return broken_; }
  Socket& socket() { return socket_; }
  Stream& stream() { return stream_; }
  void wake_reader();

 private:
  enum class Waiting : char { none, read, write, turn };
  void arm_read();
  void on_readable();
  awaitable<Io> writable(Pace& pace);
  std::uint64_t not_taken();  // bytes sent that the client's machine has not acknowledged
  Io after_wait();

  Socket socket_;
  Stream stream_;
  std::string received_;
  std::size_t consumed_ = 0;
  Suspension parked_;
  Millis deadline_ = kForever;
  Waiting waiting_for_ = Waiting::none;
  bool read_armed_ = false;
  bool looking_out_ = false;
  bool input_ended_ = false;
  bool expired_ = false;
  bool broken_ = false;
};

}  // namespace geres::http
