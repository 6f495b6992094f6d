// SPDX-License-Identifier: Apache-2.0
#include "host/runner_client/own_group.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <sstream>
#include <string>

#include "base/file.h"
#include "wire/runner/runner_channel.h"

namespace geres::host {
namespace {

namespace fs = std::filesystem;

std::string read_of(const fs::path& file) {
  try {
    return read_file_if(file).value_or("");
  } catch (const std::exception&) {
    return {};
  }
}

// A group made by systemd belongs to systemd unless Delegate=yes.
bool is_ours_to_divide(const fs::path& group) {
  const auto name = group.extension();
  if (name != ".service" && name != ".scope") return true;
  char value = '0';
  for (const char* attribute : {"trusted.delegate", "user.delegate"})
    if (::getxattr(group.c_str(), attribute, &value, 1) == 1 && value == '1') return true;
  return false;
}

bool has_only_us(const fs::path& group) {
  std::istringstream processes(read_of(group / "cgroup.procs"));
  for (pid_t pid; processes >> pid;)
    if (pid != ::getpid()) return false;
  return true;
}

bool has_controllers(const fs::path& group) {
  const auto controllers = " " + read_of(group / "cgroup.controllers");
  return controllers.find(" memory") != std::string::npos || controllers.find(" pids") != std::string::npos;
}

}  // namespace

fs::path own_group() {
  std::istringstream lines(read_of("/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("0::/")) continue;
    for (const fs::path mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
      std::error_code ignored;
      const auto group = mount / line.substr(4);
      if (fs::exists(mount / "cgroup.procs", ignored) && fs::is_directory(group, ignored)) return group;
    }
  }
  return {};
}

void stand_aside(const fs::path& group) {
  std::error_code ignored;
  const bool is_root = !fs::exists(group / "cgroup.type", ignored);  // the root group may have processes as well
  if (group.empty() || is_root || group.filename() == wire::kHostGroup) return;
  if (!has_controllers(group) || !has_only_us(group) || !is_ours_to_divide(group)) return;
  const auto aside = group / wire::kHostGroup;
  if (::mkdir(aside.c_str(), 0755) != 0 && errno != EEXIST) return;
  const Fd processes(::open((aside / "cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  if (processes && ::write(processes.get(), "0", 1) != 1) ::rmdir(aside.c_str());
}

}  // namespace geres::host
