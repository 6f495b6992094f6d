// SPDX-License-Identifier: Apache-2.0
// Durations and sizes as people write them. One parser for command line, JSON and configuration.
//
//   duration = 1*( number unit )  unit = "ms" | "s" | "m" | "h" | "d" | "w"  "1500ms"  "1h30m"  "1h 30m"
//   size     = number [ unit ]    unit = "B" | "KiB" | … "TiB" (also K, KB, … of 1024 as well; in any case: "2gb")
//   number   = digits, "_" allowed between them, one "." allowed
#pragma once

#include "base/clock.h"
#include "base/error.h"

namespace geres {

Result<Millis> parse_duration(std::string_view text);
std::string format_duration(Millis duration);  // shortest exact form that parses back: "1500ms", "30s", "2h"

Result<std::int64_t> parse_size(std::string_view text);
std::string format_size(std::int64_t bytes);  // for people: "12 KiB", "1.5 GiB"

}  // namespace geres
