// SPDX-License-Identifier: Apache-2.0
// One attempt, from its RunSpec to its RunResult. The runner's loop drives it and tells it what is readable, which
// process died and what time it is; it never blocks. Life: starting → running → emptying (the program has ended, what
// it left behind is being killed) → ended.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runner/child.h"
#include "runner/containment.h"
#include "runner/fences.h"
#include "runner/output.h"
#include "runner/progress.h"
#include "runner/slot_limits.h"
#include "runner/yielding.h"
#include "wire/runner/runner_channel.h"

namespace geres::runner {

enum class Source : std::uint8_t { out, err, progress, report, memory };

struct Surroundings {
  ContainmentKind& containment;
  SlotLimits& limits;
  Fences& fences;
  Progress& progress;  // the slot's
  int epoll_fd;
  int null_fd;   // /dev/null, for reading
  int nice;      // if not 0, the runner's own niceness, which jobs must not inherit
  rlimit files;  // how many files a job without a limit of its own may open
};

class Attempt {
 public:
  Attempt(wire::RunSpec spec, Surroundings around) : spec_(std::move(spec)), around_(around) {}

  const std::string& key() const { return spec_.key; }
  std::uint32_t slot() const { return spec_.slot; }
  pid_t pid() const { return pid_; }

  void start(Millis now);
  void readable(Source source);
  void reaped(int status, const rusage& usage, Millis now);
  void stop(const wire::StopRun& order, Millis now);
  void renew(wire::Deadline deadline) { spec_.deadline = deadline; }
  void kill_now(Millis now);
  // Whether its processes should be looked at now, to hold them to their limits and to make long runners yield.
  bool wants_look(Millis now) const;
  void look(Millis now);

  // Does what is due at `now`. Call it when due() has passed or a process has died.
  void advance(Millis now);
  Millis due(bool news_welcome) const;  // 0: nothing to wait for

  // Has the runner's epoll wait for the sources; an event carries `tag` plus the source.
  void watch(std::uint64_t tag) const;
  bool ended() const { return life_ == Life::ended; }
  // Appends what has changed to the outbox; progress and log sizes only if `news_welcome` (the agent keeps up with
  // reading).
  void tell(std::string& outbox, Millis now, bool news_welcome);

 private:
  enum class Life { starting, running, emptying, ended };

  bool lives() const { return life_ == Life::starting || life_ == Life::running; }
  bool open_files();
  int fd(Source source) const;
  void unwatch(Source source) const;
  void fail_start(const ChildReport& report, Millis now);
  void read_report();
  bool has_tree_limits() const { return spec_.limits.treeProcesses || spec_.limits.treeMemoryBytes; }
  bool yields(Millis now) const;
  void check_tree_limits(const std::vector<pid_t>& processes, Millis now);
  bool out_of_memory_ends() const { return spec_.limits.outOfMemoryEnds && told_pid_ > 0; }
  void look_for_kills(Millis now);
  void send_term(wire::StopReason why, Millis kill_at, Millis now);
  void send_kill(Millis now);
  Millis kill_at() const;
  Millis lease_term_at() const;
  Millis log_due() const;
  void finish(Millis now);
  wire::RunEnd end() const;

  wire::RunSpec spec_;
  Surroundings around_;
  Life life_ = Life::starting;
  std::unique_ptr<ChildPlan> plan_;
  pid_t pid_ = -1;       // until it is reaped
  pid_t told_pid_ = -1;  // -1: it never ran
  Output out_, err_;
  Fd report_;
  ChildReport ended_report_;  // the last report of a tiny init
  std::optional<ChildReport> failure_;
  Millis started_at_ = 0;
  bool started_told_ = false;
  std::int64_t cpu_before_ = 0;
  Millis stop_kill_at_ = 0;   // KILL after a TERM; 0: no TERM was sent
  Millis kill_again_at_ = 0;  // 0: no KILL was sent
  Millis kill_pause_ = 1;
  std::string over_limit_;  // the limit that it was stopped for
  // Memory has run out: when to see whether the kernel has killed; 0: memory has not run out.
  Millis kills_look_at_ = 0;
  Millis kills_pause_ = 0;
  std::int64_t held_ = 0;  // RunHeld, and whether it is to be told
  bool held_is_new_ = false;
  Yielding yielding_;
  wire::RunLog log_told_;
  Millis log_told_at_ = 0;
  wire::RunResult result_;
};

}  // namespace geres::runner
