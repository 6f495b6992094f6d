// SPDX-License-Identifier: Apache-2.0
#include "host/runner_client/runner_process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace geres::host {
namespace {

struct Plan {
  std::string program;
  std::vector<std::string> words;
  std::vector<char*> argv;
  std::string uid_map, gid_map;
  int channel_fd = -1;
  int lock_fd = -1;
  int error_fd = -1;
  bool namespaces = false;
  bool user_namespace = false;
};

struct Trouble {
  char step[32];
  int error;
};

// ---- in the child: system calls only; each step returns 0 or errno --------------------------------------------------

int write_once(const char* path, const char* text, std::size_t length) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const ssize_t put = write(fd, text, length);
  const int error = put < 0 ? errno : 0;
  close(fd);
  return error;
}

int map_user(const Plan& plan) {
  if (!plan.user_namespace) return 0;
  write_once("/proc/self/setgroups", "deny", 4);
  if (const int error = write_once("/proc/self/uid_map", plan.uid_map.data(), plan.uid_map.size())) return error;
  return write_once("/proc/self/gid_map", plan.gid_map.data(), plan.gid_map.size());
}

int mount_own_proc(const Plan& plan) {
  if (!plan.namespaces) return 0;
  // Slave: what the agent mounts later is visible here, but our own mounts stay here.
  if (mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return errno;
  // With hidepid a job cannot see other users' processes and their arguments.
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("proc", "/proc", "proc", kFlags, "hidepid=2") == 0) return 0;
  return mount("proc", "/proc", "proc", kFlags, nullptr) == 0 ? 0 : errno;
}

// A user other than root loses the namespace's capabilities on exec unless they are ambient. The runner needs one to
// make PID namespaces, and one to take all of them from every job.
void keep_namespace_rights(const Plan& plan) {
  if (!plan.user_namespace) return;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (syscall(SYS_capget, &header, data) != 0) return;
  data[0].inheritable = data[0].permitted;
  data[1].inheritable = data[1].permitted;
  if (syscall(SYS_capset, &header, data) != 0) return;
  for (const auto needed : {CAP_SYS_ADMIN, CAP_SETPCAP}) prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, needed, 0, 0);
}

int place_descriptors(Plan& plan) {
  const int channel = fcntl(plan.channel_fd, F_DUPFD, 10);
  const int error = fcntl(plan.error_fd, F_DUPFD_CLOEXEC, 10);
  const int lock = plan.lock_fd < 0 ? -1 : fcntl(plan.lock_fd, F_DUPFD, 10);
  if (channel < 0 || error < 0 || (plan.lock_fd >= 0 && lock < 0)) return errno;
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0) return errno;
  if (fcntl(2, F_GETFD) < 0 && dup2(null, 2) < 0) return errno;
  if (dup2(channel, 3) < 0 || dup3(error, 5, O_CLOEXEC) < 0) return errno;
  if (lock >= 0)
    dup2(lock, 4);
  else
    close(4);
  plan.error_fd = 5;
  syscall(SYS_close_range, 6U, ~0U, 0U);
  return 0;
}

[[noreturn]] void report(const Plan& plan, const char* step, int error) {
  Trouble trouble{};
  std::strncpy(trouble.step, step, sizeof trouble.step - 1);
  trouble.error = error;
  [[maybe_unused]] const ssize_t ignored = write(plan.error_fd, &trouble, sizeof trouble);
  _exit(127);
}

[[noreturn]] void become_runner(Plan& plan) {
  setsid();
  if (const int error = map_user(plan)) report(plan, "map the user", error);
  if (const int error = mount_own_proc(plan)) report(plan, "mount /proc", error);
  keep_namespace_rights(plan);
  if (const int error = place_descriptors(plan)) report(plan, "descriptors", error);
  // The environment is empty, because jobs of the same user may read it in /proc/1.
  char* const nothing[] = {nullptr};
  execve(plan.program.c_str(), plan.argv.data(), nothing);
  report(plan, "execute", errno);
}

// ---- in the agent ---------------------------------------------------------------------------------------------------

std::string refused(const char* what, const Trouble& trouble) {
  return std::string(what) + ": " + trouble.step + ": " + std::strerror(trouble.error);
}

// Starts the process with these namespaces and fills in `made`; returns what failed.
std::optional<Trouble> try_start(Plan& plan, std::uint64_t namespaces, RunnerProcess& made) {
  Trouble trouble{};
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Trouble{"pipe", errno};
  Fd read_end(ends[0]), write_end(ends[1]);
  plan.error_fd = write_end.get();
  plan.namespaces = (namespaces & CLONE_NEWPID) != 0;
  plan.user_namespace = (namespaces & CLONE_NEWUSER) != 0;

  int pidfd = -1;
  clone_args args{};
  args.flags = namespaces | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  long pid = syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0 && errno == ENOSYS && namespaces == 0) {  // some containers forbid clone3
    pid = fork();
    if (pid > 0) pidfd = int(syscall(SYS_pidfd_open, pid, 0));
  }
  if (pid < 0) return Trouble{"clone", errno};
  if (pid == 0) become_runner(plan);
  made.pid = pid_t(pid);
  made.pidfd = Fd(pidfd);
  write_end.reset();
  ssize_t got;
  do got = read(read_end.get(), &trouble, sizeof trouble);
  while (got < 0 && errno == EINTR);
  if (got == 0) return std::nullopt;
  made.wait_dead(-1);
  return trouble;
}

}  // namespace

void RunnerProcess::kill() {
  if (pid <= 0) return;
  if (!pidfd || syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0) != 0) ::kill(pid, SIGKILL);
}

bool RunnerProcess::is_busy() const {
  std::string stat;
  try {
    stat = read_file_if("/proc/" + std::to_string(pid) + "/stat").value_or("");
  } catch (const std::system_error&) {  // it has just ended
  }
  const auto name_end = stat.rfind(')');
  const char state = name_end == std::string::npos || name_end + 2 >= stat.size() ? '?' : stat[name_end + 2];
  return state == 'R' || state == 'D';
}

bool RunnerProcess::wait_dead(int ms) {
  if (pid <= 0) return true;
  if (pidfd && ms >= 0) {
    pollfd waiting{pidfd.get(), POLLIN, 0};
    while (poll(&waiting, 1, ms) < 0 && errno == EINTR) {
    }
    if (waiting.revents == 0) return false;
  }
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid = -1;
  return true;
}

Result<RunnerProcess> start_runner_process(const std::filesystem::path& program, std::vector<std::string> arguments,
                                           int channel_fd, int lock_fd, bool own_pid_namespace) {
  Plan plan;
  plan.program = program;
  plan.words = {"geres-runner", "--channel", "3"};
  if (lock_fd >= 0) plan.words.insert(plan.words.end(), {"--lock", "4"});
  for (auto& word : arguments) plan.words.push_back(std::move(word));
  for (auto& word : plan.words) plan.argv.push_back(word.data());
  plan.argv.push_back(nullptr);
  const auto identity = [](unsigned id) { return std::to_string(id) + " " + std::to_string(id) + " 1\n"; };
  plan.uid_map = identity(geteuid());
  plan.gid_map = identity(getegid());
  plan.channel_fd = channel_fd;
  plan.lock_fd = lock_fd;

  RunnerProcess made;
  std::string detail;
  struct Way {
    const char* name;
    std::uint64_t namespaces;
  };
  constexpr Way kBestFirst[] = {{"own PID namespace", CLONE_NEWPID | CLONE_NEWNS},
                                {"own PID namespace in a user namespace", CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS},
                                {"plain child", 0}};
  for (const auto& way : kBestFirst) {
    if (way.namespaces != 0 && !own_pid_namespace) continue;
    const auto trouble = try_start(plan, way.namespaces, made);
    if (!trouble) {
      made.own_pid_namespace = way.namespaces != 0;
      made.detail = detail;
      return made;
    }
    if (std::string_view(trouble->step) == "execute")
      return fail(Code::unavailable, "cannot execute " + plan.program + ": " + std::strerror(trouble->error));
    detail += (detail.empty() ? "" : "; ") + refused(way.name, *trouble);
  }
  return fail(Code::unavailable, "cannot start the runner: " + detail);
}

}  // namespace geres::host
