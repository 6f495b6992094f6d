// SPDX-License-Identifier: Apache-2.0
// "submit -- COMMAND ARG...": makes a package from the words of a command line, pushes it silently, and uses it again
// as long as its content is the same.
//
// The package contains the program, if it is named by a path outside of the system's directories or is a file here and
// not in PATH, and every argument that is an existing file. They keep their relative paths (or base names), and the
// words are changed to their places on the host. All other arguments become parameters, so that the same program with
// other arguments is the same package. Words that are not UTF-8 reach the program unchanged: the host's shell restores
// their bytes before it executes it. The package is named "cmd-" and the start of its digest, and its only job type
// after the program.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "package/archive.h"

namespace geres::cli {

struct CommandPlan {
  std::vector<package::Item> items;  // geres.json and the files
  std::string type;
  json::object parameters;               // argument1, argument2, …
  std::string title;                     // the command line, for the job's name
  std::vector<std::string> directories;  // arguments that are directories, which are not sent
};

// What the host puts around the command.
struct CommandAround {
  std::map<std::string, std::string> environment;
  bool stdin_file = false;  // its standard input is the file at kStdinPlace in the working directory
};
inline constexpr const char* kStdinPlace = "geres.stdin";

// `names`: parameters that a word may refer to as {name} ("input", and those of --param). Errors name the word.
Result<CommandPlan> plan_command(const std::vector<std::string>& words, const std::set<std::string>& names,
                                 const CommandAround& around = {});

}  // namespace geres::cli
