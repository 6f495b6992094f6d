// SPDX-License-Identifier: Apache-2.0
// Proposes how to continue a command line that is being typed. Each shell has a fixed adaptor that calls `geres
// __complete WORD…` (the last word is being typed) and reads lines of "value TAB description". No line at all means:
// complete file names.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace geres::cli {

struct Candidate {
  std::string value;
  std::string description;
};

// Asks the hub for names where that helps, for at most 300 ms.
std::vector<Candidate> complete(const std::vector<std::string>& words);
int print_completions(const std::vector<std::string>& words);
std::vector<Command> completion_commands();

}  // namespace geres::cli
