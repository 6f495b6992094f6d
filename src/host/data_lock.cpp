// SPDX-License-Identifier: Apache-2.0
#include "host/data_lock.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <system_error>
#include <thread>

#include "base/log.h"

namespace geres::host {
namespace {

constexpr Millis kLook = 20;
constexpr Millis kRunnerEndMax = 30'000;  // after it was killed: a disk may delay its end

struct Process {
  pid_t pid = 0;
  unsigned long long started = 0;  // clock ticks after boot; they tell a later process with the same pid apart
};

struct Life {
  Process agent, runner;
};

struct Facts {
  std::string name;
  char state = '?';
  unsigned long long started = 0;
};

std::optional<Facts> look_up(pid_t pid) {
  std::string stat;
  try {
    stat = read_file_if("/proc/" + std::to_string(pid) + "/stat").value_or("");
  } catch (const std::system_error&) {  // the process has just ended
  }
  const auto name = stat.find('('), end = stat.rfind(')');
  if (name == std::string::npos || end == std::string::npos) return std::nullopt;
  Facts facts;
  facts.name = stat.substr(name + 1, end - name - 1);
  // state, then 18 fields that are of no interest here
  const int read = std::sscanf(stat.c_str() + end + 1,
                               " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                               &facts.state, &facts.started);
  return read == 2 ? std::optional(facts) : std::nullopt;
}

// A zombie has ended, and if it led a PID namespace, so has everything in that.
bool runs(const Process& process) {
  if (process.pid <= 0) return false;
  const auto facts = look_up(process.pid);
  return facts && facts->started == process.started && facts->state != 'Z' && facts->state != 'X';
}

void kill_runner(const Process& runner) {
  const Fd handle(int(::syscall(SYS_pidfd_open, runner.pid, 0)));
  // Looked up after opening, so that it describes the process that the handle names.
  const auto facts = look_up(runner.pid);
  if (!handle || !facts || facts->started != runner.started || facts->name != "geres-runner") return;
  log::event(log::Level::warn, "runner of an earlier life killed", {{"pid", runner.pid}});
  ::syscall(SYS_pidfd_send_signal, handle.get(), SIGKILL, nullptr, 0);
}

// Identifies this very file. In a copy it names the original, whose host may be alive.
std::string place(const std::filesystem::path& file) {
  struct stat facts {};
  if (::stat(file.c_str(), &facts) != 0) return {};
  return "file " + std::to_string(facts.st_ino) + " " + std::to_string(facts.st_dev) + "\n";
}

Life read_life(const std::filesystem::path& file) {
  Life life;
  const std::string text = read_file_if(file).value_or("");
  if (const auto own = text.find("file "); own != std::string::npos && text.substr(own) != place(file)) return life;
  std::sscanf(text.c_str(), "%d %llu %d %llu", &life.agent.pid, &life.agent.started, &life.runner.pid,
              &life.runner.started);
  return life;
}

std::string line(pid_t pid) {
  const auto facts = look_up(pid);
  return std::to_string(pid) + " " + std::to_string(facts ? facts->started : 0) + "\n";
}

void write_life(const Fd& lock, const std::string& text) {
  if (::ftruncate(lock.get(), 0) != 0 || ::pwrite(lock.get(), text.data(), text.size(), 0) != ssize_t(text.size()))
    throw std::system_error(errno, std::generic_category(), "write host.lock");
}

}  // namespace

Result<Fd> lock_data(const std::filesystem::path& data, Millis patience_ms) {
  const auto file = data / "host.lock";
  Fd lock;
  Life earlier;
  for (Millis waited = 0;; waited += kLook) {
    if (!lock) lock = try_lock_file(file);
    earlier = read_life(file);
    if (lock && !runs(earlier.runner)) {
      write_life(lock, line(::getpid()) + place(file));
      return lock;
    }
    if (waited >= patience_ms) {
      if (runs(earlier.agent) && !lock) break;
      // Held by its runner, or by one that it was about to start when it died; that ends by itself.
      if (waited >= patience_ms + kRunnerEndMax) break;
      if (runs(earlier.runner)) kill_runner(earlier.runner);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(kLook));
  }
  const auto owner = lock ? earlier.runner.pid : earlier.agent.pid;
  return fail(Code::conflict,
              "another host uses " + data.string() + (owner > 0 ? " (process " + std::to_string(owner) + ")" : ""),
              "data", "give each host a data directory of its own");
}

void note_runner(const Fd& lock, pid_t runner) {
  try {
    write_life(lock, line(::getpid()) + line(runner) + place("/proc/self/fd/" + std::to_string(lock.get())));
  } catch (const std::exception& trouble) {
    log::event(log::Level::warn, "runner cannot be noted", {{"error", trouble.what()}});
  }
}

}  // namespace geres::host
