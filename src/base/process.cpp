// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/bytes.h"

namespace geres {
namespace {

constexpr Millis kLook = 100;

[[noreturn]] void failed(const std::string& what, int error) {
  throw std::system_error(error, std::generic_category(), what);
}

Millis now() {
  return SystemClock().monotonic();
}

struct Stat {
  char state = '?';
  pid_t parent = 0;
  unsigned long long started = 0;
};

std::optional<Stat> read_stat(pid_t pid) {
  std::string text;
  try {
    text = read_file_if("/proc/" + std::to_string(pid) + "/stat").value_or("");
  } catch (const std::system_error&) {  // it has just ended
  }
  const auto end = text.rfind(')');
  if (end == std::string::npos) return std::nullopt;
  Stat stat;
  const int read = std::sscanf(text.c_str() + end + 1,
                               " %c %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                               &stat.state, &stat.parent, &stat.started);
  return read == 3 ? std::optional(stat) : std::nullopt;
}

// Adds what descends from what is in it. Whoever has lost its parent is still in it.
void add_descendants(std::map<pid_t, unsigned long long>& tree) {
  std::vector<std::tuple<pid_t, pid_t, unsigned long long>> all;  // process, parent, start
  if (DIR* const directory = ::opendir("/proc")) {
    while (const dirent* entry = ::readdir(directory)) {
      const auto pid = pid_t(std::strtol(entry->d_name, nullptr, 10));
      if (pid <= 0) continue;
      if (const auto stat = read_stat(pid)) all.emplace_back(pid, stat->parent, stat->started);
    }
    ::closedir(directory);
  }
  for (std::size_t before = 0; before != tree.size();) {
    before = tree.size();
    for (const auto& [pid, parent, started] : all)
      if (tree.count(parent) != 0) tree.try_emplace(pid, started);
  }
}

class Running {
 public:
  Running(const Program& program, std::string_view in, const RunLimits& limits, const std::atomic<bool>& stop)
      : limits_(limits), stop_(stop) {
    Fd file(::memfd_create("in", MFD_CLOEXEC));
    if (!file) failed("memfd_create", errno);
    write_all(file.get(), in);
    ::lseek(file.get(), 0, SEEK_SET);
    Fd out, err;
    pipe(out_, out);
    pipe(err_, err);
    pid_ = start_program(program, file.get(), out.get(), err.get());
    process_ = Fd(int(::syscall(SYS_pidfd_open, pid_, 0)));
  }

  Ran run() {
    const Millis until = now() + limits_.time_max;
    while (!ended(kLook)) {
      ran_.too_long = now() >= until;
      ran_.stopped = stop_;
      if (ran_.too_long || ran_.stopped || ran_.too_much) end_tree();
    }
    read_rest();
    ::waitpid(pid_, &status_, 0);
    if (WIFEXITED(status_)) ran_.exit_code = WEXITSTATUS(status_);
    finish_line();
    return std::move(ran_);
  }

 private:
  static void pipe(Fd& ours, Fd& theirs) {
    int both[2];
    if (::pipe2(both, O_CLOEXEC) != 0) failed("pipe", errno);
    ours = Fd(both[0]), theirs = Fd(both[1]);
    ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  }

  // Reads meanwhile. An end of output is no end of the program, and the other way round.
  bool ended(Millis wait_max) {
    pollfd polled[3] = {{process_.get(), POLLIN, 0}, {out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}};
    if (::poll(polled, 3, int(wait_max)) < 0 && errno != EINTR) failed("poll", errno);
    if (polled[1].revents != 0) read_out();
    if (polled[2].revents != 0) read_err();
    return polled[0].revents != 0;
  }

  // Not more than a pipe holds: somebody who lives on may go on writing.
  void read_rest() {
    for (int i = 0; i < 32 && out_; ++i)
      if (!read_out()) break;
    for (int i = 0; i < 32 && err_; ++i)
      if (!read_err()) break;
  }

  bool read_out() {
    char piece[16 * 1024];
    const auto n = ::read(out_.get(), piece, sizeof piece);
    if (n == 0) out_.reset();
    if (n <= 0) return false;
    if (ran_.out.size() + std::size_t(n) > limits_.out_max)
      ran_.too_much = true;
    else
      ran_.out.append(piece, std::size_t(n));
    return true;
  }

  bool read_err() {
    char piece[16 * 1024];
    const auto n = ::read(err_.get(), piece, sizeof piece);
    if (n == 0) err_.reset();
    if (n <= 0) return false;
    for (const char c : std::string_view(piece, std::size_t(n))) {
      if (c == '\n')
        finish_line();
      else if (line_.size() < 1'000)
        line_ += c;
    }
    return true;
  }

  void finish_line() {
    auto line = plain_line(line_);
    if (line.find_first_not_of(' ') != std::string::npos) ran_.last_line = std::move(line);
    line_.clear();
  }

  void signal_tree(int number) {
    for (const auto& [pid, started] : tree_)
      if (is_alive({pid, started})) ::kill(pid, number);
  }
  bool tree_ended() const {
    return std::none_of(tree_.begin(), tree_.end(), [](const auto& process) {
      return is_alive({process.first, process.second});
    });
  }

  // Looks for descendants again and again: one may have been born meanwhile.
  void end_tree() {
    const auto self = process_named(pid_);
    if (self) tree_.try_emplace(pid_, self->started);
    add_descendants(tree_);
    signal_tree(SIGTERM);
    for (const Millis until = now() + limits_.term_time; now() < until && !tree_ended();) {
      add_descendants(tree_);
      ended(20);
    }
    for (std::size_t before = 0; before != tree_.size();) {
      before = tree_.size();
      signal_tree(SIGKILL);
      add_descendants(tree_);
    }
  }

  const RunLimits& limits_;
  const std::atomic<bool>& stop_;
  pid_t pid_ = 0;
  int status_ = 0;
  std::map<pid_t, unsigned long long> tree_;  // to be ended: processes by pid, and when they started
  Fd process_, out_, err_;
  std::string line_;
  Ran ran_;
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (auto& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

}  // namespace

pid_t start_program(const Program& program, int in, int out, int err) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_t how;
  posix_spawnattr_init(&how);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&how, &none);
  posix_spawnattr_setsigdefault(&how, &all);
  posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  if (!program.directory.empty()) posix_spawn_file_actions_addchdir_np(&files, program.directory.c_str());
  const std::array given{in, out, err};
  for (int i = 0; i < 3; ++i) {
    if (given[std::size_t(i)] < 0)
      posix_spawn_file_actions_addopen(&files, i, "/dev/null", i == 0 ? O_RDONLY : O_WRONLY, 0);
    else
      posix_spawn_file_actions_adddup2(&files, given[std::size_t(i)], i);
  }
  // A hub's sockets, among others, do not close by themselves: its port would stay taken by whoever inherits them.
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  auto argv = program.argv;
  std::vector<std::string> environment;
  for (const auto& [name, value] : program.environment) environment.push_back(name + "=" + value);
  pid_t pid = 0;
  const int error =
      ::posix_spawnp(&pid, argv.at(0).c_str(), &files, &how, pointers(argv).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&how);
  if (error != 0) failed(argv[0], error);
  return pid;
}

std::map<std::string, std::string> plain_environment() {
  std::map<std::string, std::string> kept;
  for (const char* name : {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR"})
    if (const char* value = std::getenv(name)) kept[name] = value;
  kept.try_emplace("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  return kept;
}

Ran run_program(const Program& program, std::string_view in, const RunLimits& limits, const std::atomic<bool>& stop) {
  return Running(program, in, limits, stop).run();
}

std::optional<ProcessName> process_named(pid_t pid) {
  const auto stat = read_stat(pid);
  if (!stat || stat->state == 'Z' || stat->state == 'X') return std::nullopt;
  return ProcessName{pid, stat->started};
}

bool is_alive(const ProcessName& process) {
  if (process.pid <= 0) return false;
  const auto there = process_named(process.pid);
  return there && there->started == process.started;
}

Fd open_process(const ProcessName& process) {
  if (process.pid <= 0) return Fd();
  Fd handle(int(::syscall(SYS_pidfd_open, process.pid, 0)));
  // Looked up after opening, so that it describes the process that the handle names.
  return handle && is_alive(process) ? std::move(handle) : Fd();
}

}  // namespace geres
