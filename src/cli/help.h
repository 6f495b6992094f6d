// SPDX-License-Identifier: Apache-2.0
// Help, made from the command tables, and the topics that belong to no single command, from docs/help/*.txt.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"

namespace geres::cli {

std::string top_help(bool colour);
std::string command_help(const Command& command, bool colour);

struct Topic {
  std::string_view name;
  std::string_view text;  // its first line is its title
};
const std::vector<Topic>& topics();

}  // namespace geres::cli
