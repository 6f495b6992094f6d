// SPDX-License-Identifier: Apache-2.0
// Parses the command line by the command tables: which command, which flags, which arguments, and what follows a lone
// "--". Every error is a usage error that names the wrong word and, if one is near, the right one.
//
// A parser of our own driven by these tables, not a library: help and completion need the tables anyway, and the
// library at hand (CLI11) makes no suggestions, reports a mistyped flag as another one that is missing, and costs
// seconds of compile time per file.
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
  std::map<std::string, std::vector<std::string>> flags;  // a switch has one empty text per occurrence
  std::vector<std::string> arguments;
  std::vector<std::string> after_dashes;
  bool dashes = false;

  bool has(const std::string& flag) const { return flags.contains(flag); }
  // The switch --version, not a command's own --version N.
  bool wants_version() const { return value("version") == ""; }
  std::optional<std::string> value(const std::string& flag) const;  // the last one given
};

// `args` without the program's name. "--version", and "--help" anywhere before "--", are flags like others. The command
// is null only with these, or if there are no words at all.
Words parse_words(const std::vector<std::string>& args);

// Throws the usage error if the text is not UTF-8; only names of files on this machine may be otherwise.
void check_text(const std::string& text, const std::string& source);

// Whether the times of a flag are in the past or the future.
Toward toward_of(const Flag& flag);

// Throws the usage error if `value` is not valid for the flag. `source` is "--delay" or "GERES_DELAY".
void check_value(const Flag& flag, const std::string& value, const std::string& source);

// Splits "k=v", as for --param.
std::pair<std::string, std::string> pair_of(const std::string& text);

}  // namespace geres::cli
