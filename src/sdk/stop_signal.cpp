// SPDX-License-Identifier: Apache-2.0
#include "sdk/stop_signal.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace geres::sdk {
namespace {

struct State {
  int pipe[2] = {-1, -1};
  pid_t owner = 0;
  std::atomic<bool> signalled{false};
  std::mutex calling;  // held while `stop` runs
  void (*stop)(void*) = nullptr;
  void* argument = nullptr;
};

// Never destroyed: the thread and the handler outlive main.
State& state() {
  static auto* const only = new State;
  return *only;
}

void on_term(int) {
  const int saved = errno;
  if (::getpid() == state().owner) {
    const char byte = 1;
    if (::write(state().pipe[1], &byte, 1) < 0) ::_exit(128 + SIGTERM);
  } else {  // a child that has not become a program of its own yet
    ::signal(SIGTERM, SIG_DFL);
    ::raise(SIGTERM);
  }
  errno = saved;
}

void wait_for_signal() {
  char byte;
  for (;;) {
    const ssize_t got = ::read(state().pipe[0], &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    const std::lock_guard lock(state().calling);
    state().signalled = true;
    if (auto* const stop = std::exchange(state().stop, nullptr)) stop(state().argument);
  }
}

}  // namespace

void start_stop_signal() {
  if (::pipe2(state().pipe, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  state().owner = ::getpid();
  std::thread(wait_for_signal).detach();
  struct sigaction action {};
  action.sa_handler = on_term;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGTERM, &action, nullptr);
}

bool stop_signalled() {
  return state().signalled;
}

void on_stop_signal(void (*stop)(void*), void* argument) {
  const std::lock_guard lock(state().calling);
  state().argument = argument;
  state().stop = stop;
  if (stop != nullptr && state().signalled) std::exchange(state().stop, nullptr)(argument);
}

}  // namespace geres::sdk
