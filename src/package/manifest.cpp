// SPDX-License-Identifier: Apache-2.0
#include "package/manifest.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "model/names.h"
#include "package/archive.h"
#include "package/names.h"
#include "package/template.h"

namespace geres::package {
namespace {

Error bad_manifest(std::string field, std::string message, std::string hint = {}) {
  return fail(Code::badPackage, std::string(kManifestName) + ": " + std::move(message), std::move(field),
              std::move(hint));
}

// A relative name that stays in the package.
Result<void> check_confined(const std::string& name) {
  auto checked = checked_name(name, Limits{});
  if (!checked) return checked.error();
  if (checked->empty() || name.ends_with('/')) return fail(Code::badPackage, "'" + name + "' is not a file's name");
  return {};
}

Result<void> check_command(const std::vector<std::string>& command, const std::string& field) {
  if (command.empty())
    return bad_manifest(field, "the command is empty", "a list such as [\"./run.sh\", \"{picture}\"]");
  for (std::size_t i = 0; i < command.size(); ++i) {
    const auto at = field + "/" + std::to_string(i);
    if (command[i].size() > 128 * 1024) return bad_manifest(at, "the argument is longer than 128 KiB");
    auto parsed = parse_template(command[i]);
    if (!parsed) return bad_manifest(at, parsed.error().message, parsed.error().hint);
    if (i == 0 && std::any_of(parsed->begin(), parsed->end(), [](const Piece& p) { return p.is_name; }))
      return bad_manifest(at, "the program itself cannot come from a parameter");
  }
  const auto& program = command.front();
  if (program.empty()) return bad_manifest(field + "/0", "the program has no name");
  if (program.find('/') == program.npos || program.front() == '/') return {};
  if (auto confined = check_confined(program); !confined) return bad_manifest(field + "/0", confined.error().message);
  return {};
}

Result<void> check_entry(const std::string& type, const JobEntry& entry) {
  const std::string field = "/jobs" + json::pointer_token(type);
  if (!valid_type_name(type))
    return bad_manifest(field, "'" + shown(type) + "' cannot be a job type",
                        "a letter or digit, then up to 62 letters, digits, '.', '_' or '-', without '..'");
  if (entry.command && entry.library)
    return bad_manifest(field, "job type '" + type + "' has both a command and a library", "exactly one of them");
  if (!entry.command && !entry.library)
    return bad_manifest(field, "job type '" + type + "' has neither a command nor a library", "exactly one of them");
  if (entry.timeout && entry.timeout->ms <= 0)
    return bad_manifest(field + "/timeout", "the timeout must be above zero");
  if (entry.command) return check_command(*entry.command, field + "/command");
  if (auto confined = check_confined(*entry.library); !confined)
    return bad_manifest(field + "/library", confined.error().message, "a shared library of the package");
  return {};
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

Error unknown_type(std::string_view type, const std::vector<std::string>& known) {
  return fail(Code::unknownType, "the package has no job type '" + shown(type) + "'", "/type",
              known.empty() ? "" : "it has " + joined(known));
}

bool is_regular(const std::filesystem::path& path, bool* executable = nullptr) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  if (executable != nullptr) *executable = (status.st_mode & 0111) != 0;
  return true;
}

std::vector<RootFile> root_files(const std::filesystem::path& package) {
  std::vector<RootFile> files;
  for (const auto& entry : std::filesystem::directory_iterator(package)) {
    RootFile file{entry.path().filename().string()};
    if (is_regular(entry.path(), &file.executable)) files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return files;
}

Result<Launch> launch_of(const std::filesystem::path& package, std::string_view type, const JobEntry& entry,
                         std::string_view parameters) {
  Launch launch;
  if (entry.timeout) launch.timeout = entry.timeout->ms;
  if (entry.library) {
    const auto library = package / *entry.library;
    if (!is_regular(library))
      return fail(Code::badPackage, "the library '" + *entry.library + "' is not in the package");
    launch.libraries.push_back(library.string());
    return launch;
  }
  auto command = fill_command(*entry.command, type, parameters, package);
  if (!command) return command.error();
  launch.command = std::move(*command);
  auto& program = launch.command.front();
  if (program.find('/') == program.npos || program.front() == '/') return launch;
  if (!is_regular(package / program))
    return fail(Code::badPackage, "the program '" + program + "' is not in the package");
  program = (package / program).lexically_normal().string();
  return launch;
}

// The rules for a package without manifest.
Result<Launch> launch_by_name(const std::filesystem::path& package, std::string_view type) {
  Launch launch;
  const auto root = root_files(package);
  for (const auto& file : root) {
    if (is_library_name(file.name))
      launch.libraries.push_back((package / file.name).string());
    else if (file.executable && file.name == type)
      launch.command = {(package / file.name).string()};
  }
  if (!launch.libraries.empty() || !launch.command.empty()) return launch;
  auto contents = contents_of(std::nullopt, root);
  if (!contents) return contents.error();
  return unknown_type(type, contents->types);
}

}  // namespace

bool valid_type_name(std::string_view name) {
  return model::is_name(name);
}

Result<Manifest> parse_manifest(std::string_view text) {
  if (text.size() > kManifestBytesMax) return bad_manifest({}, "the file is larger than 1 MiB");
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  auto manifest = json::read_text<Manifest>(text);
  if (!manifest) return bad_manifest(manifest.error().field, manifest.error().message, manifest.error().hint);
  if (manifest->jobs.empty())
    return bad_manifest("/jobs", "no job type is named", R"({"jobs": {"Thumbnail": {"command": ["./thumbnail.sh"]}}})");
  for (const auto& [type, entry] : manifest->jobs)
    if (auto checked = check_entry(type, entry); !checked) return checked.error();
  return manifest;
}

std::string manifest_text(const Manifest& manifest) {
  return json::write_text(manifest);
}

std::vector<std::string> parameters_of(const JobEntry& entry) {
  std::vector<std::string> names;
  if (!entry.command) return names;
  for (const auto& argument : *entry.command) {
    const auto pieces = parse_template(argument);
    if (!pieces) continue;
    for (const auto& piece : *pieces)
      if (piece.is_name && piece.text != kPackageDirName &&
          std::find(names.begin(), names.end(), piece.text) == names.end())
        names.push_back(piece.text);
  }
  return names;
}

bool is_library_name(std::string_view name) {
  for (auto dot = name.find(".so"); dot != name.npos; dot = name.find(".so", dot + 1)) {
    const auto rest = name.substr(dot + 3);
    if (dot > 0 && (rest.empty() ||
                    (rest.size() > 1 && rest.front() == '.' &&
                     std::all_of(rest.begin(), rest.end(), [](char c) { return c == '.' || (c >= '0' && c <= '9'); }))))
      return true;
  }
  return false;
}

bool Contents::may_have(std::string_view type) const {
  return open || std::binary_search(types.begin(), types.end(), type);
}

Result<Contents> contents_of(const std::optional<Manifest>& manifest, const std::vector<RootFile>& root) {
  Contents contents;
  contents.has_manifest = manifest.has_value();
  if (manifest) {
    for (const auto& [type, entry] : manifest->jobs) contents.types.push_back(type);
    return contents;
  }
  for (const auto& file : root) {
    if (is_library_name(file.name))
      contents.open = true;
    else if (file.executable && valid_type_name(file.name))
      contents.types.push_back(file.name);
  }
  std::sort(contents.types.begin(), contents.types.end());
  if (contents.types.empty() && !contents.open)
    return fail(Code::badPackage, "the package has nothing to run", {},
                "a geres.json, a shared library, or a file marked executable, in the root of the package");
  return contents;
}

Result<Launch> find_job(const std::filesystem::path& package, std::string_view type, std::string_view parameters) {
  if (!valid_type_name(type)) return unknown_type(type, {});
  if (!is_regular(package / kManifestName)) return launch_by_name(package, type);
  auto manifest = parse_manifest(read_file(package / kManifestName));
  if (!manifest) return manifest.error();
  const auto entry = manifest->jobs.find(std::string(type));
  if (entry != manifest->jobs.end()) return launch_of(package, type, entry->second, parameters);
  std::vector<std::string> known;
  for (const auto& [name, job] : manifest->jobs) known.push_back(name);
  return unknown_type(type, known);
}

std::vector<std::string> command_line(const Launch& launch, std::string_view type,
                                      const std::filesystem::path& loader) {
  if (launch.libraries.empty()) return launch.command;
  std::vector<std::string> line{loader.string()};
  if (!launch.command.empty()) line.insert(line.end(), {"--else", launch.command.front()});
  line.insert(line.end(), launch.libraries.begin(), launch.libraries.end());
  line.emplace_back(type);
  return line;
}

}  // namespace geres::package
