// SPDX-License-Identifier: Apache-2.0
#include "runner/cgroup_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "base/uuid.h"
#include "runner/descriptors.h"

namespace geres::runner {
namespace {

constexpr char kPrefix[] = "geres-";

bool lists(const std::string& comma_separated, const std::string& word) {
  return ("," + comma_separated + ",").find("," + word + ",") != std::string::npos;
}

std::string mount_point_of(const std::string& controller) {
  std::istringstream mounts(read_file_if("/proc/self/mounts").value_or(""));
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream words(line);
    std::string device, point, type, options;
    words >> device >> point >> type >> options;
    if (controller.empty() ? type == "cgroup2" : type == "cgroup" && lists(options, controller)) return point;
  }
  return {};
}

std::string own_path_in(const std::string& controller) {
  std::istringstream lines(read_file_if("/proc/self/cgroup").value_or(""));
  std::string line;
  while (std::getline(lines, line)) {  // hierarchy:controllers:path
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? controllers.empty() : lists(controllers, controller)) return line.substr(second + 1);
  }
  return {};
}

void clear_dead(const std::string& parent, const std::function<void(const std::string&)>& kill_rest) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(parent, ignored)) {
    if (!entry.path().filename().string().starts_with(kPrefix) || !entry.is_directory(ignored)) continue;
    const Fd fd(open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    kill_rest(entry.path());
    for (int tries = 0; tries < 20 && std::filesystem::exists(entry.path(), ignored); ++tries) {
      remove_cgroups(entry.path());
      if (tries > 0) usleep(5000);  // killed processes need a moment to disappear
    }
  }
}

}  // namespace

// Leaves first. A cgroup's files go with its directory.
void remove_cgroups(const std::string& directory) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored))
    if (entry.is_directory(ignored)) remove_cgroups(entry.path());
  rmdir(directory.c_str());
}

std::string own_cgroup(const std::string& controller) {
  const std::string point = mount_point_of(controller);
  if (point.empty()) return {};
  std::string own = point + own_path_in(controller);
  while (own.ends_with('/')) own.pop_back();
  return std::filesystem::is_directory(own) ? own : point;  // in a container the path may be the outer machine's
}

Result<CgroupDirectory> CgroupDirectory::make(const std::string& parent, std::uint32_t slots,
                                              const std::function<void(const std::string&)>& kill_rest) {
  clear_dead(parent, kill_rest);
  // Between mkdir and flock another runner that starts may take the directory for a dead runner's and remove it: then
  // repeat.
  for (int tries = 0;; ++tries) {
    CgroupDirectory made;
    made.path_ = parent + "/" + kPrefix + random_hex(6);
    const auto failed = made.fill(slots);
    if (!failed) return made;
    if (tries == 3) return *failed;
  }
}

std::optional<Error> CgroupDirectory::fill(std::uint32_t slots) {
  const auto failed = [slots](const std::string& what) {
    if (lacks_descriptors(errno)) return no_descriptors(slots);
    return fail(Code::unavailable, "cannot make " + what + ": " + std::strerror(errno));
  };
  if (mkdir(path_.c_str(), 0755) != 0) return failed(path_);
  lock_ = Fd(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock_ || flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) return failed(path_);
  for (std::uint32_t slot = 0; slot < slots; ++slot)
    if (mkdir(slot_path(slot).c_str(), 0755) != 0) return failed(slot_path(slot));
  return std::nullopt;
}

CgroupDirectory::~CgroupDirectory() {
  if (!path_.empty() && lock_) remove_cgroups(path_);
}

std::string read_again(int fd) {
  std::string content;
  char buffer[4096];
  for (;;) {
    const ssize_t got = pread(fd, buffer, sizeof buffer, off_t(content.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return content;
    content.append(buffer, std::size_t(got));
  }
}

std::vector<pid_t> read_processes(const std::string& cgroup) {
  std::vector<pid_t> processes;
  {
    const Fd procs(open((cgroup + "/cgroup.procs").c_str(), O_RDONLY | O_CLOEXEC));
    const std::string text = procs ? read_again(procs.get()) : std::string();
    const char* const end = text.data() + text.size();
    for (const char* at = text.data(); at < end;) {
      pid_t pid = 0;
      const auto [next, error] = std::from_chars(at, end, pid);
      if (error != std::errc()) break;
      processes.push_back(pid);
      at = next + 1;
    }
  }
  struct stat found {};
  if (stat(cgroup.c_str(), &found) != 0 || found.st_nlink <= 2) return processes;  // it has no directories below it
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(cgroup, ignored)) {
    if (!entry.is_directory(ignored)) continue;
    const auto below = read_processes(entry.path());
    processes.insert(processes.end(), below.begin(), below.end());
  }
  return processes;
}

}  // namespace geres::runner
