// SPDX-License-Identifier: Apache-2.0
// "submit -- COMMAND ARG...": a package made from the words of a command line, pushed unseen and used again as long as
// nothing in it changes.
//
// What goes along: the program, when it is named by a path outside of the system's directories, or is no program in
// PATH but a file here; and every argument that is an existing file. They keep their relative paths (or base names) and
// the words are turned to where they lie on the host. All other arguments become parameters, so that the same program
// with other arguments is the same package. Words that are not UTF-8 reach the program as they are: the host's shell
// makes their bytes of text before it executes it. The package is named "cmd-" and the start of its digest, and its one
// job type like the program.
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
  std::vector<std::string> directories;  // arguments that are directories, which stay here
};

// What stands around the command on the host.
struct CommandAround {
  std::map<std::string, std::string> environment;
  bool stdin_file = false;  // its standard input is the file at kStdinPlace in the working directory
};
inline constexpr const char* kStdinPlace = "geres.stdin";

// `names`: parameters that a word may refer to as {name} ("input", those of --param). Errors name the word.
Result<CommandPlan> plan_command(const std::vector<std::string>& words, const std::set<std::string>& names,
                                 const CommandAround& around = {});

}  // namespace geres::cli
