// SPDX-License-Identifier: Apache-2.0
// Points in time as people type them, for flags such as --not-before and --since. A day or a clock alone is meant on
// the clock of who types it (local time); what a program writes has its zone.
//
//   moment = "now" | duration | RFC 3339 | day [ ("T" | " ") clock ] | clock
//   day    = "today" | "tomorrow" | "yesterday" | YYYY-MM-DD          clock = H:MM [":" SS]
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace geres::cli {

// Where a duration leads, and which day a clock alone is of: the nearest one behind or ahead.
enum class Toward { past, future };

std::optional<Millis> moment_of(std::string_view text, Millis now, Toward toward);

// What would be right, for the "try" of an error: "--since 2h, …".
std::string moment_examples(const std::string& flag, Toward toward);

}  // namespace geres::cli
