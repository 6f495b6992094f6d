// SPDX-License-Identifier: Apache-2.0
// How the host ends: jobs that have not started go back at once, running ones may go on for a while, then they are
// stopped and given back, and the last report says goodbye. If the hub cannot be reached there is nobody to tell, so
// the host does not wait for it for long.
#include "base/log.h"
#include "host/agent.h"

namespace geres::host {
void Agent::request_stop(Millis drain_ms) {
  link_.post([this, drain_ms] { stop_by(drain_ms); });
}

void Agent::stop_by(Millis drain_ms) {
  if (!member_.stopping())
    log::event(log::Level::info, "host stops", {{"host", name_}, {"attempts", attempts_.size()}});
  else if (member_.time_was_up())
    stop_running(0);  // asked again while they are already ending
  member_.stop_by(drain_ms);
}

void Agent::stop_step() {
  give_back_unstarted();
  if (member_.time_is_up()) stop_running(options_.grace_ms);
  if (member_.out_of_reach()) {
    log::event(log::Level::warn, "host leaves without a word", {{"hub", options_.hub_url}});
    return finish(broken_ ? Result<void>(*broken_) : Result<void>());
  }
  link_.after(500, [] {});
  if (!attempts_.empty()) return;
  // A registration under way may have made us known: then the hub is told that we leave.
  if (member_.joining()) return;
  if (!member_.membership() || member_.said_goodbye()) finish(broken_ ? Result<void>(*broken_) : Result<void>());
}

void Agent::give_back_unstarted() {
  std::vector<AttemptPtr> unstarted;
  for (const auto& [lease, attempt] : attempts_) {
    const bool late = member_.time_was_up() && attempt->phase == Phase::collecting;
    if (attempt->phase == Phase::waiting || attempt->phase == Phase::preparing || late) unstarted.push_back(attempt);
  }
  for (const auto& attempt : unstarted)
    end_without_run(attempt, model::Outcome::released, "given back: its host was stopping");
}

void Agent::stop_running(Millis grace_ms) {
  for (const auto& [lease, attempt] : attempts_)
    if (attempt->phase == Phase::running) stop(*attempt, grace_ms, wire::StopReason::drain);
}

void Agent::stop(Attempt& attempt, Millis grace_ms, wire::StopReason why, const std::string& reason) {
  if (attempt.stop_at == 0) attempt.stop_at = clock_.monotonic();
  runner_->stop(attempt.lease, grace_ms, why, reason);
}

void Agent::finish(Result<void> ended) {
  if (finished_) return;
  finished_ = true;
  if (!ended) log::event(log::Level::err, "host cannot go on", {{"error", ended.error().message}});
  const std::lock_guard lock(mutex_);
  ended_ = std::move(ended);
  ended_changed_.notify_all();
}

Result<void> Agent::wait() {
  {
    std::unique_lock lock(mutex_);
    ended_changed_.wait(lock, [&] { return ended_.has_value(); });
  }
  std::call_once(joined_, [&] {
    disk_.stop();
    link_.stop();
    if (runner_works_) runner_->close();
    pool_.stop();  // which may be starting a new runner
    cleaners_.stop();
    sweepers_.stop();
    runner_->close();
  });
  const std::lock_guard lock(mutex_);
  status_.connected = false;
  return *ended_;
}

}  // namespace geres::host
