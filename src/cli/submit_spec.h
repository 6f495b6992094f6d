// SPDX-License-Identifier: Apache-2.0
// The job specs that the flags of a submit describe. Files are only named here, not sent.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "cli/context.h"

namespace geres::cli {

struct InputFile {
  std::string path;            // in the job's working directory
  std::filesystem::path file;  // here
};

struct PlannedJob {
  json::object spec;  // without inputs
  std::vector<InputFile> inputs;
};

std::vector<Flag> submit_flags();

// Names that words and parameters may refer to as {name}: "input" with --each-input, and those of --param.
std::set<std::string> placeholders(Context& context);

// `extra`: parameters from the command's own words. Usage errors name the flag.
std::vector<PlannedJob> plan_jobs(Context& context, const json::object& extra, const std::string& title);

}  // namespace geres::cli
