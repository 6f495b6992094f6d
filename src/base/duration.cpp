// SPDX-License-Identifier: Apache-2.0
#include "base/duration.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>

namespace geres {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

constexpr std::array<Unit, 6> kDurations{
    {{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}, {"w", 7 * 86400e3}}};
constexpr std::array<Unit, 6> kSizes{
    {{"", 1}, {"b", 1}, {"k", 1024.0}, {"m", 1048576.0}, {"g", 1073741824.0}, {"t", 1099511627776.0}}};

// Takes a number off the front of `text`; NaN if there is none.
double take_number(std::string_view& text) {
  std::string digits;
  std::size_t at = 0;
  bool point = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c >= '0' && c <= '9') {
      digits += c;
    } else if (c == '.' && !point && !digits.empty()) {
      digits += c, point = true;
    } else if (c != '_' || digits.empty()) {
      break;
    }
  }
  if (digits.empty() || digits.back() == '.' || digits.size() > 18) return std::nan("");
  text.remove_prefix(at);
  return std::stod(digits);
}

std::string_view take_unit(std::string_view& text) {
  std::size_t at = 0;
  while (at < text.size() && ((text[at] | 0x20) >= 'a' && (text[at] | 0x20) <= 'z')) ++at;
  const auto unit = text.substr(0, at);
  text.remove_prefix(at);
  return unit;
}

template <std::size_t N>
double factor_of(const std::array<Unit, N>& units, std::string_view name) {
  for (const auto& unit : units)
    if (unit.name == name) return unit.factor;
  return std::nan("");
}

}  // namespace

Result<Millis> parse_duration(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::badValue, fmt::format("'{}' is not a duration", text), {},
                "a number with a unit: 1500ms, 30s, 10m, 1h30m, 7d, 2w");
  };
  std::string_view rest = text;
  double total = 0;
  if (rest.empty()) return bad();
  while (!rest.empty()) {
    const double number = take_number(rest);
    const double factor = factor_of(kDurations, take_unit(rest));
    if (std::isnan(number) || std::isnan(factor)) return bad();
    total += number * factor;
    while (rest.size() > 1 && rest.front() == ' ') rest.remove_prefix(1);
  }
  if (total > 100.0 * 365 * 86400e3)
    return fail(Code::badValue, fmt::format("'{}' is longer than 100 years", text), {}, "a shorter duration");
  return Millis(std::llround(total));
}

std::string format_duration(Millis duration) {
  if (duration == 0) return "0s";
  constexpr std::array<std::pair<Millis, std::string_view>, 4> kUnits{
      {{86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1000, "s"}}};
  for (const auto& [length, name] : kUnits)
    if (duration % length == 0) return fmt::format("{}{}", duration / length, name);
  return fmt::format("{}ms", duration);
}

Result<std::int64_t> parse_size(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::badValue, fmt::format("'{}' is not a size", text), {},
                "bytes, or a number with KiB, MiB, GiB, TiB (2gb is 2GiB)");
  };
  std::string_view rest = text;
  const double number = take_number(rest);
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  std::string unit(take_unit(rest));
  for (auto& c : unit) c = char(c | 0x20);  // letters, to lower case
  if ((unit.size() == 2 && unit[1] == 'b' && unit[0] != 'b') || (unit.size() == 3 && unit.ends_with("ib")))
    unit.resize(1);
  const double factor = factor_of(kSizes, unit);
  if (std::isnan(number) || std::isnan(factor) || !rest.empty()) return bad();
  // A double holds every whole number up to here. Beyond it bytes would be lost silently.
  if (number * factor > 9007199254740992.0)
    return fail(Code::badValue, fmt::format("'{}' is more than 8192 TiB", text), {}, "a smaller size");
  return std::int64_t(number * factor);
}

std::string format_size(std::int64_t bytes) {
  constexpr std::array<std::string_view, 5> kNames{"B", "KiB", "MiB", "GiB", "TiB"};
  double value = double(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kNames.size()) value /= 1024, ++unit;
  if (unit == 0 || value >= 100 || value == std::floor(value)) return fmt::format("{:.0f} {}", value, kNames[unit]);
  return fmt::format("{:.1f} {}", value, kNames[unit]);
}

}  // namespace geres
