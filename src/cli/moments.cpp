// SPDX-License-Identifier: Apache-2.0
#include "cli/moments.h"

#include <charconv>
#include <chrono>
#include <ctime>

#include "base/duration.h"
#include "cli/text.h"

namespace geres::cli {
namespace {

std::optional<int> number(std::string_view text, std::size_t digits_min, std::size_t digits_max) {
  int n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || text.size() < digits_min || text.size() > digits_max)
    return std::nullopt;
  return n >= 0 && text[0] != '-' ? std::optional(n) : std::nullopt;
}

// Sets the day of `local`, with the time at midnight.
bool take_day(const std::string& text, std::tm& local) {
  local.tm_hour = local.tm_min = local.tm_sec = 0;
  if (text == "today") return true;
  if (text == "tomorrow" || text == "yesterday") {
    local.tm_mday += text == "tomorrow" ? 1 : -1;
    return true;
  }
  const auto parts = split(text, '-');
  if (parts.size() != 3) return false;
  const auto year = number(parts[0], 4, 4), month = number(parts[1], 1, 2), day = number(parts[2], 1, 2);
  if (!year || !month || !day) return false;
  if (!std::chrono::year_month_day(std::chrono::year(*year), std::chrono::month(unsigned(*month)),
                                   std::chrono::day(unsigned(*day)))
           .ok())
    return false;
  local.tm_year = *year - 1900;
  local.tm_mon = *month - 1;
  local.tm_mday = *day;
  return true;
}

bool take_clock(const std::string& text, std::tm& local) {
  const auto parts = split(text, ':');
  if (parts.size() < 2 || parts.size() > 3) return false;
  const auto hour = number(parts[0], 1, 2), minute = number(parts[1], 2, 2);
  const auto second = parts.size() == 3 ? number(parts[2], 2, 2) : std::optional(0);
  if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 59) return false;
  local.tm_hour = *hour;
  local.tm_min = *minute;
  local.tm_sec = *second;
  return true;
}

Millis millis_of(std::tm local) {
  local.tm_isdst = -1;  // daylight saving as on that day
  return Millis(std::mktime(&local)) * 1'000;
}

}  // namespace

std::optional<Millis> moment_of(std::string_view text, Millis now, Toward toward) {
  if (text == "now") return now;
  if (const auto span = parse_duration(text)) return toward == Toward::past ? now - *span : now + *span;
  if (const auto at = parse_time(text)) return *at;
  const std::time_t seconds = now / 1'000;
  std::tm local{};
  ::localtime_r(&seconds, &local);
  if (std::tm clock = local; take_clock(std::string(text), clock)) {
    const auto today = millis_of(clock);
    const int days = toward == Toward::future ? (today < now ? 1 : 0) : (today > now ? -1 : 0);
    clock.tm_mday += days;
    return millis_of(clock);
  }
  const auto gap = text.find_first_of(text.starts_with("to") ? " " : " T");
  if (!take_day(std::string(text.substr(0, gap)), local)) return std::nullopt;
  if (gap != std::string_view::npos && !take_clock(std::string(text.substr(gap + 1)), local)) return std::nullopt;
  return millis_of(local);
}

std::string moment_examples(const std::string& flag, Toward toward) {
  const std::string rest = toward == Toward::past ? "2h (ago), 18:00, yesterday, " : "18:00, tomorrow, 2h, ";
  return flag + " " + rest + "2026-12-01, 2026-12-01T18:00:00Z";
}

}  // namespace geres::cli
