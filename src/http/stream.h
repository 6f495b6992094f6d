// SPDX-License-Identifier: Apache-2.0
// The bytes of one connection, plain or over TLS, without waiting. The socket belongs to somebody else, who also waits
// for it; all is on the connection's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "tls/certificate.h"

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;

namespace geres::http {

enum class Io { done, again, ended, timedOut };

class Stream {
 public:
  explicit Stream(int socket) : socket_(socket) {}  // plain
  Stream(int socket, std::shared_ptr<SSL_CTX> context);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  bool tls() const { return ssl_ != nullptr; }

  // One step of the handshake. `again`: wait for the socket, see wants_room().
  Io shake_hands();
  // The client's first bytes are no TLS: what follows is plain, and nothing has been read yet.
  bool speaks_plainly() const;
  void be_plain();

  Io receive(char* to, std::size_t room, std::size_t& got);
  // Removes from `bytes` what was sent: a piece at least, or all. `done` with bytes left: others should have their
  // turn. After `again` the same bytes must come again, at whatever address.
  Io send(std::string_view& bytes);
  // From a file. `count` is what was sent, at most `most`; 0 with `done`: the file is shorter.
  Io send_file(int fd, std::uint64_t offset, std::uint64_t most, std::uint64_t& count);

  // Whether receive() may have bytes although the socket has none.
  bool pending() const;
  // Whether the receive() or shake_hands() that said `again` waits until more can be sent; else until more has come.
  bool wants_room() const { return wants_room_; }

  std::optional<tls::Certificate> client_certificate() const;  // after the handshake; verified

  void end();  // says that nothing more will be sent

 private:
  Io after(int result, bool& wants_room);

  const int socket_;
  SSL* ssl_ = nullptr;
  bool wants_room_ = false;
  bool failed_ = false;  // TLS must not be used any more
};

}  // namespace geres::http
