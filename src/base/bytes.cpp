// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <algorithm>

namespace geres {
namespace {

bool continuation(unsigned char c) {
  return (c & 0xC0) == 0x80;
}

// Length of the well-formed UTF-8 sequence at `at` (Unicode 15, table 3-7); 0 if there is none.
std::size_t sequence_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continuation(byte(1)) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80, high = first == 0xED ? 0x9F : 0xBF;
    return byte(1) >= low && byte(1) <= high && continuation(byte(2)) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80, high = first == 0xF4 ? 0x8F : 0xBF;
    return byte(1) >= low && byte(1) <= high && continuation(byte(2)) && continuation(byte(3)) ? 4 : 0;
  }
  return 0;
}

template <class Instead>
std::string with_bad_bytes(std::string_view text, Instead instead) {
  std::string good;
  good.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = sequence_length(text, at);
    if (length == 0)
      good += instead(static_cast<unsigned char>(text[at]));
    else
      good.append(text, at, length);
    at += std::max<std::size_t>(length, 1);
  }
  return good;
}

}  // namespace

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string to_hex(std::string_view bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const unsigned char c : bytes) text += kHex[c >> 4], text += kHex[c & 15];
  return text;
}

bool valid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = sequence_length(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

std::string replace_bad_utf8(std::string_view text) {
  return with_bad_bytes(text, [](unsigned char) { return std::string("\xEF\xBF\xBD"); });
}

std::string escape_bad_utf8(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  return with_bad_bytes(text, [&](unsigned char c) { return std::string{'\\', 'x', kHex[c >> 4], kHex[c & 15]}; });
}

namespace {

// The length of the escape sequence that begins here (ECMA-48): a control sequence, a string ended by BEL or ESC \, or
// a single character after intermediates.
std::size_t escape_sequence(std::string_view text) {
  const auto kind = text.substr(1, 1);
  std::size_t end = 1;
  if (kind == "[") {
    end = text.find_first_not_of("0123456789:;<=>?!\"#$%&'()*+,-./ ", 2);
  } else if (!kind.empty() && std::string_view("]PX^_").find(kind) != std::string_view::npos) {
    end = text.find_first_of("\x07\x1b", 2);
    if (end != std::string_view::npos && text[end] == '\x1b') ++end;
  } else {
    end = text.find_first_not_of("!\"#$%&'()*+,-./ ", 1);
  }
  return end == std::string_view::npos ? text.size() : std::min(end + 1, text.size());
}

}  // namespace

std::string plain_line(std::string_view line) {
  std::string plain;
  for (std::size_t at = 0; at < line.size();) {
    if (line[at] == '\x1b') {
      at += escape_sequence(line.substr(at));
      continue;
    }
    const bool control = static_cast<unsigned char>(line[at]) < ' ' || line[at] == 0x7f;
    plain += control ? ' ' : line[at];
    ++at;
  }
  return replace_bad_utf8(plain);
}

std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && continuation(static_cast<unsigned char>(text[end]))) --end;
  return text.substr(0, end);
}

}  // namespace geres
