// SPDX-License-Identifier: Apache-2.0
// {name} in a command's arguments: found, and filled from a job's parameters. {{ and }} stand for braces; a name is
// letters, digits, '_', '.' and '-'.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace geres::package {

inline constexpr std::string_view kPackageDirName = "GERES_PACKAGE_DIR";

struct Piece {
  std::string text;  // literal, or the name
  bool is_name = false;
};

Result<std::vector<Piece>> parse_template(std::string_view text);

// Each argument with its parameters put in: strings as they are, null as nothing, all else as JSON. `missingField` with
// /parameters/NAME if one is absent.
Result<std::vector<std::string>> fill_command(const std::vector<std::string>& command, std::string_view type,
                                              std::string_view parameters, const std::filesystem::path& package);

}  // namespace geres::package
