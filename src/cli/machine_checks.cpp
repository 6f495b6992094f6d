// SPDX-License-Identifier: Apache-2.0
#include "cli/machine_checks.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <thread>

#include "base/clock.h"
#include "base/duration.h"
#include "base/file.h"
#include "cli/text.h"

namespace geres::cli {

namespace fs = std::filesystem;

fs::path existing(fs::path path) {
  std::error_code error;
  while (!fs::is_directory(path, error) && path.has_relative_path()) path = path.parent_path();
  return path;
}

namespace {

Check check_data(const fs::path& data) {
  const auto there = existing(data);
  if (::access(there.c_str(), W_OK) != 0)
    return {"dataDirectory", Finding::failed, there.string() + " cannot be written",
            "sudo chown " + std::to_string(::getuid()) + " " + there.string() + ", or --data DIR"};
  return {"dataDirectory", Finding::passed,
          home_short(data.string()) + (there == data ? "" : " (made at first start)")};
}

Check check_space(const fs::path& data) {
  struct statvfs info {};
  const auto there = existing(data);
  if (::statvfs(there.c_str(), &info) != 0)
    return {"diskSpace", Finding::failed, there.string() + ": " + std::generic_category().message(errno)};
  const auto free = std::int64_t(info.f_bavail) * std::int64_t(info.f_frsize);
  const auto words = format_size(free) + " free";
  if (free >= std::int64_t(1) << 30) return {"diskSpace", Finding::passed, words};
  return {"diskSpace", Finding::failed, words + "; new jobs are refused when it is full",
          "free some, or --data DIR on a larger disk"};
}

Check check_sync(const fs::path& data) {
  const auto file = existing(data) / (".geres-doctor-" + std::to_string(::getpid()));
  Fd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return {"diskSync", Finding::fine, "not measured: " + std::generic_category().message(errno)};
  ::unlink(file.c_str());
  std::vector<Millis> micros;
  const std::string page(4'096, 'x');
  for (int i = 0; i < 15; ++i) {
    timespec start{}, end{};
    ::clock_gettime(CLOCK_MONOTONIC, &start);
    write_all(fd.get(), page);
    if (::fdatasync(fd.get()) != 0)
      return {"diskSync", Finding::failed, "the disk does not sync: " + std::generic_category().message(errno)};
    ::clock_gettime(CLOCK_MONOTONIC, &end);
    micros.push_back((end.tv_sec - start.tv_sec) * 1'000'000 + (end.tv_nsec - start.tv_nsec) / 1'000);
  }
  std::sort(micros.begin(), micros.end());
  const auto median = micros[micros.size() / 2];
  char words[80];
  std::snprintf(words, sizeof words, "a write is on disk in %.2f ms", double(median) / 1'000);
  if (median <= 20'000) return {"diskSync", Finding::passed, words};
  return {"diskSync", Finding::fine, std::string(words) + ": each single submit waits that long; lists share it"};
}

Check check_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto words = std::to_string(limit.rlim_cur) + " open files";
  if (limit.rlim_cur >= 4'096) return {"fileLimit", Finding::passed, words};
  return {"fileLimit", Finding::fine, words + " are enough for some hundred clients at a time",
          "ulimit -n 65536, or LimitNOFILE=65536 in the unit"};
}

// All jobs of a host share its own limit, which should allow twice what each may have (4,096).
Check check_processes() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NPROC, &limit);
  const auto slots = rlim_t(std::max(1u, std::thread::hardware_concurrency()));
  if (limit.rlim_max == RLIM_INFINITY) return {"processLimit", Finding::passed, "any number of processes"};
  const auto words = std::to_string(limit.rlim_max) + " processes";
  if (limit.rlim_max >= 2 * 4'096 * slots) return {"processLimit", Finding::passed, words};
  return {"processLimit", Finding::fine,
          words + " for all jobs together on " + std::to_string(slots) + " slots: each may have 4096 by itself",
          "ulimit -Hu, or LimitNPROC=infinity in the unit, where jobs need more"};
}

bool child_can(int flags) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::unshare(flags) == 0 ? 0 : 1);
  int status = 1;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

Check check_namespaces(bool& pid_namespace) {
  const bool root = ::geteuid() == 0;
  pid_namespace = child_can(root ? CLONE_NEWPID : CLONE_NEWUSER | CLONE_NEWPID);
  if (pid_namespace)
    return {"namespaces", Finding::passed, root ? "PID namespaces, as root" : "user and PID namespaces"};
  return {"namespaces", Finding::failed, "the machine allows no PID namespace: if a host dies, its jobs may live on",
          "sudo sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000 (Ubuntu: "
          "kernel.apparmor_restrict_unprivileged_userns=0)"};
}

// The directory of this process's cgroup in the unified hierarchy; empty if there is none.
fs::path own_cgroup() {
  const auto text = read_file_if("/proc/self/cgroup").value_or("");
  for (const auto& line : split(text, '\n')) {
    if (!line.starts_with("0::")) continue;
    for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
      const fs::path directory = std::string(mount) + line.substr(3);
      std::error_code error;
      if (fs::exists(fs::path(mount) / "cgroup.procs", error) && fs::is_directory(directory, error)) return directory;
    }
  }
  return {};
}

Check check_containment(bool pid_namespace) {
  const auto cgroup = own_cgroup();
  if (!cgroup.empty() && ::access(cgroup.c_str(), W_OK) == 0)
    return {"containment", Finding::passed, "each job in a cgroup (v2) of its own"};
  if (::access("/sys/fs/cgroup/freezer", W_OK) == 0)
    return {"containment", Finding::passed, "each job in a freezer cgroup (v1) of its own"};
  if (pid_namespace) return {"containment", Finding::passed, "each job in a PID namespace of its own"};
  return {"containment", Finding::failed, "nothing on this machine can hold all processes of a job together",
          "run the host as root, or as a systemd service with Delegate=yes"};
}

// Whether the kernel can limit a job's memory: by v1's own hierarchy, or by one of v2 that passes the controller on.
Check check_memory() {
  constexpr const char* kV1 = "/sys/fs/cgroup/memory";
  if (::access(kV1, W_OK) == 0) return {"memoryLimit", Finding::passed, "each job's memory by the kernel (cgroup v1)"};
  const auto cgroup = own_cgroup();
  const auto controllers = cgroup.empty() ? std::string() : read_file_if(cgroup / "cgroup.controllers").value_or("");
  const bool handed_down = (" " + controllers).find(" memory") != std::string::npos;
  if (handed_down && ::access((cgroup / "cgroup.subtree_control").c_str(), W_OK) == 0)
    return {"memoryLimit", Finding::passed, "each job's memory by the kernel (cgroup v2)"};
  return {"memoryLimit", Finding::fine,
          "a job's memory is looked at a few times a second only, and memory files (memfd, /dev/shm) do not count",
          "run the host as root, or as a systemd service with Delegate=yes"};
}

Check check_fence() {
  if (::geteuid() == 0) return {"fence", Finding::passed, "as root each tenant's jobs have a user of their own"};
  constexpr long kAbiMin = 2;
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1U);  // returns the ABI version
  if (abi >= kAbiMin)
    return {"fence", Finding::passed, "Landlock (ABI " + std::to_string(abi) + ") keeps jobs to their own files"};
  return {"fence", Finding::fine, "a job can read and change all that you can: for one trusted person only",
          "Linux 5.19 or newer with Landlock switched on (lsm=landlock,...), or a host that runs as root"};
}

Check check_programs() {
  std::error_code error;
  const auto here = fs::read_symlink("/proc/self/exe", error).parent_path();
  std::vector<std::string> missing;
  for (const char* name : {"geres-runner", "geres-job"})
    if (::access((here / name).c_str(), X_OK) != 0) missing.emplace_back(name);
  if (missing.empty()) return {"programs", Finding::passed, "geres-runner and geres-job lie beside geres"};
  return {"programs", Finding::failed, joined(missing) + " must lie beside " + (here / "geres").string(),
          "install GeRes whole: cmake --install build"};
}

}  // namespace

std::vector<Check> check_machine(const fs::path& data) {
  bool pid_namespace = false;
  std::vector<Check> checks{check_data(data), check_space(data), check_sync(data),
                            check_files(),    check_processes(), check_namespaces(pid_namespace)};
  checks.push_back(check_containment(pid_namespace));
  checks.push_back(check_memory());
  checks.push_back(check_fence());
  checks.push_back(check_programs());
  return checks;
}

}  // namespace geres::cli
