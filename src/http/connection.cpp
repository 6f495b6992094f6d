// SPDX-License-Identifier: Apache-2.0
#include "http/connection.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>

#include "http/loop.h"

namespace geres::http {

namespace {

constexpr std::size_t kPiece = 64 * 1024;
constexpr std::size_t kUnreadMax = 128 * 1024;  // what a client may send ahead while its request is handled

}  // namespace

Connection::Connection(Socket socket, std::shared_ptr<SSL_CTX> tls)
    : socket_(std::move(socket)),
      stream_(tls ? Stream(socket_.native_handle(), std::move(tls)) : Stream(socket_.native_handle())) {}

void Connection::consume(std::size_t bytes) {
  consumed_ += bytes;
  if (consumed_ < received_.size()) return;
  received_.clear();
  consumed_ = 0;
}

void Connection::release_buffer() {
  if (received_.empty()) received_ = std::string();
}

Io Connection::receive() {
  thread_local char piece[kPiece];
  std::size_t got = 0;
  const Io io = receive_into(piece, sizeof piece, got);
  if (io != Io::done) return io;
  if (consumed_ > 0) {
    received_.erase(0, consumed_);
    consumed_ = 0;
  }
  received_.append(piece, got);
  return io;
}

Io Connection::receive_into(char* to, std::size_t room, std::size_t& got) {
  if (input_ended_ || broken_) return Io::ended;
  const Io io = stream_.receive(to, room, got);
  input_ended_ = io == Io::ended;
  return io;
}

void Connection::arm_read() {
  if (read_armed_ || !socket_.is_open()) return;
  read_armed_ = true;
  auto seen = [self = shared_from_this()](const boost::system::error_code& = {}) {
    self->read_armed_ = false;
    self->on_readable();
  };
  if (stream_.pending()) return boost::asio::post(socket_.get_executor(), std::move(seen));
  // Only TLS waits for room when it reads: it has an answer of its own to send.
  const bool room = stream_.tls() && stream_.wants_room();
  socket_.async_wait(room ? Socket::wait_write : Socket::wait_read, std::move(seen));
}

void Connection::on_readable() {
  if (waiting_for_ == Waiting::read) return parked_.resume();
  if (!looking_out_ || broken_) return;
  while (unread().size() < kUnreadMax) {
    const Io io = receive();
    if (io == Io::again) return arm_read();
    if (io == Io::ended) {
      looking_out_ = false;
      return client_went();
    }
  }
}

void Connection::look_out() {
  if (looking_out_) return;
  looking_out_ = true;
  if (unread().size() < kUnreadMax) arm_read();
}

Io Connection::after_wait() {
  waiting_for_ = Waiting::none;
  if (broken_) return Io::ended;
  return std::exchange(expired_, false) ? Io::timedOut : Io::done;
}

awaitable<Io> Connection::readable() {
  if (broken_) co_return Io::ended;
  arm_read();
  waiting_for_ = Waiting::read;
  co_await parked_.suspend();
  co_return after_wait();
}

awaitable<void> Connection::yield() {
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
    if (self->waiting_for_ == Waiting::turn) self->parked_.resume();
  });
  waiting_for_ = Waiting::turn;
  co_await parked_.suspend();
  waiting_for_ = Waiting::none;
}

std::uint64_t Connection::not_taken() {
  int bytes = 0;
  return ::ioctl(socket_.native_handle(), SIOCOUTQ, &bytes) == 0 && bytes > 0 ? std::uint64_t(bytes) : 0;
}

// The kernel calls a socket writable only when a good part of its buffer is free, which takes a slow client long. So at
// the deadline, progress is what the client's machine has acknowledged.
awaitable<Io> Connection::writable(Pace& pace) {
  if (broken_) co_return Io::ended;
  const Millis before = deadline_;
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const boost::system::error_code&) {
    if (self->waiting_for_ == Waiting::write) self->parked_.resume();
  });
  Io io = Io::timedOut;
  auto queued = not_taken();
  while (io == Io::timedOut && pace.left() > 0) {
    const Millis since = Loop::now();
    deadline_ = since + pace.left();
    waiting_for_ = Waiting::write;
    co_await parked_.suspend();
    io = after_wait();
    pace.waited(Loop::now() - since);
    const auto still = not_taken();
    pace.moved(queued > still ? queued - still : 0);
    queued = still;
  }
  deadline_ = before;
  co_return io;
}

Io Connection::send_now(std::string_view& bytes) {
  return broken_ ? Io::ended : stream_.send(bytes);
}

awaitable<bool> Connection::send(std::string_view bytes, Pace& pace) {
  while (true) {
    Io io = send_now(bytes);
    if (io == Io::again)
      io = co_await writable(pace);
    else if (io == Io::done && !bytes.empty())
      co_await yield();
    if (io != Io::done) co_return false;
    if (bytes.empty()) co_return true;
  }
}

awaitable<bool> Connection::send_file(int fd, std::uint64_t offset, std::uint64_t length, Pace& pace) {
  while (length > 0) {
    if (broken_) co_return false;
    std::uint64_t count = 0;
    const Io io = stream_.send_file(fd, offset, length, count);
    offset += count;
    length -= count;
    if (io == Io::again) {
      if (co_await writable(pace) != Io::done) co_return false;
    } else if (io == Io::ended || count == 0) {
      co_return false;  // the file is shorter than it was, or unreadable
    } else if (length > 0) {
      co_await yield();
    }
  }
  co_return true;
}

void Connection::expire() {
  deadline_ = kForever;
  expired_ = true;
  parked_.resume();
}

void Connection::wake_reader() {
  if (waiting_for_ == Waiting::read) parked_.resume();
}

void Connection::break_off() {
  broken_ = true;
  if (socket_.is_open()) ::shutdown(socket_.native_handle(), SHUT_RDWR);
  parked_.resume();
}

void Connection::shut_sending() {
  stream_.end();
}

void Connection::close() {
  if (!broken_ && socket_.is_open() && stream_.tls()) stream_.end();
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace geres::http
