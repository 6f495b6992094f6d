// SPDX-License-Identifier: Apache-2.0
#include "own_limits.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <filesystem>
#include <string>

#include "base/duration.h"
#include "base/file.h"
#include "cli/trouble.h"

namespace geres::apps {
namespace {

constexpr rlim_t kMiB = rlim_t(1) << 20;
constexpr rlim_t kStack = 8 * kMiB;       // what threads have where nothing says otherwise
constexpr rlim_t kStackLeast = kMiB / 4;  // also what a job's program may still do something with
constexpr rlim_t kFilesUsual = 1'024;
constexpr rlim_t kTasksOfOurs = 64;  // threads of a hub and a host, and their runner

rlimit limit_of(int which) {
  rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
  ::getrlimit(which, &limit);
  return limit;
}

// As far as it goes.
void raise_to(int which, rlim_t wanted) {
  rlimit limit = limit_of(which);
  wanted = std::min(wanted, limit.rlim_max);
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = wanted;
  ::setrlimit(which, &limit);
}

[[noreturn]] void refuse(const std::string& sentence, const std::string& next) {
  throw cli::Trouble{cli::kFailed, sentence, {}, next};
}

struct Least {
  int which;
  rlim_t least;
  bool bytes;
  const char* has;    // "this process may have N …"
  const char* flag;   // of ulimit
  const char* entry;  // of a unit
};

void check(const Least& rule) {
  const auto hard = limit_of(rule.which).rlim_max;
  if (hard >= rule.least) return;
  const auto words = [&](rlim_t n) { return rule.bytes ? format_size(std::int64_t(n)) : std::to_string(n); };
  refuse("this process may have " + words(hard) + " " + rule.has + " (ulimit -H" + rule.flag + "), and needs " +
             words(rule.least),
         std::string("ulimit -") + rule.flag + " " + std::to_string(rule.bytes ? rule.least / 1'024 : rule.least) +
             ", or " + rule.entry + "= in the unit");
}

// Processes and threads that this user has now, as the kernel counts them.
rlim_t tasks_of_user() {
  rlim_t count = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const auto name = entry.path().filename().string();
    if (name.empty() || name[0] < '0' || name[0] > '9') continue;
    try {
      const auto text = read_file_if(entry.path() / "status").value_or("");
      const auto number = [&](const std::string& field) {
        const auto at = text.find("\n" + field + ":\t");
        unsigned long value = 0;
        if (at == std::string::npos) return value;
        std::from_chars(text.data() + at + field.size() + 3, text.data() + text.size(), value);
        return value;
      };
      if (number("Uid") == ::getuid()) count += number("Threads");
    } catch (const std::system_error&) {  // it has ended
    }
  }
  return count;
}

// They are counted by user, whose other programs take part; root itself is not held by them, its jobs are.
void check_tasks(int slots) {
  const auto hard = limit_of(RLIMIT_NPROC).rlim_max;
  const rlim_t ours = kTasksOfOurs + 4 * rlim_t(slots);
  if (hard > 64 * ours) return;
  const rlim_t others = ::geteuid() == 0 ? 0 : tasks_of_user();
  if (hard >= ours + others) return;
  refuse("this user may have " + std::to_string(hard) + " processes and threads (ulimit -Hu)" +
             (others == 0 ? "" : " and has " + std::to_string(others) + " already") + ", and this needs " +
             std::to_string(ours) + (others == 0 ? "" : " more"),
         "ulimit -u " + std::to_string(ours + others) + ", or LimitNPROC= in the unit; or fewer --slots");
}

// The kernel adds up all that a process ever computes: a hub or host is killed in the end, and so are long jobs.
void check_processor_time() {
  const auto hard = limit_of(RLIMIT_CPU).rlim_max;
  if (hard == RLIM_INFINITY) return;
  refuse(
      "this process and each job would be killed after " + std::to_string(hard) + " s of processor time (ulimit -Ht)",
      "ulimit -t unlimited, or LimitCPU=infinity in the unit");
}

}  // namespace

void prepare_process() {
  ::signal(SIGXFSZ, SIG_IGN);
  raise_to(RLIMIT_STACK, kStack);
  pthread_attr_t threads;
  std::size_t size = 0;
  if (::pthread_getattr_default_np(&threads) != 0) return;
  if (::pthread_attr_getstacksize(&threads, &size) == 0 && size < kMiB &&
      ::pthread_attr_setstacksize(&threads, kMiB) == 0)
    ::pthread_setattr_default_np(&threads);
  ::pthread_attr_destroy(&threads);
}

void take_own_limits(int slots) {
  check_processor_time();
  const std::array rules{
      Least{RLIMIT_NOFILE, 256 + 16 * rlim_t(slots), false, "open files", "n", "LimitNOFILE"},
      Least{RLIMIT_AS, 1'024 * kMiB, true, "of address space", "v", "LimitAS"},
      Least{RLIMIT_DATA, 256 * kMiB, true, "of data", "d", "LimitDATA"},
      Least{RLIMIT_FSIZE, 128 * kMiB, true, "in a file", "f", "LimitFSIZE"},
      Least{RLIMIT_STACK, kStackLeast, true, "of stack", "s", "LimitSTACK"},
  };
  for (const auto& rule : rules) check(rule);
  check_tasks(slots);
  for (const int which : {RLIMIT_CPU, RLIMIT_AS, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_NPROC})
    raise_to(which, RLIM_INFINITY);
  raise_to(RLIMIT_NOFILE, kFilesUsual);  // more would slow down those jobs that close all they could have
}

}  // namespace geres::apps
