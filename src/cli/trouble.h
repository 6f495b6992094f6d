// SPDX-License-Identifier: Apache-2.0
// How a command ends when it cannot go on: an exit code and three parts (what happened, why, what to do next). Commands
// throw it, and one place shows it.
#pragma once

#include <string>

#include "base/json.h"
#include "cli/client/transport.h"

namespace geres::cli {

// What separates 2 from 1: a command line that can never be right ends with 2 (an unknown flag, a missing argument, a
// value that cannot be parsed). One that is well formed but fails now ends with 1 (the hub refuses, the job failed, a
// file or a program is missing); it may succeed another day. 3 and 4 are kinds of 1 that scripts want to tell apart: no
// hub was reached, the token does not suffice.
enum Exit : int { kDone = 0, kFailed = 1, kUsage = 2, kUnreachable = 3, kNotAllowed = 4, kInterrupted = 130 };

struct Trouble {
  int exit = kFailed;
  std::string error;  // "type 'Thumbnial' is not in demo/thumbnails"
  std::string why = {};
  std::string next = {};  // shown as "try:"
  std::string code = {};  // stable, for JSON; empty: derived from the exit code
  std::string field = {};
  json::value problem = nullptr;  // the hub's problem document, which JSON output repeats unchanged
};

[[noreturn]] void usage_error(std::string error, std::string why = {}, std::string next = {}, std::string field = {});
[[noreturn]] void cannot(std::string error, std::string why = {}, std::string next = {}, std::string field = {});
// By the status of the hub's answer. 400 is 2, because it is about a value that only the hub could check.
int exit_of_refusal(unsigned status);

// The three parts as lines, and as one JSON value shaped like the hub's problems. With a terminal's width, the first
// two are broken between words; what to do next stays unbroken, so that it can be pasted.
std::string trouble_text(const Trouble& trouble, bool colour, int width = 0);
json::value trouble_json(const Trouble& trouble);

}  // namespace geres::cli
