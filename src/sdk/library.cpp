// SPDX-License-Identifier: Apache-2.0
#include "sdk/library.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include <algorithm>

namespace geres::sdk {
namespace {

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// The dynamic linker puts the file's path in front of its own words.
std::string linker_error(const std::string& path) {
  const char* text = ::dlerror();
  std::string_view words = text != nullptr ? text : "it cannot be loaded";
  if (words.starts_with(path + ": ")) words.remove_prefix(path.size() + 2);
  return one_line(std::string(words));
}

// A later interface than ours is another name.
std::string missing_door(void* handle) {
  for (int version = GERES_JOB_API_VERSION + 1; version < GERES_JOB_API_VERSION + 10; ++version)
    if (::dlsym(handle, ("geres_job_api_v" + std::to_string(version)).c_str()) != nullptr)
      return "is made for version " + std::to_string(version) + " of the job interface; this host speaks version " +
             std::to_string(GERES_JOB_API_VERSION);
  return "is not a job library: it has no geres_job_api_v" + std::to_string(GERES_JOB_API_VERSION) +
         " (include <geres/job.h> and use GERES_JOB)";
}

}  // namespace

std::vector<std::string> Library::types() const {
  std::vector<std::string> names;
  for (std::size_t i = 0; api != nullptr && i < api->type_count(); ++i) names.emplace_back(api->type_name(i));
  return names;
}

bool Library::has(std::string_view type) const {
  const auto names = types();
  return std::find(names.begin(), names.end(), type) != names.end();
}

Library load_library(const std::string& path) {
  // Without a slash the dynamic linker would look elsewhere.
  Library library{path.find('/') == std::string::npos ? "./" + path : path};
  struct stat status {};
  if (::stat(library.path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    library.trouble = "the library '" + path + "' does not exist";
    return library;
  }
  // All symbols now, so that a missing one is found here and not in the middle of a job.
  void* handle = ::dlopen(library.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    library.trouble = "the library '" + path + "' cannot be loaded: " + linker_error(library.path);
    return library;
  }
  const auto door = reinterpret_cast<geres_job_api_v1_function>(::dlsym(handle, "geres_job_api_v1"));
  if (door == nullptr) {
    library.trouble = "the library '" + path + "' " + missing_door(handle);
    return library;
  }
  const auto* api = door();
  if (api == nullptr || api->version != GERES_JOB_API_VERSION)
    library.trouble = "the library '" + path + "' gives version " + std::to_string(api != nullptr ? api->version : 0) +
                      " of the job interface; this host speaks version " + std::to_string(GERES_JOB_API_VERSION);
  else
    library.api = api;
  return library;
}

}  // namespace geres::sdk
