// SPDX-License-Identifier: Apache-2.0
#include "host/job_environment.h"

#include <algorithm>
#include <cctype>

#include "base/json.h"
#include "base/uuid.h"
#include "wire/job_channel.h"

namespace geres::host {
namespace {

constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";
constexpr std::string_view kDefaultLanguage = "C.UTF-8";  // without a language programs take text for ASCII

bool passes(std::string_view name) {
  return name == "PATH" || name == "LANG" || name == "TZ" || name.starts_with("LC_");
}

void add(std::vector<std::string>& list, std::string_view name, std::string_view value) {
  std::string line;
  line.reserve(name.size() + value.size() + 1);
  line.append(name).append("=").append(value);
  list.push_back(std::move(line));
}

void add_own(std::vector<std::string>& list, const char* const* own) {
  bool has_path = false, has_language = false;
  for (; own != nullptr && *own != nullptr; ++own) {
    const std::string_view line(*own);
    const auto name = line.substr(0, line.find('='));
    if (!passes(name) || name.size() == line.size()) continue;
    has_path = has_path || name == "PATH";
    has_language = has_language || name == "LANG" || name == "LC_ALL";
    list.emplace_back(line);
  }
  if (!has_path) add(list, "PATH", kDefaultPath);
  if (!has_language) add(list, "LANG", kDefaultLanguage);
}

bool variable_name(std::string_view name) {
  return !name.empty() &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

}  // namespace

std::vector<std::pair<std::string, std::string>> parameter_variables(std::string_view parameters) {
  std::vector<std::pair<std::string, std::string>> list;
  const auto document = json::parse(parameters);
  if (!document || !document->is_object()) return list;
  for (const auto& [name, value] : document->get_object()) {
    if (!variable_name(name) || value.is_null() || value.is_structured()) continue;
    list.emplace_back(wire::kEnvParameterPrefix + std::string(name),
                      value.is_string() ? std::string(value.get_string()) : boost::json::serialize(value));
  }
  return list;
}

std::string trace_parent(const std::string& job_id) {
  std::string trace = job_id;
  std::erase(trace, '-');
  if (trace.size() != 32) trace = random_hex(16);
  return "00-" + trace + "-" + random_hex(8) + "-01";
}

std::vector<std::string> job_environment(const JobFacts& job, const Workspace& workspace,
                                         const std::filesystem::path& package, const std::string& user,
                                         const char* const* own) {
  std::vector<std::string> list;
  list.reserve(32);
  add_own(list, own);
  add(list, "HOME", workspace.work().native());
  add(list, "USER", user);
  add(list, "LOGNAME", user);
  add(list, "TMPDIR", workspace.temporary().native());
  add(list, wire::kEnvJobId, job.id);
  add(list, wire::kEnvJobType, job.type);
  add(list, wire::kEnvTenant, job.tenant);
  add(list, wire::kEnvAttempt, std::to_string(job.attempt));
  add(list, wire::kEnvJobFile, workspace.job_file().native());
  add(list, wire::kEnvParameters, job.parameters);
  for (const auto& [name, value] : parameter_variables(job.parameters)) add(list, name, value);
  add(list, wire::kEnvPackageDir, package.native());
  add(list, wire::kEnvWorkDir, workspace.work().native());
  add(list, wire::kEnvOutputDir, workspace.output().native());
  add(list, wire::kEnvProgress, workspace.progress().native());
  add(list, wire::kEnvResult, workspace.result().native());
  add(list, wire::kEnvTraceParent, trace_parent(job.id));
  return list;
}

}  // namespace geres::host
