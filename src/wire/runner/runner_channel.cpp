// SPDX-License-Identifier: Apache-2.0
#include "wire/runner/runner_channel.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/json.h"

namespace geres::wire {
namespace {

template <class T>
void put(std::string& buffer, const T& message) {
  const std::string document = json::write_text(message);
  const auto length = std::uint32_t(document.size());
  for (int shift = 0; shift < 32; shift += 8) buffer.push_back(char(length >> shift));
  buffer += document;
}

// Not json::parse: both ends are ours, and a path or an environment may hold bytes that are no UTF-8.
template <class T>
Result<T> take(std::string_view document) {
  boost::json::parse_options options;
  options.allow_invalid_utf8 = true;
  boost::json::error_code ec;
  const auto parsed = boost::json::parse(document, ec, {}, options);
  if (ec) return fail(Code::malformedJson, ec.message());
  return json::read<T>(parsed);
}

}  // namespace

void put_frame(std::string& buffer, const ToRunner& message) {
  put(buffer, message);
}
void put_frame(std::string& buffer, const FromRunner& message) {
  put(buffer, message);
}

Result<std::optional<std::string_view>> FrameReader::next() {
  buffer_.erase(0, taken_);
  taken_ = 0;
  if (buffer_.size() < 4) return std::optional<std::string_view>();
  std::size_t length = 0;
  for (int i = 0; i < 4; ++i) length |= std::size_t(static_cast<unsigned char>(buffer_[std::size_t(i)])) << (8 * i);
  if (length > kFrameBytesMax) return fail(Code::tooLarge, "a frame of " + std::to_string(length) + " bytes");
  if (buffer_.size() < 4 + length) return std::optional<std::string_view>();
  taken_ = 4 + length;
  return std::optional<std::string_view>(std::string_view(buffer_).substr(4, length));
}

Result<ToRunner> read_to_runner(std::string_view document) {
  return take<ToRunner>(document);
}
Result<FromRunner> read_from_runner(std::string_view document) {
  return take<FromRunner>(document);
}

}  // namespace geres::wire
