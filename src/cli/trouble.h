// SPDX-License-Identifier: Apache-2.0
// How a command ends when it cannot go on: an exit code and three parts (what happened, why, what to do next). Thrown
// by commands, shown in one place.
#pragma once

#include <string>

#include "base/json.h"
#include "cli/client/transport.h"

namespace geres::cli {

enum Exit : int { kDone = 0, kFailed = 1, kUsage = 2, kUnreachable = 3, kNotAllowed = 4, kInterrupted = 130 };

struct Trouble {
  int exit = kFailed;
  std::string error;  // "type 'Thumbnial' is not in demo/thumbnails"
  std::string why = {};
  std::string next = {};  // shown as "try:"
  std::string code = {};  // stable, for JSON; empty: from the exit code
  std::string field = {};
  json::value problem = nullptr;  // the hub's own words, which JSON output repeats as they are
};

[[noreturn]] void usage_error(std::string error, std::string why = {}, std::string next = {}, std::string field = {});

// The three parts as lines, and as one JSON value shaped like the hub's problems. With a terminal's width, what
// happened and why are broken between words; what to do stays whole, so that it can be pasted.
std::string trouble_text(const Trouble& trouble, bool colour, int width = 0);
json::value trouble_json(const Trouble& trouble);

}  // namespace geres::cli
