// SPDX-License-Identifier: Apache-2.0
#include "runner/deleted_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace geres::runner {
namespace {

// Asks only the kernel's memory, because the file may be on a network disk that does not answer.
bool look(int directory, const char* name, struct statx& facts) {
  return statx(directory, name, AT_STATX_DONT_SYNC, STATX_NLINK | STATX_INO | STATX_BLOCKS, &facts) == 0;
}

bool has_no_name(int directory, const char* name) {
  constexpr std::string_view kEnd = " (deleted)";
  char target[4096];
  const ssize_t length = readlinkat(directory, name, target, sizeof target);
  return length > 0 && std::string_view(target, std::size_t(length)).ends_with(kEnd);
}

}  // namespace

std::int64_t deleted_bytes(const std::vector<pid_t>& processes, const char* directory) {
  struct statx disk {};
  if (!look(AT_FDCWD, directory, disk)) return 0;
  std::set<std::uint64_t> seen;
  std::int64_t bytes = 0;
  for (const pid_t pid : processes) {
    const std::string path = "/proc/" + std::to_string(pid) + "/fd";
    const std::unique_ptr<DIR, int (*)(DIR*)> open_files(opendir(path.c_str()), &closedir);
    if (!open_files) continue;  // the process has just ended
    const int at = dirfd(open_files.get());
    while (const dirent* entry = readdir(open_files.get())) {
      struct statx facts {};
      if (entry->d_name[0] == '.' || !has_no_name(at, entry->d_name) || !look(at, entry->d_name, facts)) continue;
      if (facts.stx_nlink != 0 || facts.stx_dev_major != disk.stx_dev_major ||
          facts.stx_dev_minor != disk.stx_dev_minor || !seen.insert(facts.stx_ino).second)
        continue;
      bytes += std::int64_t(facts.stx_blocks) * 512;
    }
  }
  return bytes;
}

}  // namespace geres::runner
