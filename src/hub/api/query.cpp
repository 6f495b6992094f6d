// SPDX-License-Identifier: Apache-2.0
#include "hub/api/query.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/bytes.h"
#include "base/duration.h"
#include "base/similar.h"

namespace geres::hub::api {
namespace {

constexpr std::size_t kPageMax = 1'000;

bool is_among(std::string_view name, std::initializer_list<std::string_view> known) {
  return std::any_of(known.begin(), known.end(), [name](std::string_view k) {
    return k.ends_with('.') ? name.size() > k.size() && name.starts_with(k) : name == k;
  });
}

// An empty value, as an unset variable leaves it, must not mean "all" or "any". Only parameters that select nothing may
// be empty.
bool says_nothing(std::string_view name, std::string_view value) {
  static constexpr std::string_view kMayBeEmpty[] = {"cursor",       "dryRun",  "follow", "lastEventId",
                                                     "access_token", "batchId", "_"};
  if (name.starts_with("tag.") || std::ranges::find(kMayBeEmpty, name) != std::end(kMayBeEmpty)) return false;
  return value.find_first_not_of(',') == std::string_view::npos;
}

Error unknown_parameter(std::string_view name, std::initializer_list<std::string_view> known) {
  const std::vector<std::string> names(known.begin(), known.end());
  const std::string shown = replace_bad_utf8(utf8_prefix(name, 80));
  std::string hint;
  if (const std::string close = nearest(shown, names); !close.empty()) {
    hint = fmt::format("did you mean '{}'?", close);
  } else if (names.empty()) {
    hint = "this call takes none";
  } else {
    hint = fmt::format("known here: {}", fmt::join(names, ", "));
  }
  return fail(Code::unknownParameter, fmt::format("'{}' is not a known query parameter", shown), shown, hint);
}

}  // namespace

Result<void> only_parameters(const http::Query& query, std::initializer_list<std::string_view> known,
                             std::initializer_list<std::string_view> repeatable) {
  for (std::size_t i = 0; i < query.items.size(); ++i) {
    const auto& [name, value] = query.items[i];
    if (name.find('\0') != std::string::npos || value.find('\0') != std::string::npos)
      return fail(Code::badValue, "a NUL character in the query", replace_bad_utf8(utf8_prefix(name, 80)));
    const bool repeats = is_among(name, repeatable);
    if (!repeats && !is_among(name, known)) return unknown_parameter(name, known);
    if (says_nothing(name, value))
      return fail(Code::badValue, fmt::format("'{}' is empty", name), name, "leave it out, or say which");
    if (repeats) continue;
    for (std::size_t j = 0; j < i; ++j)
      if (query.items[j].first == name)
        return fail(Code::badValue, fmt::format("'{}' is given twice", name), name, "give it once");
  }
  return {};
}

Error about(Error error, std::string_view field) {
  error.field = field;
  return error;
}

std::string text_parameter(const http::Query& query, std::string_view name) {
  return std::string(query.get(name).value_or(std::string_view()));
}

Result<std::optional<std::int64_t>> number_parameter(const http::Query& query, std::string_view name,
                                                     std::int64_t least, std::int64_t most) {
  const auto text = query.get(name);
  if (!text) return std::optional<std::int64_t>();
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size() || number < least || number > most)
    return fail(Code::badValue, fmt::format("'{}' does not fit", utf8_prefix(*text, 80)), std::string(name),
                fmt::format("a whole number from {} to {}", least, most));
  return std::optional(number);
}

Result<std::optional<Millis>> duration_parameter(const http::Query& query, std::string_view name, Millis most) {
  const auto text = query.get(name);
  if (!text) return std::optional<Millis>();
  auto duration = parse_duration(*text);
  if (!duration) return about(duration.error(), name);
  if (*duration > most)
    return fail(Code::badValue, fmt::format("{} is too long", format_duration(*duration)), std::string(name),
                fmt::format("at most {}", format_duration(most)));
  return std::optional<Millis>(*duration);
}

Result<std::optional<Millis>> time_parameter(const http::Query& query, std::string_view name) {
  const auto text = query.get(name);
  if (!text) return std::optional<Millis>();
  auto time = parse_time(*text);
  if (!time) return about(time.error(), name);
  return std::optional<Millis>(*time);
}

Result<bool> flag_parameter(const http::Query& query, std::string_view name) {
  const auto text = query.get(name);
  if (!text || *text == "false") return false;
  if (text->empty() || *text == "true") return true;
  return fail(Code::badValue, fmt::format("'{}' is neither", utf8_prefix(*text, 80)), std::string(name),
              "true or false");
}

std::vector<std::string> words_parameter(const http::Query& query, std::string_view name) {
  std::vector<std::string> words;
  for (std::string_view text : query.all(name)) {
    while (!text.empty()) {
      const auto comma = std::min(text.find(','), text.size());
      if (comma > 0) words.emplace_back(text.substr(0, comma));
      text.remove_prefix(std::min(comma + 1, text.size()));
    }
  }
  return words;
}

std::string cursor_after(std::int64_t position) {
  return fmt::format("{:x}", std::uint64_t(position));
}

Error bad_cursor() {
  return fail(Code::badValue, "this cursor was not made here", "cursor", "the `next` of the page before, unchanged");
}

Result<std::int64_t> read_cursor(std::string_view cursor) {
  std::uint64_t position = 0;
  const auto [end, error] = std::from_chars(cursor.data(), cursor.data() + cursor.size(), position, 16);
  if (error != std::errc() || end != cursor.data() + cursor.size() || std::int64_t(position) < 0) return bad_cursor();
  return std::int64_t(position);
}

Result<store::Page> page_parameters(const http::Query& query) {
  store::Page page;
  const auto limit = number_parameter(query, "limit", 1, kPageMax);
  if (!limit) return limit.error();
  if (*limit) page.limit = std::size_t(**limit);
  if (const auto cursor = query.get("cursor")) {
    const auto position = read_cursor(*cursor);
    if (!position) return position.error();
    page.after = *position;
  }
  if (const auto order = query.get("order")) {
    if (*order != "asc" && *order != "desc")
      return fail(Code::badValue, fmt::format("'{}' is not an order", utf8_prefix(*order, 80)), "order", "asc or desc");
    page.ascending = *order == "asc";
  }
  return page;
}

}  // namespace geres::hub::api
