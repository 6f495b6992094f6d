// SPDX-License-Identifier: Apache-2.0
// Durations and sizes as people write them. One parser for command line, JSON and configuration.
//
//   duration = 1*( number unit )     unit = "ms" | "s" | "m" | "h" | "d"        "1500ms"  "30s"  "1h30m"
//   size     = number [ unit ]       unit = "B" | "KiB" | "MiB" | "GiB" | "TiB" (also K, M, G, T)
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
