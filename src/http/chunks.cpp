// SPDX-License-Identifier: Apache-2.0
#include "http/chunks.h"

#include <algorithm>
#include <charconv>

#include "base/bytes.h"

namespace geres::http {

namespace {

constexpr std::size_t kLineMax = 4 * 1024;
constexpr std::size_t kExtensionsMax = 16 * 1024;  // of all chunks
constexpr std::size_t kTrailersMax = 16 * 1024;

Error malformed(std::string_view what) {
  return fail(Code::badRequest, "malformed chunk: " + std::string(what));
}

bool printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 127; });
}

// The length of the first line of `bytes`, including its end; 0 if the line is incomplete.
Result<std::size_t> line_length(std::string_view bytes) {
  const auto end = bytes.find('\n');
  if (std::min(end, bytes.size()) > kLineMax) return malformed("a line is too long");
  if (end == std::string_view::npos) return 0;
  if (end == 0 || bytes[end - 1] != '\r') return malformed("a line ends without a carriage return");
  return end + 1;
}

}  // namespace

Result<std::size_t> ChunkDecoder::decode(std::string_view bytes, std::string& out) {
  std::size_t done = 0;
  while (!ended() && done < bytes.size()) {
    const auto used = step(bytes.substr(done), out);
    if (!used) return used.error();
    if (*used == 0) break;
    done += *used;
  }
  return done;
}

Result<std::size_t> ChunkDecoder::step(std::string_view bytes, std::string& out) {
  switch (state_) {
    case State::size:
      return size_line(bytes);
    case State::data_end:
      return data_end(bytes);
    case State::trailers:
      return trailer(bytes);
    case State::ended:
      return 0;
    case State::data:
      break;
  }
  const auto count = std::size_t(std::min<std::uint64_t>(left_, bytes.size()));
  out.append(bytes.substr(0, count));
  left_ -= count;
  if (left_ == 0) state_ = State::data_end;
  return count;
}

Result<std::size_t> ChunkDecoder::size_line(std::string_view bytes) {
  if (hex_digit(bytes[0]) < 0) return malformed("its size is not a hexadecimal number");
  const auto length = line_length(bytes);
  if (!length || *length == 0) return length;
  const auto line = bytes.substr(0, *length - 2);
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), left_, 16);
  if (error != std::errc()) return malformed("its size is not a number that can be");
  const auto rest = line.substr(std::size_t(end - line.data()));
  const auto semicolon = rest.find_first_not_of(" \t");
  if (!rest.empty() && (semicolon == std::string_view::npos || rest[semicolon] != ';'))
    return malformed("something follows its size");
  if (!printable(rest)) return malformed("a control character in its extension");
  extension_bytes_ += rest.size();
  if (extension_bytes_ > kExtensionsMax) return malformed("its extensions are too long");
  state_ = left_ == 0 ? State::trailers : State::data;
  return length;
}

Result<std::size_t> ChunkDecoder::data_end(std::string_view bytes) {
  if (bytes[0] != '\r' || (bytes.size() > 1 && bytes[1] != '\n')) return malformed("it is longer than its size");
  if (bytes.size() == 1) return 0;
  state_ = State::size;
  return 2;
}

Result<std::size_t> ChunkDecoder::trailer(std::string_view bytes) {
  const auto length = line_length(bytes);
  if (!length || *length == 0) return length;
  const auto line = bytes.substr(0, *length - 2);
  trailer_bytes_ += *length;
  if (line.empty())
    state_ = State::ended;
  else if (trailer_bytes_ > kTrailersMax)
    return malformed("its trailers are too long");
  else if (line.find(':') == std::string_view::npos || line.find_first_of(" \t:") < line.find(':') || line[0] == ':' ||
           !printable(line))
    return malformed("a trailer is not a header");
  return length;
}

}  // namespace geres::http
