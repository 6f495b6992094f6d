// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>

namespace geres {

std::string to_base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()), int(bytes.size()));
  text.resize(std::size_t(length));
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  // EVP_DecodeBlock skips white space and takes padding anywhere; we do not.
  for (const char c : text.substr(0, text.size() - padding)) {
    const bool plain =
        (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
    if (!plain) return std::nullopt;
  }
  std::string bytes(text.size() / 4 * 3, '\0');
  const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                     reinterpret_cast<const unsigned char*>(text.data()), int(text.size()));
  if (length < 0) return std::nullopt;
  bytes.resize(std::size_t(length) - padding);
  return bytes;
}

namespace {

constexpr auto kUrlLetters = [] {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kLetters.size(); ++i) values[std::uint8_t(kLetters[i])] = std::int8_t(i);
  return values;
}();

}  // namespace

std::optional<std::string> from_base64url(std::string_view text) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t waiting = 0;
  int bits = 0;
  for (const char c : text) {
    const int value = kUrlLetters[std::uint8_t(c)];
    if (value < 0) return std::nullopt;
    waiting = waiting << 6 | std::uint32_t(value);
    if (bits += 6; bits >= 8) bytes += char(waiting >> (bits -= 8) & 0xff);
  }
  if ((waiting & ((1u << bits) - 1)) != 0) return std::nullopt;  // bits that mean nothing
  return bytes;
}

}  // namespace geres
