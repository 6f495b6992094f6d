// SPDX-License-Identifier: Apache-2.0
#include "runner/processes.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "base/file.h"

namespace geres::runner {
namespace {

// Empty: the process is gone, perhaps while it was read, or we may not see it.
std::string read_of(pid_t pid, const char* file) {
  try {
    return read_file_if("/proc/" + std::to_string(pid) + "/" + file).value_or("");
  } catch (const std::exception&) {
    return {};
  }
}

std::optional<Process> read_process(pid_t pid) {
  const auto text = read_of(pid, "stat");
  const auto name_end = text.rfind(')');  // the name may contain anything, even ')'
  if (name_end == std::string::npos) return std::nullopt;
  std::vector<std::string> fields;
  for (std::size_t at = name_end + 2; at < text.size() && fields.size() < 20;) {
    const auto end = std::min(text.find(' ', at), text.size());
    fields.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  if (fields.size() < 20) return std::nullopt;
  // A process whose first thread has ended looks dead while its other threads go on.
  const bool ended = fields[0] == "Z" || fields[0] == "X";
  const bool dead = ended && std::atoi(fields[17].c_str()) <= 1;
  return Process{pid, std::atoi(fields[1].c_str()), std::atoi(fields[3].c_str()), dead, fields[19]};
}

std::int64_t resident_bytes(pid_t pid) {
  static const std::int64_t page = ::sysconf(_SC_PAGE_SIZE);
  const auto text = read_of(pid, "statm");  // size resident …
  const auto space = text.find(' ');
  return space == std::string::npos ? 0 : std::atoll(text.c_str() + space) * page;
}

std::int64_t share_bytes(pid_t pid) {
  const auto text = read_of(pid, "smaps_rollup");
  const auto at = text.find("\nPss:");
  return at == std::string::npos ? resident_bytes(pid) : std::atoll(text.c_str() + at + 5) * 1024;
}

}  // namespace

std::vector<Process> all_processes() {
  std::vector<Process> found;
  DIR* const directory = opendir("/proc");
  if (directory == nullptr) return found;
  while (const dirent* entry = readdir(directory)) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0) continue;
    if (auto process = read_process(pid)) found.push_back(std::move(*process));
  }
  closedir(directory);
  return found;
}

void add_descendants(const std::vector<Process>& processes, std::set<pid_t>& inside) {
  for (bool grown = true; grown;) {
    grown = false;
    for (const auto& process : processes)
      if (inside.contains(process.parent) && inside.insert(process.pid).second) grown = true;
  }
}

std::int64_t memory_of(const std::vector<pid_t>& processes, std::int64_t enough) {
  std::int64_t sum = 0;
  for (const pid_t pid : processes) sum += resident_bytes(pid);
  if (sum <= enough) return sum;
  sum = 0;
  for (const pid_t pid : processes) sum += share_bytes(pid);
  return sum;
}

}  // namespace geres::runner
