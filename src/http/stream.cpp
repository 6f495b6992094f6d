// SPDX-License-Identifier: Apache-2.0
#include "http/stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>

namespace geres::http {
namespace {

constexpr char kHandshake = 0x16;  // the first byte of TLS (RFC 8446, 5.1)
constexpr std::size_t kFilePiece = 1024 * 1024;
constexpr std::size_t kReadPiece = 64 * 1024;  // of a file, for TLS
constexpr std::size_t kTurn = 256 * 1024;      // encrypted before other connections have their turn

bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

}  // namespace

Stream::Stream(int socket, std::shared_ptr<SSL_CTX> context) : socket_(socket), ssl_(SSL_new(context.get())) {
  if (ssl_ == nullptr || SSL_set_fd(ssl_, socket) != 1) throw std::bad_alloc();
  SSL_set_accept_state(ssl_);
}

Stream::~Stream() {
  if (ssl_ != nullptr) SSL_free(ssl_);
}

// What a step of OpenSSL's ended with. Its queue of errors is the thread's, not the connection's.
Io Stream::after(int result, bool& wants_room) {
  const int error = SSL_get_error(ssl_, result);
  ERR_clear_error();
  wants_room = error == SSL_ERROR_WANT_WRITE;
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return Io::again;
  failed_ = error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL;
  return Io::ended;
}

Io Stream::shake_hands() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  return result == 1 ? Io::done : after(result, wants_room_);
}

bool Stream::speaks_plainly() const {
  char first = 0;
  return ::recv(socket_, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && first != kHandshake;
}

void Stream::be_plain() {
  SSL_free(ssl_);
  ssl_ = nullptr;
}

// The end without TLS's own word for it counts as the end: every body has a length or chunks, so a cut is seen.
Io Stream::receive(char* to, std::size_t room, std::size_t& got) {
  if (ssl_ != nullptr) {
    if (failed_) return Io::ended;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_, to, room, &got);
    return result == 1 ? Io::done : after(result, wants_room_);
  }
  while (true) {
    const auto count = ::recv(socket_, to, room, MSG_DONTWAIT);
    if (count > 0) {
      got = std::size_t(count);
      return Io::done;
    }
    if (count < 0 && errno == EINTR) continue;
    return count < 0 && would_block(errno) ? Io::again : Io::ended;
  }
}

Io Stream::send(std::string_view& bytes) {
  if (ssl_ == nullptr) {
    while (!bytes.empty()) {
      const auto count = ::send(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count >= 0)
        bytes.remove_prefix(std::size_t(count));
      else if (would_block(errno))
        return Io::again;
      else if (errno != EINTR)
        return Io::ended;
    }
    return Io::done;
  }
  for (std::size_t sent = 0; !bytes.empty() && sent < kTurn;) {
    if (failed_) return Io::ended;
    ERR_clear_error();
    std::size_t count = 0;
    const int result = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &count);
    bool room = true;
    if (result != 1) return after(result, room) == Io::again && room ? Io::again : Io::ended;
    bytes.remove_prefix(count);
    sent += count;
  }
  return Io::done;
}

Io Stream::send_file(int fd, std::uint64_t offset, std::uint64_t most, std::uint64_t& count) {
  count = 0;
  if (ssl_ == nullptr) {
    auto at = off_t(offset);
    while (true) {
      const auto sent = ::sendfile(socket_, fd, &at, std::min<std::uint64_t>(most, kFilePiece));
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return would_block(errno) ? Io::again : Io::ended;
      count = std::uint64_t(sent);
      return Io::done;
    }
  }
  // What was encrypted and not yet sent is kept by OpenSSL, so that it does not matter that others use this buffer
  // meanwhile: the same bytes are read again.
  thread_local char piece[kReadPiece];
  const auto got = ::pread(fd, piece, std::min<std::uint64_t>(most, sizeof piece), off_t(offset));
  if (got < 0) return Io::ended;
  std::string_view bytes(piece, std::size_t(got));
  const Io io = send(bytes);
  count = std::uint64_t(got) - bytes.size();
  return io == Io::again && count > 0 ? Io::done : io;
}

// Nothing is read ahead of the record that is being read, so whole records wait in the socket, where they are seen.
bool Stream::pending() const {
  return ssl_ != nullptr && SSL_pending(ssl_) > 0;
}

std::optional<tls::Certificate> Stream::client_certificate() const {
  X509* const shown = ssl_ == nullptr ? nullptr : SSL_get0_peer_certificate(ssl_);
  if (shown == nullptr || SSL_get_verify_result(ssl_) != X509_V_OK) return std::nullopt;
  return tls::describe(shown);
}

void Stream::end() {
  if (ssl_ != nullptr && !failed_ && SSL_is_init_finished(ssl_) != 0) {
    ERR_clear_error();
    SSL_shutdown(ssl_);
    ERR_clear_error();
  }
  ::shutdown(socket_, SHUT_WR);
}

}  // namespace geres::http
