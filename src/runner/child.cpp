// SPDX-License-Identifier: Apache-2.0
#include "runner/child.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runner/clone.h"
#include "runner/fences.h"

namespace geres::runner {
namespace {

constexpr char kDefaultPath[] = "/usr/local/bin:/usr/bin:/bin";

std::string search_path(const wire::RunSpec& spec) {
  for (const auto& variable : spec.env)
    if (variable.starts_with("PATH=")) return variable.substr(5);
  return kDefaultPath;
}

std::vector<std::string> find_candidates(const wire::RunSpec& spec) {
  if (!spec.executable.empty()) return {spec.executable};
  const std::string& name = spec.argv.front();
  if (name.find('/') != std::string::npos) return {name};
  std::vector<std::string> candidates;
  const std::string path = search_path(spec);
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find(':', at), path.size());
    if (end > at) candidates.push_back(path.substr(at, end - at) + "/" + name);
    at = end + 1;
  }
  return candidates;
}

// ---- steps; each returns 0 or errno, and only makes system calls ----------------------------------------------------

int join_containment(const ChildPlan& plan) {
  for (const int fd : plan.join_fds)
    if (fd >= 0 && write(fd, "0", 1) != 1) return errno;
  return 0;
}

int lead_session(const ChildPlan& plan) {
  if (setsid() < 0) return errno;
  if (plan.nice != 0) setpriority(PRIO_PROCESS, 0, 0);
  return 0;
}

int place_standard_files(const ChildPlan& plan) {
  if (dup2(plan.stdin_fd, 0) < 0 || dup2(plan.stdout_fd, 1) < 0 || dup2(plan.stderr_fd, 2) < 0) return errno;
  // All of the runner's descriptors close on exec already; this covers one that might be forgotten.
  syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  return 0;
}

void prefer_as_oom_victim() {
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t ignored = write(fd, "500", 3);
  close(fd);
}

// A limit that cannot be set stays as it was. The machine's own limits hold then, which is no reason not to run.
void set_limits(const ChildPlan& plan) {
  umask(022);
  prefer_as_oom_victim();
  for (const auto& [which, limit] : plan.limits) syscall(SYS_prlimit64, 0, which, &limit, nullptr);
}

// No program that the child executes can gain a capability, whatever user it runs as. EINVAL: there are no more.
void drop_capabilities() {
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (unsigned long capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; ++capability) {
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (syscall(SYS_capget, &header, data) != 0) return;
  data[0].inheritable = data[1].inheritable = 0;
  syscall(SYS_capset, &header, data);
}

int become_user(const ChildPlan& plan) {
  drop_capabilities();
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  if (plan.uid == 0) return 0;
  if (setgroups(0, nullptr) != 0) return errno;
  if (setresgid(plan.gid, plan.gid, plan.gid) != 0) return errno;
  if (setresuid(plan.uid, plan.uid, plan.uid) != 0) return errno;
  return 0;
}

int enter_directory(const ChildPlan& plan) {
  return chdir(plan.directory) == 0 ? 0 : errno;
}

int enter_fences(const ChildPlan& plan) {
  return plan.fences_fd < 0 ? 0 : Fences::enter(plan.fences_fd);
}

int execute(const ChildPlan& plan) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  int worst = ENOENT;
  for (const auto& candidate : plan.candidates) {
    execve(candidate.c_str(), const_cast<char* const*>(plan.argv.data()), const_cast<char* const*>(plan.env.data()));
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) return errno;
    if (errno == EACCES) worst = EACCES;
  }
  return worst;
}

void send_report(const ChildPlan& plan, const ChildReport& report) {
  [[maybe_unused]] const ssize_t ignored = write(plan.report_fd, &report, sizeof report);
}

[[noreturn]] void give_up(const ChildPlan& plan, Step step, int error) {
  ChildReport report;
  report.failed = step;
  report.error = error;
  send_report(plan, report);
  _exit(127);
}

[[noreturn]] void become_program(const ChildPlan& plan) {
  if (const int error = join_containment(plan)) give_up(plan, Step::containment, error);
  if (const int error = lead_session(plan)) give_up(plan, Step::session, error);
  if (const int error = place_standard_files(plan)) give_up(plan, Step::standardFiles, error);
  set_limits(plan);
  if (const int error = become_user(plan)) give_up(plan, Step::user, error);
  if (const int error = enter_directory(plan)) give_up(plan, Step::directory, error);
  if (const int error = enter_fences(plan)) give_up(plan, Step::fences, error);
  give_up(plan, Step::execute, execute(plan));
}

// ---- the tiny init of an attempt's PID namespace --------------------------------------------------------------------

void keep_only(std::initializer_list<int*> kept) {
  int next = 100;  // above all others, so that moving one kept descriptor cannot overwrite another
  for (int* fd : kept) {
    if (*fd < 0) continue;
    const int moved = fcntl(*fd, F_DUPFD_CLOEXEC, next);
    if (moved < 0) return;
    *fd = moved;
    next = moved + 1;
  }
  int low = 3;
  for (int* fd : kept) {
    if (*fd < 0) continue;
    if (dup3(*fd, low, O_CLOEXEC) < 0) return;
    *fd = low++;
  }
  syscall(SYS_close_range, unsigned(low), ~0U, 0U);
}

void mount_own_proc() {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return;
  if (mount("proc", "/proc", "proc", kFlags, "hidepid=2") != 0) mount("proc", "/proc", "proc", kFlags, nullptr);
}

// Starts the program as a child of the init, and fills in the report once the program has executed or failed.
pid_t start_program(ChildPlan& plan, ChildReport& report) {
  const int outer = plan.report_fd;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) give_up(plan, Step::standardFiles, errno);
  plan.report_fd = ends[1];
  const pid_t program = clone_child(
      {}, [](void* p) { become_program(*static_cast<ChildPlan*>(p)); }, &plan);
  plan.report_fd = outer;
  close(ends[1]);
  if (program < 0) give_up(plan, Step::clone, -program);
  while (read(ends[0], &report, sizeof report) < 0 && errno == EINTR) {
  }
  close(ends[0]);
  return program;
}

[[noreturn]] void live_as_init(ChildPlan& plan) {
  keep_only({&plan.stdin_fd, &plan.stdout_fd, &plan.stderr_fd, &plan.report_fd, &plan.fences_fd, &plan.join_fds[0],
             &plan.join_fds[1], &plan.join_fds[2]});
  mount_own_proc();
  ChildReport report;
  const pid_t program = start_program(plan, report);
  if (report.failed != Step::none) give_up(plan, report.failed, report.error);
  send_report(plan, report);
  for (const int fd : {plan.stdin_fd, plan.stdout_fd, plan.stderr_fd}) close(fd);
  for (const int fd : plan.join_fds)
    if (fd >= 0) close(fd);
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGCHLD);
  sigaddset(&wanted, SIGTERM);
  for (;;) {
    int status = 0;
    pid_t reaped;
    while ((reaped = waitpid(-1, &status, WNOHANG)) > 0) {
      if (reaped != program) continue;
      report.failed = Step::exited;
      report.status = status;
      send_report(plan, report);
      _exit(0);  // the kernel then kills what is left in the namespace
    }
    if (sigwaitinfo(&wanted, nullptr) == SIGTERM) kill(-1, SIGTERM);
  }
}

}  // namespace

ChildPlan::ChildPlan(const wire::RunSpec& spec, const rlimit& files)
    : candidates(find_candidates(spec)), directory(spec.workDirectory.c_str()), uid(spec.uid), gid(spec.gid) {
  for (const auto& word : spec.argv) argv.push_back(word.c_str());
  for (const auto& variable : spec.env) env.push_back(variable.c_str());
  argv.push_back(nullptr);
  env.push_back(nullptr);
  // Raising a limit above this process's own would be refused, except with rare privileges.
  const auto limit = [&](int which, std::optional<std::int64_t> wanted) {
    rlimit own{};
    if (!wanted || getrlimit(which, &own) != 0) return;
    const auto value = std::min(rlim_t(*wanted), own.rlim_max);
    limits.push_back({which, rlimit{value, value}});
  };
  if (spec.limits.openFiles)
    limit(RLIMIT_NOFILE, spec.limits.openFiles);
  else
    limits.push_back({RLIMIT_NOFILE, files});
  limit(RLIMIT_NPROC, spec.limits.processes);
  limit(RLIMIT_FSIZE, spec.limits.fileBytes);
  limit(RLIMIT_CORE, spec.limits.coreBytes);
}

void run_child_steps(void* plan) {
  auto& p = *static_cast<ChildPlan*>(plan);
  if (p.as_init) live_as_init(p);
  become_program(p);
}

}  // namespace geres::runner
