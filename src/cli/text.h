// SPDX-License-Identifier: Apache-2.0
// Words, numbers and times as people read them. Whatever comes from a hub passes through clean() before it reaches a
// terminal: a job's name must not move the cursor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace geres::cli {

enum class Colour { none, grey, bold, red, green, yellow, cyan };
std::string paint(std::string_view text, Colour colour, bool really = true);

std::string clean(std::string_view text);  // one line, no control characters, valid UTF-8
std::string clean_lines(std::string_view text, std::string_view indent);  // the same, keeping line breaks

// A file's name, which may contain any character, made distinguishable and harmless: "new
// line", "\x1b[31m", "\u202e". Other characters stay as they are.
std::string escaped_name(std::string_view name);

// Breaks lines between words where they would be wider than `width`; all but the first begin with `indent`.
std::string wrapped(std::string_view text, std::size_t width, std::string_view indent);

std::size_t display_width(std::string_view text);                     // columns on a terminal; colours take none
std::string fit(std::string_view text, std::size_t width);            // cut with "…"
std::string fit_painted(const std::string& line, std::size_t width);  // the same for a line with colours in it
std::string pad(std::string_view text, std::size_t width, bool right = false);

std::string short_id(std::string_view id);                  // "…b2f41c77"; other text as it is
std::string ago(Millis then, Millis now);                   // "40s ago", "in 3m"
std::string took(Millis duration);                          // "0.02 s", "2.1 s", "1m 20s", "3h 5m"
std::string grouped(std::int64_t number);                   // "2,113"
std::string plural(std::int64_t n, std::string_view noun);  // "1 job", "2 jobs", "3 batches"
std::string joined(const std::vector<std::string>& words, std::string_view separator = ", ");
std::vector<std::string> split(std::string_view text, char separator);
std::string home_short(const std::string& path);    // "~/…"
std::string shell_quoted(const std::string& word);  // as people would type it

}  // namespace geres::cli
