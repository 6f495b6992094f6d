// SPDX-License-Identifier: Apache-2.0
#include "calendar/cron.h"

#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace geres::calendar {
namespace {

constexpr std::string_view kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                        "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view kWeekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct Range {
  const char* name;
  int first, last;
  std::span<const std::string_view> names;  // of first, first + 1, …
};
constexpr Range kFields[] = {{"minute", 0, 59, {}},
                             {"hour", 0, 23, {}},
                             {"day of the month", 1, 31, {}},
                             {"month", 1, 12, kMonths},
                             {"day of the week", 0, 7, kWeekdays}};

std::vector<std::string_view> pieces(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> found;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find_first_of(separators, at), text.size());
    found.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return found;
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text.size() > 4 || read.ec != std::errc() || read.ptr != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::optional<int> value(std::string_view text, const Range& range) {
  if (const auto plain = number(text)) return *plain >= range.first && *plain <= range.last ? plain : std::nullopt;
  std::string word(text);
  for (char& c : word) c = char(std::tolower(static_cast<unsigned char>(c)));
  for (std::size_t i = 0; i < range.names.size(); ++i)
    if (range.names[i] == word) return range.first + int(i);
  return std::nullopt;
}

template <std::size_t N>
bool read_item(std::string_view item, const Range& range, std::bitset<N>& set) {
  int step = 1;
  if (const auto slash = item.find('/'); slash != item.npos) {
    const auto given = number(item.substr(slash + 1));
    if (!given || *given < 1) return false;
    step = *given;
    item = item.substr(0, slash);
  }
  int from = range.first, to = range.last;
  if (item != "*") {
    const auto dash = item.find('-');
    const auto first = value(item.substr(0, dash), range);
    if (!first) return false;
    from = *first;
    if (dash != item.npos) {
      const auto last = value(item.substr(dash + 1), range);
      if (!last || *last < from) return false;
      to = *last;
    } else if (step == 1) {
      to = from;
    }
  }
  for (int i = from; i <= to; i += step) set.set(std::size_t(i));
  return true;
}

template <std::size_t N>
std::optional<Error> read_field(std::string_view text, const Range& range, std::bitset<N>& set) {
  for (const auto item : pieces(text, ","))
    if (!read_item(item, range, set))
      return fail(Code::badValue, "'" + std::string(item) + "' is no " + range.name, {},
                  std::string(range.name) + ": " + std::to_string(range.first) + " to " + std::to_string(range.last) +
                      ", *, lists (1,5), ranges (1-5) and steps (*/5)");
  return std::nullopt;
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
  std::vector<std::string_view> fields;
  for (const auto field : pieces(text, " \t"))
    if (!field.empty()) fields.push_back(field);
  if (fields.size() != 5)
    return fail(Code::badValue, "'" + std::string(text) + "' has " + std::to_string(fields.size()) + " fields", {},
                "five: minute, hour, day of the month, month, day of the week; \"0 8 * * mon-fri\" is eight o'clock on "
                "working days");
  Cron cron;
  if (auto error = read_field(fields[0], kFields[0], cron.minutes_)) return *error;
  if (auto error = read_field(fields[1], kFields[1], cron.hours_)) return *error;
  if (auto error = read_field(fields[2], kFields[2], cron.days_)) return *error;
  if (auto error = read_field(fields[3], kFields[3], cron.months_)) return *error;
  if (auto error = read_field(fields[4], kFields[4], cron.weekdays_)) return *error;
  if (cron.weekdays_[7]) cron.weekdays_.set(0);
  cron.any_day_ = fields[2].starts_with('*');
  cron.any_weekday_ = fields[4].starts_with('*');
  return cron;
}

bool Cron::has_date(std::chrono::year_month_day date) const {
  if (!months_[unsigned(date.month())]) return false;
  const bool day = days_[unsigned(date.day())];
  const bool weekday = weekdays_[std::chrono::weekday(std::chrono::sys_days(date)).c_encoding()];
  return any_day_ || any_weekday_ ? day && weekday : day || weekday;
}

}  // namespace geres::calendar
