// SPDX-License-Identifier: Apache-2.0
#include "cli/command_package.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/bytes.h"
#include "cli/text.h"
#include "package/manifest.h"

namespace geres::cli {
namespace {

namespace fs = std::filesystem;

// Makes a name that the hub accepts, since the user did not choose one: one line, not too long.
std::string as_name(std::string_view text) {
  constexpr std::size_t kNameBytesMax = 256;
  constexpr std::string_view kMore = "…";
  std::string name = escape_bad_utf8(text);
  for (auto& c : name)
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = ' ';
  if (name.size() <= kNameBytesMax) return name;
  return std::string(utf8_prefix(name, kNameBytesMax - kMore.size())).append(kMore);
}

bool is_file(const std::string& word) {
  std::error_code error;
  return fs::is_regular_file(word, error);
}

bool in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  for (const auto& directory : split(path == nullptr ? "/usr/bin:/bin" : path, ':')) {
    const auto file = fs::path(directory.empty() ? "." : directory) / program;
    if (is_file(file.string()) && ::access(file.c_str(), X_OK) == 0) return true;
  }
  return false;
}

// Encodes a word that is not UTF-8 for printf's %b, so that no part of it has a special meaning there.
std::string for_printf(const std::string& word) {
  std::string out;
  char octal[8];
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 128 && c != '\\')
      out += c;
    else
      out.append(octal, std::size_t(std::snprintf(octal, sizeof octal, "\\0%03o", unsigned(byte))));
  }
  return out;
}

// Programs that belong to the system, so hosts are expected to have them too.
bool of_the_system(const std::string& path) {
  for (const char* directory : {"/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/", "/snap/"})
    if (path.starts_with(directory)) return true;
  return false;
}

// A file's place in the package: its relative path if that stays below this directory, else its base name.
std::string place_of(const std::string& word) {
  const auto path = fs::path(replace_bad_utf8(word)).lexically_normal();  // names in packages are UTF-8
  const bool below = path.is_relative() && path.string() != ".." && !path.string().starts_with("../");
  return below ? path.string() : path.filename().string();
}

// The word as a command's argument: braces are plain text, except around names that it may refer to.
std::string templated(const std::string& word, const std::set<std::string>& names, bool& refers) {
  std::string out;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (word[i] == '{') {
      const auto end = word.find('}', i);
      const auto name = end == std::string::npos ? "" : word.substr(i + 1, end - i - 1);
      if (names.contains(name)) {
        out += "{" + name + "}";
        refers = true;
        i = end;
        continue;
      }
    }
    out += word[i];
    if (word[i] == '{' || word[i] == '}') out += word[i];
  }
  return out;
}

std::string type_name(const std::string& program) {
  std::string name;
  for (const char c : fs::path(program).filename().string()) {
    const bool fine = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                      (!name.empty() && (c == '-' || c == '_' || c == '.'));
    if (fine && !(c == '.' && name.ends_with('.')))
      name += c;
    else if (!name.empty() && !name.ends_with('-'))
      name += '-';
  }
  name.resize(std::min<std::size_t>(name.size(), 40));
  return name.empty() ? "command" : name;
}

class Planner {
 public:
  Planner(const std::set<std::string>& names, const CommandAround& around) : names_(names), around_(around) {}

  Result<CommandPlan> plan(const std::vector<std::string>& words) {
    auto program = program_word(words[0]);
    if (!program) return program.error();
    command_.push_back(*program);
    for (std::size_t i = 1; i < words.size(); ++i) {
      auto argument = argument_word(words[i], i);
      if (!argument) return argument.error();
      command_.push_back(*argument);
    }
    put_bytes();
    put_around();
    plan_.type = type_name(words[0]);
    for (const auto& word : words) plan_.title += (plan_.title.empty() ? "" : " ") + shell_quoted(word);
    plan_.title = as_name(plan_.title);
    package::Manifest manifest;
    manifest.jobs[plan_.type].command = command_;
    plan_.items.push_back({std::string(package::kManifestName), {}, package::manifest_text(manifest)});
    return std::move(plan_);
  }

 private:
  Result<std::string> program_word(const std::string& word) {
    if (word.empty()) return fail(Code::badValue, "the command is empty", "--");
    const bool path = word.find('/') != std::string::npos;
    if (path ? of_the_system(word) : in_path(word)) return valid_utf8(word) ? escaped(word) : parameter(word, 0);
    std::error_code error;
    if (fs::is_directory(word, error))
      return fail(Code::badValue, "'" + word + "' is a directory, not a program", "--");
    if (!is_file(word)) {
      if (path) return fail(Code::badValue, "there is no file '" + word + "'", "--");
      return fail(Code::badValue, "'" + word + "' is neither a program in PATH nor a file here", "--",
                  "its whole path, such as /usr/bin/" + word + ", if only the hosts have it");
    }
    if (::access(word.c_str(), X_OK) != 0)
      return fail(Code::badValue, "'" + word + "' is not executable", "--", "chmod +x " + shell_quoted(word));
    auto place = add_file(word);
    if (!place) return place.error();
    return "./" + escaped(*place);
  }

  Result<std::string> argument_word(const std::string& word, std::size_t number) {
    if (is_file(word)) {
      auto place = add_file(word);
      if (!place) return place.error();
      return "{GERES_PACKAGE_DIR}/" + escaped(*place);
    }
    std::error_code error;
    if (fs::is_directory(word, error)) plan_.directories.push_back(word);
    bool refers = false;
    const auto text = templated(word, names_, refers);
    const bool own = refers || names_.contains("argument" + std::to_string(number));
    if (own && !valid_utf8(word))
      return fail(Code::badValue, "'" + escape_bad_utf8(word) + "' is not UTF-8 and refers to a parameter", "--",
                  "the bytes and the parameter in words of their own");
    return own ? text : parameter(word, number);
  }

  // Parameters are UTF-8. A word of other bytes is sent as text from which the job's machine restores the bytes.
  std::string parameter(const std::string& word, std::size_t number) {
    const bool bytes = !valid_utf8(word);
    const std::string name = "argument" + std::to_string(number);
    plan_.parameters[name] = bytes ? for_printf(word) : word;
    if (bytes) bytes_.insert(number);
    return "{" + name + "}";
  }

  // The full stop protects line ends at the end of the word, which $(…) would remove.
  void put_bytes() {
    if (bytes_.empty()) return;
    std::string made, call = "exec";
    for (std::size_t i = 0; i < command_.size(); ++i) {
      const auto number = std::to_string(i + 1), word = "\"${" + number + "}\"";
      if (bytes_.contains(i)) made += "w" + number + "=$(printf %b. " + word + "); ";
      call += bytes_.contains(i) ? " \"${w" + number + "%.}\"" : " " + word;
    }
    put_before({"/bin/sh", "-c", escaped(made + call), "geres"});
  }

  void put_before(const std::vector<std::string>& words) {
    if (command_[0].starts_with("./")) command_[0] = "{GERES_PACKAGE_DIR}/" + command_[0].substr(2);
    command_.insert(command_.begin(), words.begin(), words.end());
  }

  // Values are parameters, so that the package stays the same with other values.
  void put_around() {
    std::vector<std::string> before;
    if (around_.stdin_file) before = {"/bin/sh", "-c", "exec \"$@\" < " + std::string(kStdinPlace), "geres"};
    if (!around_.environment.empty()) before.emplace_back("/usr/bin/env");
    for (const auto& [name, value] : around_.environment) {
      const std::string parameter = "environment" + std::to_string(before.size());
      plan_.parameters[parameter] = value;
      before.push_back(escaped(name) + "={" + parameter + "}");
    }
    if (!before.empty()) put_before(before);
  }

  Result<std::string> add_file(const std::string& word) {
    const auto place = place_of(word);
    const auto path = fs::absolute(word);
    for (const auto& item : plan_.items) {
      if (item.name != place) continue;
      std::error_code error;
      if (fs::equivalent(item.file, path, error)) return place;
      return fail(Code::badValue, "two files would both lie at '" + place + "' in the package", "--",
                  "rename one of them");
    }
    if (place == package::kManifestName)
      return fail(Code::badValue, "a file called geres.json cannot go along by itself", "--", "geres package push");
    plan_.items.push_back({place, path, std::nullopt});
    return place;
  }

  static std::string escaped(const std::string& word) {
    bool refers = false;
    return templated(word, {}, refers);
  }

  const std::set<std::string>& names_;
  const CommandAround& around_;
  CommandPlan plan_;
  std::vector<std::string> command_;
  std::set<std::size_t> bytes_;  // indexes of the command's words that are not UTF-8
};

}  // namespace

Result<CommandPlan> plan_command(const std::vector<std::string>& words, const std::set<std::string>& names,
                                 const CommandAround& around) {
  if (words.empty()) return fail(Code::badValue, "nothing follows the --", "--", "geres submit -- echo hello");
  return Planner(names, around).plan(words);
}

}  // namespace geres::cli
