// SPDX-License-Identifier: Apache-2.0
// Programs that we start: those that are waited for (hooks, makers of tokens), and those that outlive us (hosts).
#pragma once

#include <sys/types.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/file.h"

namespace geres {

struct Program {
  std::vector<std::string> argv;                   // the first is searched in PATH unless it has a slash
  std::map<std::string, std::string> environment;  // all of it
  std::filesystem::path directory;                 // empty: ours
};

// In a session of its own, with these standard files (-1: /dev/null) and no others. Throws std::system_error.
pid_t start_program(const Program& program, int in, int out, int err);

// Of our environment, what every program may need and nothing that is secret.
std::map<std::string, std::string> plain_environment();

struct Ran {
  int exit_code = -1;  // -1: it was killed
  std::string out;
  std::string last_line;  // of its standard error
  bool too_long = false, too_much = false, stopped = false;
};

struct RunLimits {
  Millis time_max = 60'000;
  Millis term_time = 2'000;  // between TERM and KILL
  std::size_t out_max = 1 << 20;
};

// Runs it to its end with `in` as standard input. What it leaves running is left alone (it may be what it was asked to
// start), also if that still holds its output; but when the time or the output is too much, or `stop` is set, all that
// descends from it is ended. Throws std::system_error if it cannot be started.
Ran run_program(const Program& program, std::string_view in, const RunLimits& limits, const std::atomic<bool>& stop);

// A process by pid and start time, which together name it for as long as the machine runs.
struct ProcessName {
  pid_t pid = 0;
  unsigned long long started = 0;  // clock ticks after boot
};
std::optional<ProcessName> process_named(pid_t pid);  // empty: there is none, or it has ended
bool is_alive(const ProcessName& process);
// Empty if it has ended, or is another one by now.
Fd open_process(const ProcessName& process);

}  // namespace geres
