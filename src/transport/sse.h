// SPDX-License-Identifier: Apache-2.0
// Parses server-sent events (the WHATWG HTML standard, 9.2.6), however the bytes are split. Lines end with LF, CR or
// CRLF, a block of lines ends with an empty line, and `:` begins a comment. An id alone only moves the position.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace geres::transport {

struct Frame {
  std::string id;    // the last one set, by this block or an earlier one; empty: none yet
  std::string type;  // "message" if it has none
  std::string data;
  bool has_data = false;
};

class SseParser {
 public:
  static constexpr std::size_t kBytesMax = 16u << 20;  // of one block

  // False when a block is larger than any that a hub sends.
  bool feed(std::string_view bytes, const std::function<void(const Frame&)>& take);
  // For a new connection: drops what was incomplete and keeps the id.
  void reset();

 private:
  void take_line(const std::function<void(const Frame&)>& take);
  std::string line_;
  Frame frame_;
  std::string id_;
  bool any_ = false;  // of this block
  bool after_cr_ = false;
};

}  // namespace geres::transport
