// SPDX-License-Identifier: Apache-2.0
#include "metrics/process_figures.h"

#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace geres::metrics {
namespace {

// The 22nd word of /proc/self/stat is when it started, in ticks since the boot, which was then.
double boot_seconds() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;)
    if (double at = 0; word == "btime" && file >> at) return at;
  return 0;
}

}  // namespace

ProcessFigures process_figures() {
  ProcessFigures figures;
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const auto name_end = text.rfind(')');  // the name may hold anything
  if (name_end != std::string::npos) {
    std::istringstream words(text.substr(name_end + 1));
    std::string word;
    const auto hertz = double(::sysconf(_SC_CLK_TCK));
    for (int n = 3; words >> word && n <= 24; ++n) {
      const auto value = n >= 14 ? std::strtoll(word.c_str(), nullptr, 10) : 0;
      if (n == 14 || n == 15) figures.cpu_seconds += double(value) / hertz;
      if (n == 22) figures.start_seconds = boot_seconds() + double(value) / hertz;
      if (n == 23) figures.virtual_bytes = value;
      if (n == 24) figures.resident_bytes = value * ::sysconf(_SC_PAGESIZE);
    }
  }
  std::error_code ignored;
  for (std::filesystem::directory_iterator at("/proc/self/fd", ignored), end; !ignored && at != end;
       at.increment(ignored))
    ++figures.open_fds;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) figures.max_fds = std::int64_t(files.rlim_cur);
  return figures;
}

}  // namespace geres::metrics
