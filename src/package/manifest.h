// SPDX-License-Identifier: Apache-2.0
// What a package can run. The grammar of geres.json, in the root of the package:
//
//   {"jobs": {TYPE: {"command": [PROGRAM, ARGUMENT…], "timeout": "2m"?}
//                 | {"library": FILE, "timeout": "2m"?}}}
//   PROGRAM   "./run.sh" or "bin/run": a file of the package. "python3": looked for in PATH. "/usr/bin/env": as it is
//   ARGUMENT  text with {name}: the job's top-level parameter of that name, and {GERES_PACKAGE_DIR}: where the package
//             lies. {{ and }} stand for braces. An argument stays one argument; no shell ever sees it
//   FILE      a shared library of the package, made with <geres/job.h>
//
// Without geres.json: a shared library in the root that registers the job type, else an executable in the root that is
// named like it. Whether a library registers a type is known only by loading it, which the hub never does.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace geres::package {

inline constexpr std::string_view kManifestName = "geres.json";
inline constexpr std::size_t kManifestBytesMax = 1 << 20;

struct JobEntry {
  std::optional<std::vector<std::string>> command;
  std::optional<std::string> library;
  std::optional<json::Duration> timeout;
};
BOOST_DESCRIBE_STRUCT(JobEntry, (), (command, library, timeout))

struct Manifest {
  std::map<std::string, JobEntry> jobs;
  static constexpr std::string_view kRequired[] = {"jobs"};
};
BOOST_DESCRIBE_STRUCT(Manifest, (), (jobs))

// `^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$` without `..`
bool valid_type_name(std::string_view name);

// Every error is `badPackage` with a JSON pointer into geres.json as its field.
Result<Manifest> parse_manifest(std::string_view text);
std::string manifest_text(const Manifest& manifest);

// The names in braces of a command, in order, each once; what a job of that type must bring.
std::vector<std::string> parameters_of(const JobEntry& entry);

// A file in the package's root, as far as the rules need to know it.
struct RootFile {
  std::string name;
  bool executable = false;
};
bool is_library_name(std::string_view name);  // "libx.so", "x.so.1.2"

// Which job types a package has.
struct Contents {
  std::vector<std::string> types;  // sorted; those known without loading anything
  bool open = false;               // a library without manifest: it may have any other type, too
  bool has_manifest = false;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;  // unpacked
  bool may_have(std::string_view type) const;
};

// `manifest` is nullopt if there is none. `badPackage` if there is nothing to run.
Result<Contents> contents_of(const std::optional<Manifest>& manifest, const std::vector<RootFile>& root);

// How one job type of an unpacked package is started. Exactly one of these holds:
//   libraries empty: `command` is the argument list, command[0] absolute or to be found in PATH
//   else: load the first of `libraries` that registers the type; if none does and `command` is not empty, run that
struct Launch {
  std::vector<std::string> command;
  std::vector<std::string> libraries;  // absolute
  std::optional<Millis> timeout;
};

// Looks into an unpacked package. `parameters` is the job's JSON text, put into the command. Errors: `unknownType`
// (listing what there is), `badPackage`, `missingField` with /parameters/NAME for a parameter that the command needs.
Result<Launch> find_job(const std::filesystem::path& package, std::string_view type, std::string_view parameters);

// The argument list to execute: the command itself, or `loader` (geres-job) with the libraries.
std::vector<std::string> command_line(const Launch& launch, std::string_view type, const std::filesystem::path& loader);

}  // namespace geres::package
