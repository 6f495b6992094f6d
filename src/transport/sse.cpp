// SPDX-License-Identifier: Apache-2.0
#include "transport/sse.h"

#include <utility>

namespace geres::transport {

bool SseParser::feed(std::string_view bytes, const std::function<void(const Frame&)>& take) {
  for (const char c : bytes) {
    const bool second = std::exchange(after_cr_, c == '\r') && c == '\n';
    if (second) continue;
    if (c == '\r' || c == '\n') {
      take_line(take);
    } else {
      line_ += c;
      if (line_.size() + frame_.data.size() > kBytesMax) return false;
    }
  }
  return true;
}

void SseParser::reset() {
  line_.clear();
  frame_ = {};
  any_ = after_cr_ = false;
}

void SseParser::take_line(const std::function<void(const Frame&)>& take) {
  const std::string line = std::exchange(line_, {});
  if (line.empty()) {
    Frame frame = std::exchange(frame_, {});
    if (!std::exchange(any_, false)) return;
    frame.id = id_;
    if (frame.type.empty()) frame.type = "message";
    if (frame.has_data) frame.data.pop_back();
    take(frame);
    return;
  }
  const auto colon = line.find(':');
  if (colon == 0) return;
  const auto name = line.substr(0, colon);
  auto value = colon == std::string::npos ? std::string() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.erase(0, 1);
  if (name == "id") {
    if (value.find('\0') == std::string::npos) id_ = value, any_ = true;
  } else if (name == "event") {
    frame_.type = value;
  } else if (name == "data") {
    frame_.data += value + "\n";
    frame_.has_data = any_ = true;
  }
}

}  // namespace geres::transport
