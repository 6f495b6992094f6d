// SPDX-License-Identifier: Apache-2.0
// What could come next on a command line that is being typed. The shells' own part is a fixed adaptor that calls
// `geres __complete WORD…` (the last word is the one being typed) and gets "value TAB description" lines; no line at
// all means: complete file names.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace geres::cli {

struct Candidate {
  std::string value;
  std::string description;
};

// Asks the hub for names when that helps, for at most 300 ms.
std::vector<Candidate> complete(const std::vector<std::string>& words);
int print_completions(const std::vector<std::string>& words);
std::vector<Command> completion_commands();

}  // namespace geres::cli
