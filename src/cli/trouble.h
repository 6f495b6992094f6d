// SPDX-License-Identifier: Apache-2.0
// How a command ends when it cannot go on: an exit code and three parts (what happened, why, what to do next). Thrown
// by commands, shown in one place.
#pragma once

#include <string>

#include "base/json.h"
#include "cli/client/transport.h"

namespace geres::cli {

// One rule tells 2 from 1. Ends with 2: words that can never be right, whatever the world is like: a flag that is not
// known, an argument that is missing, a value that nobody can read. Ends with 1: the words are well, and the world says
// no: the hub refuses, the job has failed, a file or a program is not here. Another day the same words may do. 3 and 4
// are a 1 that scripts want to tell apart: there is no hub, the token is not enough.
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
[[noreturn]] void cannot(std::string error, std::string why = {}, std::string next = {}, std::string field = {});
// By the status of the hub's answer: 400 is about a value that only the hub could read.
int exit_of_refusal(unsigned status);

// The three parts as lines, and as one JSON value shaped like the hub's problems. With a terminal's width, what
// happened and why are broken between words; what to do stays whole, so that it can be pasted.
std::string trouble_text(const Trouble& trouble, bool colour, int width = 0);
json::value trouble_json(const Trouble& trouble);

}  // namespace geres::cli
