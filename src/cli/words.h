// SPDX-License-Identifier: Apache-2.0
// The command line, taken apart by the command tables: which command, which flags, which arguments, and what follows a
// lone "--". Everything wrong with it is a usage error that names the word and, where one is near, the right one.
//
// A table-driven reader of our own instead of a library: the tables are needed for help and completion anyway, and the
// library at hand has no suggestions, reports a mistyped flag as a missing other one, and costs seconds a file.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/moments.h"

namespace geres::cli {

struct Words {
  const Command* command = nullptr;
  std::map<std::string, std::vector<std::string>> flags;  // switches: one empty text for each time
  std::vector<std::string> arguments;
  std::vector<std::string> after_dashes;
  bool dashes = false;

  bool has(const std::string& flag) const { return flags.contains(flag); }
  // The switch, not a command's own --version N.
  bool wants_version() const { return value("version") == ""; }
  std::optional<std::string> value(const std::string& flag) const;  // the last one given
};

// `args` without the program's name. "--help" anywhere before "--" and "--version" are flags like others; a command
// that is not there is null only with them, or when there are no words at all.
Words parse_words(const std::vector<std::string>& args);

// Throws the usage error if the text is not UTF-8, as nothing but names of files on this machine may be.
void check_text(const std::string& text, const std::string& source);

// Where the times of a flag lie.
Toward toward_of(const Flag& flag);

// Is `value` right for the flag? Throws the usage error if not. `source` is "--delay" or "GERES_DELAY".
void check_value(const Flag& flag, const std::string& value, const std::string& source);

// "--param k=v" and the like: the two halves.
std::pair<std::string, std::string> pair_of(const std::string& text);

}  // namespace geres::cli
