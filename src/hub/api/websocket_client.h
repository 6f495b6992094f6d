// SPDX-License-Identifier: Apache-2.0
// A small WebSocket client (RFC 6455) for tests.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"

namespace geres::hub::api {

class WebSocketClient {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  // `url`: http://127.0.0.1:PORT. What the hub answers is in status().
  WebSocketClient(const std::string& url, const std::string& path, const Headers& headers);
  long status() const { return status_; }
  const std::string& refusal() const { return refusal_; }  // the answer, if it is no WebSocket

  void send(const std::string& text);
  // The next text message; nullopt: the hub has closed, or nothing came for long.
  std::optional<std::string> next();
  int close_code() const { return close_code_; }  // once it has closed; 0: it has not
  const std::string& close_reason() const { return close_reason_; }

 private:
  std::string read(std::size_t count);
  void send_frame(int opcode, const std::string& payload);
  Fd fd_;
  long status_ = 0;
  std::string refusal_, received_;
  int close_code_ = 0;
  std::string close_reason_;
};

}  // namespace geres::hub::api
