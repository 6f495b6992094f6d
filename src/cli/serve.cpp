// SPDX-License-Identifier: Apache-2.0
#include "cli/serve.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <ctime>

#include "cli/output.h"

namespace geres::cli {
namespace {

sigset_t stop_set() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

void print_block(const std::string& what, const std::vector<std::pair<std::string, std::string>>& rows,
                 const std::string& last) {
  Output output;
  output.look = look_around();
  std::size_t width = 0;
  for (const auto& [name, text] : rows) width = std::max(width, name.size());
  std::string block = output.bold("geres " GERES_VERSION) + "    " + what + "\n";
  const auto indent = width + 6;
  const auto room = std::size_t(std::max(terminal_width(1) - int(indent), 10));
  for (const auto& [name, text] : rows) {
    // "Next" is printed unbroken, so that it can be pasted.
    const bool whole = !output.look.out_terminal || name == "Next";
    block += "  " + output.grey(pad(name, width + 4)) + (whole ? text : wrapped(text, room, std::string(indent, ' '))) +
             "\n";
  }
  if (!last.empty()) block += last + "\n";
  output.out(block);
}

StopSignals::StopSignals() {
  const auto set = stop_set();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

bool StopSignals::wait(Millis timeout) {
  const auto set = stop_set();
  const SystemClock clock;
  const auto end = clock.monotonic() + timeout;
  for (;;) {
    const auto left = std::max<Millis>(end - clock.monotonic(), 0);
    const timespec time{std::time_t(left / 1'000), long(left % 1'000) * 1'000'000};
    const int signal = ::sigtimedwait(&set, nullptr, &time);
    // A service is told to read its files again; whoever started it in a terminal has closed that.
    if (signal == SIGHUP && on_hangup_ && ::isatty(STDERR_FILENO) == 0) {
      on_hangup_();
      continue;
    }
    if (signal > 0) return true;
    if (errno != EINTR || left == 0) return false;
  }
}

}  // namespace geres::cli
