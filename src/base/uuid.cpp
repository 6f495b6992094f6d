// SPDX-License-Identifier: Apache-2.0
#include "base/uuid.h"

#include <sys/random.h>

#include <cerrno>
#include <system_error>

#include "base/bytes.h"

namespace geres {
namespace {

void fill_random(void* to, std::size_t bytes) {
  auto* at = static_cast<unsigned char*>(to);
  while (bytes > 0) {
    const ssize_t got = getrandom(at, bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw std::system_error(errno, std::generic_category(), "getrandom");
    at += got, bytes -= std::size_t(got);
  }
}

constexpr std::uint64_t kVersion = 0x7000;              // bits 12 to 15 of the first half
constexpr std::uint64_t kVariant = 0x8000000000000000;  // the two highest bits of the second

std::uint64_t pack(std::uint64_t time_and_counter) {
  return (time_and_counter >> 12) << 16 | kVersion | (time_and_counter & 0xFFF);
}

}  // namespace

std::string Uuid::str() const {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text(36, '-');
  std::size_t at = 0;
  for (int i = 0; i < 32; ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) ++at;
    const std::uint64_t half = i < 16 ? high : low;
    text[at++] = kHex[(half >> (60 - 4 * (i % 16))) & 0xF];
  }
  return text;
}

std::optional<Uuid> parse_uuid(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  Uuid id;
  int digits = 0;
  for (std::size_t i = 0; i < 36; ++i) {
    if (i == 8 || i == 13 || i == 18 || i == 23) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int digit = hex_digit(text[i]);
    if (digit < 0) return std::nullopt;
    auto& half = digits < 16 ? id.high : id.low;
    half = half << 4 | std::uint64_t(digit);
    ++digits;
  }
  return id;
}

std::uint64_t SystemRandom::next() {
  if (left_ == 0) {
    fill_random(buffer_.data(), sizeof buffer_);
    left_ = buffer_.size();
  }
  return buffer_[--left_];
}

std::uint64_t SeededRandom::next() {
  std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

void IdSource::start_after(std::uint64_t high) {
  const std::uint64_t taken = (high >> 16) << 12 | (high & 0xFFF);
  if (taken > last_) last_ = taken;
}

Uuid IdSource::next(std::int64_t wall_ms) {
  const std::uint64_t now = std::uint64_t(wall_ms) << 12;
  last_ = now > last_ ? now : last_ + 1;
  return {pack(last_), (random_.next() >> 2) | kVariant};
}

std::string random_hex(std::size_t bytes) {
  std::string raw(bytes, '\0');
  fill_random(raw.data(), bytes);
  return to_hex(raw);
}

}  // namespace geres
