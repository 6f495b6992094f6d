// SPDX-License-Identifier: Apache-2.0
// 128-bit names: UUIDv7 ids that sort by the moment they were made, and random secrets.
//
// The first 64 bits of an id made by IdSource are unique and only grow (milliseconds, then a 12-bit counter), so they
// serve as the row number in a store; the last 62 bits are random and prove that whoever names the id has seen it.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace geres {

struct Uuid {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const Uuid&) const = default;
  explicit operator bool() const { return high != 0 || low != 0; }
  std::int64_t seq() const { return std::int64_t(high); }
  std::string str() const;  // "0192f0c4-7d3a-7001-8f2e-0123456789ab"
};

std::optional<Uuid> parse_uuid(std::string_view text);  // the 36-character form, either case

// Where randomness comes from; injected, so that a run can be repeated from a seed.
class Random {
 public:
  virtual ~Random() = default;
  virtual std::uint64_t next() = 0;
};

// The kernel's generator, buffered. One thread.
class SystemRandom final : public Random {
 public:
  std::uint64_t next() override;

 private:
  std::array<std::uint64_t, 64> buffer_{};
  std::size_t left_ = 0;
};

// SplitMix64 from a seed; for tests and simulations.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() override;

 private:
  std::uint64_t state_;
};

// UUIDv7 (RFC 9562, method 1: a counter in rand_a), strictly growing. One thread.
class IdSource {
 public:
  explicit IdSource(Random& random) : random_(random) {}
  // Everything made from now on sorts after `high`, the first half of an id.
  void start_after(std::uint64_t high);
  Uuid next(std::int64_t wall_ms);

 private:
  Random& random_;
  std::uint64_t last_ = 0;  // milliseconds << 12 | counter
};

inline Uuid random_name(Random& random) {
  return {random.next(), random.next()};
}

// `bytes` random bytes as lower-case hex, from the kernel. Any thread.
std::string random_hex(std::size_t bytes);

}  // namespace geres

template <>
struct std::hash<geres::Uuid> {
  std::size_t operator()(const geres::Uuid& id) const noexcept { return id.high * 0x9E3779B97F4A7C15u ^ id.low; }
};
