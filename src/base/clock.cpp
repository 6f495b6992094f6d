// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <fmt/format.h>
#include <time.h>

#include <chrono>

namespace geres {
namespace {

Millis read_clock(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return Millis{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// Reads exactly `digits` decimal digits at `at` and moves past them; -1 if they are not there.
int digits_at(std::string_view text, std::size_t& at, std::size_t digits) {
  if (at + digits > text.size()) return -1;
  int value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const char c = text[at + i];
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  at += digits;
  return value;
}

bool take(std::string_view text, std::size_t& at, char wanted) {
  if (at >= text.size() || (text[at] | 0x20) != (wanted | 0x20)) return false;
  ++at;
  return true;
}

}  // namespace

Millis SystemClock::wall() const {
  return read_clock(CLOCK_REALTIME);
}
Millis SystemClock::monotonic() const {
  return read_clock(CLOCK_BOOTTIME);
}

std::string format_time(Millis time) {
  namespace chr = std::chrono;
  const chr::sys_time<chr::milliseconds> point{chr::milliseconds{time}};
  const auto day = chr::floor<chr::days>(point);
  const chr::year_month_day date{day};
  const chr::hh_mm_ss clock{point - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", int(date.year()), unsigned(date.month()),
                     unsigned(date.day()), clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

Result<Millis> parse_time(std::string_view text) {
  namespace chr = std::chrono;
  const auto bad = [&] {
    return fail(Code::badValue, fmt::format("'{}' is not a time", text), {},
                "a time as in RFC 3339, for example 2026-11-24T22:30:00Z");
  };
  std::size_t at = 0;
  const int year = digits_at(text, at, 4);
  if (year < 0 || !take(text, at, '-')) return bad();
  const int month = digits_at(text, at, 2);
  if (month < 1 || !take(text, at, '-')) return bad();
  const int day = digits_at(text, at, 2);
  const chr::year_month_day date{chr::year{year}, chr::month{unsigned(month)}, chr::day{unsigned(day < 0 ? 0 : day)}};
  if (!date.ok() || !(take(text, at, 'T') || take(text, at, ' '))) return bad();
  const int hour = digits_at(text, at, 2);
  if (hour < 0 || hour > 23 || !take(text, at, ':')) return bad();
  const int minute = digits_at(text, at, 2);
  if (minute < 0 || minute > 59 || !take(text, at, ':')) return bad();
  const int second = digits_at(text, at, 2);
  if (second < 0 || second > 60) return bad();
  Millis fraction = 0;
  if (take(text, at, '.')) {
    Millis scale = 100;
    const std::size_t start = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10)
      fraction += (text[at] - '0') * scale;
    if (at == start) return bad();
  }
  Millis offset = 0;
  if (!take(text, at, 'Z')) {
    if (at >= text.size() || (text[at] != '+' && text[at] != '-')) return bad();
    const int sign = text[at++] == '-' ? -1 : 1;
    const int hours = digits_at(text, at, 2);
    if (hours < 0 || !take(text, at, ':')) return bad();
    const int minutes = digits_at(text, at, 2);
    if (minutes < 0) return bad();
    offset = sign * (hours * 60 + minutes) * Millis{60'000};
  }
  if (at != text.size()) return bad();
  const Millis days = chr::sys_days{date}.time_since_epoch().count();
  const Millis time = ((days * 24 + hour) * 60 + minute) * 60'000 + second * Millis{1000} + fraction - offset;
  // A leap second or an offset may push the time out of the years that can be written.
  constexpr Millis kYear0 = -62'167'219'200'000, kYear10000 = 253'402'300'800'000;
  if (time < kYear0 || time >= kYear10000) return bad();
  return time;
}

}  // namespace geres
