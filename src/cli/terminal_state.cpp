// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal_state.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string_view>

namespace geres::cli {
namespace {

std::atomic<int> g_hidden_on{-1};
std::atomic<bool> g_coloured[3];  // by descriptor
std::atomic<bool> g_stopped{false};

void say(int fd, std::string_view text) {
  [[maybe_unused]] const auto written = ::write(fd, text.data(), text.size());
}

// Stops the process as if the signal had not been caught, and continues here afterwards.
void on_stop(int signal) {
  const int error = errno;
  for (int fd = 0; fd < 3; ++fd)
    if (g_coloured[fd]) say(fd, "\x1b[0m");
  if (const int fd = g_hidden_on; fd >= 0) say(fd, "\x1b[?25h");
  struct sigaction by_default {
  }, ours{};
  by_default.sa_handler = SIG_DFL;
  sigset_t this_one, before;
  ::sigemptyset(&this_one);
  ::sigaddset(&this_one, signal);
  ::sigaction(signal, &by_default, &ours);
  ::raise(signal);
  ::pthread_sigmask(SIG_UNBLOCK, &this_one, &before);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::sigaction(signal, &ours, nullptr);
  g_stopped = true;
  errno = error;
}

}  // namespace

void mind_stops() {
  struct sigaction action {
  }, before{};
  // Leave it alone if it was ignored: a shell without job control.
  if (::sigaction(SIGTSTP, nullptr, &before) != 0 || before.sa_handler != SIG_DFL) return;
  action.sa_handler = on_stop;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGTSTP, &action, nullptr);
}

void cursor_is_hidden(int fd) {
  g_hidden_on = fd;
}

void is_coloured(int fd, bool coloured) {
  if (fd >= 0 && fd < 3) g_coloured[fd] = coloured;
}

bool was_stopped() {
  return g_stopped.exchange(false);
}

bool in_background(int fd) {
  const auto foreground = ::tcgetpgrp(fd);
  return foreground > 0 && foreground != ::getpgrp();
}

}  // namespace geres::cli
