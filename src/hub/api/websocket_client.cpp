// SPDX-License-Identifier: Apache-2.0
#include "hub/api/websocket_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "hub/api/test_client.h"

namespace geres::hub::api {
namespace {

constexpr int kPatienceMs = 20'000;

}  // namespace

WebSocketClient::WebSocketClient(const std::string& url, const std::string& path, const Headers& headers)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(std::uint16_t(std::stoi(url.substr(url.rfind(':') + 1))));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::system_error(errno, std::generic_category(), "connect");
  std::string request = "GET " + path + " HTTP/1.1\r\nHost: " + url.substr(7) +
                        "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
  for (const auto& [name, value] : headers) request += name + ": " + value + "\r\n";
  request += "\r\n";
  ::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL);
  std::string head;
  while (!head.ends_with("\r\n\r\n")) {
    const auto byte = read(1);
    if (byte.empty()) break;
    head += byte;
  }
  status_ = head.size() > 12 ? std::stol(head.substr(9, 3)) : 0;
  if (status_ != 101)
    if (const auto at = head.find("Content-Length: "); at != std::string::npos)
      refusal_ = read(std::stoul(head.substr(at + 16)));
  record("GET", path, {status_, {{"content-type", status_ == 101 ? "" : "application/problem+json"}}, refusal_});
}

std::string WebSocketClient::read(std::size_t count) {
  while (received_.size() < count) {
    pollfd readable{fd_.get(), POLLIN, 0};
    if (::poll(&readable, 1, kPatienceMs) <= 0) return ADD_FAILURE() << "nothing came", "";
    char buffer[64 * 1024];
    const auto got = ::recv(fd_.get(), buffer, sizeof buffer, 0);
    if (got <= 0) return {};
    received_.append(buffer, std::size_t(got));
  }
  auto bytes = received_.substr(0, count);
  received_.erase(0, count);
  return bytes;
}

// Masked with zeros, which leaves the payload as it is.
void WebSocketClient::send_frame(int opcode, const std::string& payload) {
  std::string frame{char(0x80 | opcode)};
  if (payload.size() < 126) {
    frame += char(0x80 | payload.size());
  } else {
    frame += char(0x80 | 126);
    frame += char(payload.size() >> 8);
    frame += char(payload.size() & 0xFF);
  }
  frame += std::string(4, '\0') + payload;
  ::send(fd_.get(), frame.data(), frame.size(), MSG_NOSIGNAL);
}

void WebSocketClient::send(const std::string& text) {
  send_frame(1, text);
}

std::optional<std::string> WebSocketClient::next() {
  while (close_code_ == 0) {
    const auto head = read(2);
    if (head.size() < 2) return std::nullopt;
    const int opcode = head[0] & 0x0F;
    std::size_t length = std::uint8_t(head[1]) & 0x7F;
    if (length >= 126) {
      const auto bytes = read(length == 126 ? 2 : 8);
      length = 0;
      for (const char byte : bytes) length = length << 8 | std::uint8_t(byte);
    }
    auto payload = read(length);
    if (opcode == 1) return payload;
    if (opcode == 9) send_frame(10, payload);
    if (opcode != 8) continue;
    close_code_ = payload.size() < 2 ? 1005 : std::uint8_t(payload[0]) << 8 | std::uint8_t(payload[1]);
    close_reason_ = payload.size() < 2 ? "" : payload.substr(2);
    send_frame(8, payload);
  }
  return std::nullopt;
}

}  // namespace geres::hub::api
