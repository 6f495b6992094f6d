// SPDX-License-Identifier: Apache-2.0
#include "runner/attempt.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/duration.h"
#include "runner/clone.h"
#include "runner/deleted_files.h"
#include "runner/processes.h"

namespace geres::runner {
namespace {

constexpr Millis kLogPauseMs = 100;
constexpr Millis kFirstLogPauseMs = 20;  // shows the first line soon; a job that ends earlier tells it at its end
constexpr Millis kKillPauseMsMax = 100;
constexpr Millis kYieldAfterMs = 1000;  // most jobs that somebody waits for have ended by then
// The longest pause between looks: by then the kernel has found memory without killing.
constexpr Millis kKillsPauseMsMax = 512;
constexpr Source kSources[] = {Source::out, Source::err, Source::progress, Source::report, Source::memory};

Millis earlier(Millis a, Millis b) {
  return a == 0 ? b : b == 0 ? a : std::min(a, b);
}

bool has_nul(const std::vector<std::string>& words) {
  return std::any_of(words.begin(), words.end(), [](const auto& w) { return w.find('\0') != std::string::npos; });
}

ChildReport failure(Step step, int error) {
  ChildReport report;
  report.failed = step;
  report.error = error;
  return report;
}

}  // namespace

// ---- start ----------------------------------------------------------------------------------------------------------

void Attempt::start(Millis now) {
  started_at_ = now;
  log_told_at_ = now - kLogPauseMs + kFirstLogPauseMs;
  result_.key = log_told_.key = spec_.key;
  // The order came too late, so the attempt must not run any more.
  if (spec_.deadline.atMs != 0 && lease_term_at() <= now) {
    result_.stopped = wire::StopReason::lease;
    return finish(now);
  }
  if (spec_.argv.empty()) spec_.argv.emplace_back();
  plan_ = std::make_unique<ChildPlan>(spec_, around_.files);
  if (has_nul(spec_.argv) || has_nul(spec_.env)) return fail_start(failure(Step::execute, EINVAL), now);
  if (!open_files()) return fail_start(failure(Step::standardFiles, errno), now);

  auto& containment = around_.containment;
  if (!containment.prepare(slot())) return fail_start(failure(Step::containment, errno), now);
  if (!around_.limits.prepare(slot(), spec_.limits)) return fail_start(failure(Step::limits, errno), now);
  const auto [memory_fd, tasks_fd] = around_.limits.join_fds(slot());
  plan_->stdin_fd = around_.null_fd;
  plan_->stdout_fd = out_.job_end();
  plan_->stderr_fd = err_.job_end();
  plan_->join_fds = {containment.join_fd(slot()), memory_fd, tasks_fd};
  plan_->as_init = containment.own_init();
  plan_->nice = around_.nice;
  Fd fences;
  if (spec_.fences) {
    if (fences = around_.fences.make(*spec_.fences); !fences) return fail_start(failure(Step::fences, errno), now);
    plan_->fences_fd = fences.get();
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail_start(failure(Step::standardFiles, errno), now);
  report_ = Fd(ends[0]);
  const Fd report_end(ends[1]);
  plan_->report_fd = report_end.get();
  CloneRequest request;
  request.cgroup_fd = containment.cgroup_fd(slot());
  if (plan_->as_init) request.namespaces = CLONE_NEWPID | CLONE_NEWNS;
  cpu_before_ = containment.cpu_micros(slot()).value_or(0);
  const pid_t pid = clone_child(request, run_child_steps, plan_.get());
  if (pid < 0) return fail_start(failure(Step::clone, -pid), now);
  pid_ = told_pid_ = pid;
  containment.started(slot(), pid, spec_.env);
  out_.close_job_end();
  err_.close_job_end();
}

bool Attempt::open_files() {
  if (!out_.open(spec_.stdoutPath, spec_.logBytesMax) || !err_.open(spec_.stderrPath, spec_.logBytesMax)) return false;
  return around_.progress.open(spec_.progressPath, spec_.uid, spec_.gid);
}

void Attempt::fail_start(const ChildReport& report, Millis now) {
  failure_ = report;
  finish(now);
}

void Attempt::read_report() {
  ChildReport report;
  ssize_t got;
  while ((got = read(report_.get(), &report, sizeof report)) == ssize_t(sizeof report)) {
    if (report.failed == Step::exited)
      ended_report_ = report;
    else if (report.failed != Step::none)
      failure_ = report;
    else if (life_ == Life::starting)
      life_ = Life::running;
  }
  if (got < 0 && errno == EAGAIN) return;
  unwatch(Source::report);
  report_.reset();  // the other end was closed: by exec, or because the init ended
  if (life_ == Life::starting && !failure_ && !plan_->as_init) life_ = Life::running;
}

// ---- what happens to it ---------------------------------------------------------------------------------------------

int Attempt::fd(Source source) const {
  switch (source) {
    case Source::out:
      return out_.read_end();
    case Source::err:
      return err_.read_end();
    case Source::progress:
      return around_.progress.read_end();
    case Source::report:
      return report_.get();
    case Source::memory:
      return out_of_memory_ends() ? around_.limits.event_fd(slot()) : -1;
  }
  return -1;
}

void Attempt::watch(std::uint64_t tag) const {
  if (ended()) return;
  for (const auto source : kSources) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = tag | std::uint64_t(source);
    if (fd(source) >= 0) epoll_ctl(around_.epoll_fd, EPOLL_CTL_ADD, fd(source), &event);
  }
}

// Closing the descriptor is not enough: a child on its way to exec still has a copy, and epoll would keep reporting it.
void Attempt::unwatch(Source source) const {
  if (fd(source) >= 0) epoll_ctl(around_.epoll_fd, EPOLL_CTL_DEL, fd(source), nullptr);
}

void Attempt::readable(Source source) {
  if (fd(source) < 0) return;
  const auto pump = [&](Output& output) {
    if (output.pump()) return;
    unwatch(source);
    output.close_read_end();
  };
  switch (source) {
    case Source::out:
      pump(out_);
      break;
    case Source::err:
      pump(err_);
      break;
    case Source::progress:
      around_.progress.pump();
      break;
    case Source::report:
      read_report();
      break;
    case Source::memory:
      std::uint64_t times;
      if (read(fd(source), &times, sizeof times) > 0) kills_look_at_ = kills_pause_ = 1;  // at once
      break;
  }
}

void Attempt::reaped(int status, const rusage& usage, Millis now) {
  if (report_) read_report();
  around_.containment.reaped(slot());
  pid_ = -1;
  if (ended_report_.failed == Step::exited) status = ended_report_.status;
  if (WIFEXITED(status)) result_.exitCode = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result_.signal = WTERMSIG(status);
  result_.ranMs = now - started_at_;
  result_.maxRssBytes = std::int64_t{usage.ru_maxrss} * 1024;
  result_.cpuSeconds = double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  life_ = Life::emptying;
  kill_pause_ = 1;
  kill_again_at_ = now;
}

void Attempt::stop(const wire::StopRun& order, Millis now) {
  if (!lives()) return;
  const auto why = order.why;
  if (stop_kill_at_ == 0) {
    over_limit_ = order.reason;
    return send_term(why, now + order.graceMs, now);
  }
  stop_kill_at_ = std::min(stop_kill_at_, now + order.graceMs);
  // A stop for good outweighs one after which the attempt would run again.
  const bool would_run_again = result_.stopped == wire::StopReason::lease || result_.stopped == wire::StopReason::drain;
  if (why == wire::StopReason::cancel && would_run_again) result_.stopped = why;
}

bool Attempt::yields(Millis now) const {
  return now - started_at_ >= kYieldAfterMs;
}

bool Attempt::wants_look(Millis now) const {
  return life_ == Life::running && (has_tree_limits() || yields(now));
}

void Attempt::look(Millis now) {
  const auto processes = around_.containment.processes(slot());
  if (yields(now)) yielding_.look(processes);
  if (const auto held = deleted_bytes(processes, spec_.workDirectory.c_str()); held != held_) {
    held_ = held;
    held_is_new_ = true;
  }
  check_tree_limits(processes, now);
}

// The kernel announces that memory has run out before it kills, and counts the kill afterwards.
void Attempt::look_for_kills(Millis now) {
  if (auto why = around_.limits.out_of_memory(slot())) {
    kills_look_at_ = 0;
    return stop({spec_.key, wire::StopReason::memory, 0, std::move(*why)}, now);
  }
  kills_look_at_ = kills_pause_ > kKillsPauseMsMax ? 0 : now + kills_pause_;
  kills_pause_ *= 2;
}

void Attempt::check_tree_limits(const std::vector<pid_t>& processes, Millis now) {
  if (!over_limit_.empty()) return;
  const auto& limits = spec_.limits;
  wire::StopRun order{spec_.key, wire::StopReason::limit, 0, {}};
  if (limits.treeProcesses && std::int64_t(processes.size()) > *limits.treeProcesses)
    order.reason = "it had more than " + std::to_string(*limits.treeProcesses) + " processes (--process-limit)";
  if (!order.reason.empty()) return stop(order, now);
  if (!limits.treeMemoryBytes || around_.limits.has_memory()) return;
  const auto used = memory_of(processes, *limits.treeMemoryBytes);
  if (used <= *limits.treeMemoryBytes) return;
  order.why = wire::StopReason::memory;
  order.reason = "out of memory, limit " + format_size(*limits.treeMemoryBytes) + ", peak " + format_size(used);
  stop(order, now);
}

void Attempt::kill_now(Millis now) {
  if (lives() && stop_kill_at_ == 0) result_.stopped = wire::StopReason::drain;
  stop_kill_at_ = now;
  if (lives()) send_kill(now);
}

void Attempt::send_term(wire::StopReason why, Millis kill_at, Millis now) {
  result_.stopped = why;
  stop_kill_at_ = std::max<Millis>(kill_at, 1);
  if (kill_at <= now) return send_kill(now);
  around_.containment.terminate(slot());
  // The child may not be in its containment yet. Its signals are blocked until it executes, so the TERM stays pending.
  if (life_ == Life::starting && pid_ > 0 && !plan_->as_init) ::kill(pid_, SIGTERM);
}

void Attempt::send_kill(Millis now) {
  around_.containment.kill(slot());
  if (life_ == Life::starting && pid_ > 0) ::kill(pid_, SIGKILL);
  result_.killed = true;
  kill_again_at_ = now + kill_pause_;
  kill_pause_ = std::min(kill_pause_ * 2, kKillPauseMsMax);
}

// ---- time -----------------------------------------------------------------------------------------------------------

Millis Attempt::lease_term_at() const {
  const auto& deadline = spec_.deadline;
  return deadline.atMs == 0 ? 0 : std::max<Millis>(1, deadline.atMs - std::min(spec_.graceMs, deadline.termBeforeMs));
}

Millis Attempt::kill_at() const {
  return kill_again_at_ != 0 ? kill_again_at_ : earlier(stop_kill_at_, spec_.deadline.atMs);
}

Millis Attempt::log_due() const {
  const bool grown =
      log_told_.stdoutBytes != out_.result().keptBytes || log_told_.stderrBytes != err_.result().keptBytes;
  return grown ? log_told_at_ + kLogPauseMs : 0;
}

Millis Attempt::due(bool news_welcome) const {
  Millis at = 0;
  if (life_ == Life::emptying) at = kill_again_at_;
  if (lives()) {
    at = kill_at();
    if (stop_kill_at_ == 0) {
      at = earlier(at, earlier(lease_term_at(), kills_look_at_));
      if (spec_.timeoutMs > 0) at = earlier(at, started_at_ + spec_.timeoutMs);
    }
  }
  if (news_welcome) at = earlier(at, earlier(around_.progress.due(), log_due()));
  return at;
}

void Attempt::advance(Millis now) {
  const auto is_due = [now](Millis at) { return at != 0 && at <= now; };
  if (lives() && stop_kill_at_ == 0 && is_due(lease_term_at()))
    send_term(wire::StopReason::lease, spec_.deadline.atMs, now);
  if (lives() && stop_kill_at_ == 0 && spec_.timeoutMs > 0 && is_due(started_at_ + spec_.timeoutMs))
    send_term(wire::StopReason::timeout, now + spec_.graceMs, now);
  if (lives() && stop_kill_at_ == 0 && is_due(kills_look_at_)) look_for_kills(now);
  if (lives() && is_due(kill_at())) send_kill(now);
  if (life_ != Life::emptying) return;
  if (around_.containment.empty(slot())) return finish(now);
  if (!is_due(kill_again_at_)) return;
  around_.containment.kill(slot());
  kill_again_at_ = now + kill_pause_;
  kill_pause_ = std::min(kill_pause_ * 2, kKillPauseMsMax);
}

// ---- the end --------------------------------------------------------------------------------------------------------

wire::RunEnd Attempt::end() const {
  using wire::RunEnd;
  if (failure_ && result_.stopped != wire::StopReason::memory) return RunEnd::startFailed;
  if (result_.stopped) {
    switch (*result_.stopped) {
      case wire::StopReason::memory:
        return RunEnd::outOfMemory;
      case wire::StopReason::cancel:
        return RunEnd::cancelled;
      case wire::StopReason::drain:
        return RunEnd::drained;
      case wire::StopReason::timeout:
        return RunEnd::timeout;
      case wire::StopReason::lease:
        return RunEnd::leaseExpired;
      case wire::StopReason::limit:
        return RunEnd::overLimit;
    }
  }
  return result_.signal ? RunEnd::signalled : RunEnd::exited;
}

void Attempt::finish(Millis now) {
  for (const auto source : kSources) unwatch(source);
  out_.finish();
  err_.finish();
  around_.progress.finish();
  report_.reset();
  // Holds also if the main process went on and ended well, or could not even start.
  if (!result_.stopped && out_of_memory_ends())
    if (auto why = around_.limits.out_of_memory(slot())) {
      result_.stopped = wire::StopReason::memory;
      over_limit_ = std::move(*why);
    }
  if (failure_) {
    result_.reason = start_failure_reason(*plan_, *failure_);
    result_.hostTrouble = is_host_trouble(*failure_);
    result_.exitCode.reset();
    result_.ranMs = now - started_at_;
  } else if (const auto cpu = told_pid_ > 0 ? around_.containment.cpu_micros(slot()) : std::nullopt) {
    result_.cpuSeconds = double(*cpu - cpu_before_) / 1e6;
  }
  result_.end = end();
  if (result_.end == wire::RunEnd::overLimit || result_.end == wire::RunEnd::outOfMemory) {
    result_.reason = over_limit_;
    result_.hostTrouble = false;
    if (result_.end == wire::RunEnd::outOfMemory && around_.limits.is_own_limit(slot()))
      result_.memoryLimit = spec_.limits.treeMemoryBytes.value_or(0);
  }
  const bool went_wrong = result_.end == wire::RunEnd::signalled || result_.exitCode.value_or(0) != 0;
  if (result_.reason.empty() && went_wrong) result_.reason = around_.limits.out_of_tasks(slot()).value_or("");
  if (result_.reason.empty() && plan_) result_.reason = exit_hint(*plan_, result_.exitCode.value_or(0));
  result_.stdout_ = out_.result();
  result_.stderr_ = err_.result();
  result_.lastErrorLine = err_.last_line();
  life_ = Life::ended;
}

void Attempt::tell(std::string& outbox, Millis now, bool news_welcome) {
  wire::FromRunner message;
  const auto put = [&] {
    wire::put_frame(outbox, message);
    message = {};
  };
  if (!started_told_ && !failure_ && told_pid_ > 0 && life_ != Life::starting) {
    message.started = wire::RunStarted{spec_.key, told_pid_, started_at_};
    started_told_ = true;
    put();
  }
  if (news_welcome || ended()) {
    if (auto news = around_.progress.take(now, ended())) {
      news->key = spec_.key;
      message.progress = std::move(*news);
      put();
    }
    const Millis at = log_due();
    if (at != 0 && (ended() || at <= now)) {
      log_told_.stdoutBytes = out_.result().keptBytes;
      log_told_.stderrBytes = err_.result().keptBytes;
      log_told_at_ = now;
      message.log = log_told_;
      put();
    }
  }
  if (std::exchange(held_is_new_, false) && !ended()) {
    message.held = wire::RunHeld{spec_.key, held_};
    put();
  }
  if (!ended()) return;
  message.exited = std::move(result_);
  put();
}

}  // namespace geres::runner
