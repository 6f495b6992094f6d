// SPDX-License-Identifier: Apache-2.0
// What a machine must offer to be a hub or a host. Changes nothing, except for a file that is written and removed
// again.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace geres::cli {

enum class Finding { passed, failed, fine };

struct Check {
  std::string name;  // stable
  Finding finding = Finding::passed;
  std::string message;
  std::string fix = {};  // the exact command or change that fixes it
};

std::vector<Check> check_machine(const std::filesystem::path& data);

// The directory itself, or else its nearest existing parent.
std::filesystem::path existing(std::filesystem::path path);

}  // namespace geres::cli
