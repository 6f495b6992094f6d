// SPDX-License-Identifier: Apache-2.0
// A small blocking HTTP/1.1 client over a raw socket: a load generator must cost less than what it measures.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

namespace geres::bench {

struct Answer {
  int status = 0;
  std::string body;
};

// One keep-alive connection. One thread.
class Connection {
 public:
  Connection(std::uint16_t port, std::string token) : token_(std::move(token)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd_ < 0 || ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~Connection() { ::close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Answer call(std::string_view method, std::string_view path, std::string_view body = {}) {
    std::string request;
    request.reserve(body.size() + 300);
    request.append(method).append(" ").append(path).append(" HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer ");
    request.append(token_).append("\r\nContent-Type: application/json\r\nContent-Length: ");
    request.append(std::to_string(body.size())).append("\r\n\r\n").append(body);
    for (std::string_view rest = request; !rest.empty();) {
      const ssize_t put = ::send(fd_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (put <= 0) throw std::runtime_error("the hub closed the connection");
      rest.remove_prefix(std::size_t(put));
    }
    return read_answer();
  }

 private:
  Answer read_answer() {
    std::size_t head_end;
    while ((head_end = buffer_.find("\r\n\r\n")) == std::string::npos) more();
    Answer answer;
    answer.status = std::atoi(buffer_.c_str() + 9);
    const std::string_view head(buffer_.data(), head_end);
    std::size_t at = head.find("Content-Length: ");
    if (at == std::string_view::npos) throw std::runtime_error("an answer without length: " + std::string(head));
    const std::size_t length = std::strtoull(buffer_.c_str() + at + 16, nullptr, 10);
    while (buffer_.size() < head_end + 4 + length) more();
    answer.body = buffer_.substr(head_end + 4, length);
    buffer_.erase(0, head_end + 4 + length);
    return answer;
  }
  void more() {
    char piece[65536];
    const ssize_t got = ::recv(fd_, piece, sizeof piece, 0);
    if (got <= 0) throw std::runtime_error("the hub closed the connection");
    buffer_.append(piece, std::size_t(got));
  }

  int fd_ = -1;
  std::string token_;
  std::string buffer_;
};

}  // namespace geres::bench
