// SPDX-License-Identifier: Apache-2.0
// Points in time as people type them, for flags such as --not-before and --since. A day or a time of day alone is in
// the user's local time; what a program writes has its zone.
//
//   moment = "now" | duration | RFC 3339 | day [ ("T" | " ") clock ] | clock
//   day    = "today" | "tomorrow" | "yesterday" | YYYY-MM-DD          clock = H:MM [":" SS]
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace geres::cli {

// Whether a duration counts backwards or forwards; also picks the day for a time of day alone: the nearest one in that
// direction.
enum class Toward { past, future };

std::optional<Millis> moment_of(std::string_view text, Millis now, Toward toward);

// Valid examples, for the "try" of an error: "--since 2h, …".
std::string moment_examples(const std::string& flag, Toward toward);

}  // namespace geres::cli
