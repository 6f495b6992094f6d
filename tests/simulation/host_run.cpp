// SPDX-License-Identifier: Apache-2.0
// The runner: it starts jobs, kills them at their deadline even while the agent is frozen, and tells the agent.
#include "simulation/host.h"

namespace geres::simulation {

using hub::engine::Completion;
using model::Outcome;

void Host::run(Uuid lease) {
  const auto it = attempts_.find(lease);
  if (it == attempts_.end() || it->second.phase != Phase::preparing) return;
  auto& attempt = it->second;
  if (attempt.deadline <= local()) return finish_without_run(attempt, Outcome::lost);
  if (timeline_.now() < sick_until_) return could_not_start(attempt);
  if (plan_.poison && !healed_ && dice_.percent(1)) return finish_without_run(attempt, Outcome::package);
  attempt.phase = Phase::running;
  const int run = attempt.run = 1;
  trace_("host {} runs job {} attempt {}", kind_.name, brief(attempt.job), attempt.attempt);
  ledger_.began(attempt.job, attempt.attempt);
  arm_deadline(attempt);
  report_within(dice_.between(5, 60));
  if (attempt.behaviour == "poison")
    return timeline_.after(dice_.between(5, 200), [this, life = life_, lease] {
      if (life != life_ || !attempts_.contains(lease)) return;
      crash(dice_.between(100, 600));
    });
  const Millis takes = healed_ || dice_.percent(70) ? dice_.between(1, 300) : dice_.between(300, 4'000);
  timeline_.after(takes, [this, life = life_, lease, run] {
    const auto it = attempts_.find(lease);
    if (life == life_ && it != attempts_.end() && it->second.run == run) end(lease, outcome_of(it->second));
  });
}

bool Host::runs_out_of_memory(const Attempt& attempt) const {
  return plan_.host_memory > 0 && !healed_ && HungryJobs::need_of(attempt.job) > attempt.memory;
}

Outcome Host::outcome_of(const Attempt& attempt) {
  if (runs_out_of_memory(attempt)) return Outcome::failed;
  if (attempt.behaviour == "fail") return Outcome::failed;
  if (attempt.behaviour == "abort") return Outcome::aborted;
  const auto draw = dice_.draw(100);
  if (draw < 75) return Outcome::finished;
  if (draw < 90) return Outcome::failed;
  if (draw < 93) return Outcome::timeout;
  if (draw < 95) return Outcome::aborted;
  if (draw < 98) return Outcome::lost;
  return Outcome::cancelled;  // though nobody may have asked
}

// The runner's timer, on the host's clock. A renewal moves the deadline; the timer then starts anew.
void Host::arm_deadline(const Attempt& attempt) {
  timeline_.at(drift_.when(attempt.deadline), [this, life = life_, lease = attempt.lease] {
    const auto it = attempts_.find(lease);
    if (life != life_ || it == attempts_.end() || it->second.phase != Phase::running) return;
    if (local() < it->second.deadline) return arm_deadline(it->second);
    ledger_.hit(Path::lease_ran_out_at_host);
    end(lease, Outcome::lost);
  });
}

void Host::holds(const Attempt& attempt) {
  if (attempt.phase != Phase::ended) ledger_.holds(attempt.job, attempt.attempt, drift_.when(attempt.deadline));
}

// TERM now; it is gone within the grace, unless it ends by itself before.
void Host::stop_run(Attempt& attempt, Millis within, Outcome outcome) {
  if (attempt.stopping) return;
  attempt.stopping = true;
  timeline_.after(within, [this, life = life_, lease = attempt.lease, outcome] {
    const auto it = attempts_.find(lease);
    if (life == life_ && it != attempts_.end() && it->second.phase == Phase::running) end(lease, outcome);
  });
}

void Host::end_run(Attempt& attempt) {
  if (attempt.phase != Phase::running) return;
  attempt.phase = Phase::ended;
  ledger_.over(attempt.job);
  ledger_.lets_go(attempt.job, attempt.attempt);
}

void Host::end(Uuid lease, Outcome outcome) {
  auto& attempt = attempts_.at(lease);
  if (attempt.phase != Phase::running) return;
  trace_("host {}: job {} attempt {} ends as {}", kind_.name, brief(attempt.job), attempt.attempt, int(outcome));
  end_run(attempt);
  agent(0, [this, lease, outcome] {
    const auto it = attempts_.find(lease);
    if (it != attempts_.end() && !it->second.finished) finish_without_run(it->second, outcome);
  });
}

void Host::could_not_start(Attempt& attempt) {
  trace_("host {} cannot start job {} attempt {}", kind_.name, brief(attempt.job), attempt.attempt);
  ledger_.sick.gives_back(attempt.job, attempt.attempt);
  if (tiny_) ledger_.sick.tiny.insert(kind_.name);
  finish_without_run(attempt, Outcome::released);
  attempt.finished->given_back = tiny_ ? hub::engine::GivenBack::no_room : hub::engine::GivenBack::not_started;
  attempt.finished->reason = attempt.finished->error = "it is sick";
}

void Host::finish_without_run(Attempt& attempt, Outcome outcome) {
  attempt.phase = Phase::ended;
  ledger_.lets_go(attempt.job, attempt.attempt);
  Completion item;
  item.lease = attempt.lease;
  item.outcome = outcome;
  item.exit = model::Exit{outcome == Outcome::finished ? 0 : 1 + int(dice_.draw(3)), std::nullopt};
  if (outcome == Outcome::failed) item.error = "exit";
  if (outcome == Outcome::failed && attempt.run > 0 && runs_out_of_memory(attempt)) {
    item.error = "killed: out of memory";
    item.cause = model::Cause::outOfMemory;
    item.memory_limit = attempt.memory;
  }
  if (outcome == Outcome::finished) item.result = "{}";
  attempt.finished = std::move(item);
  report_within(dice_.between(1, 20));
  agent(0, [this] { turn(); });
}

}  // namespace geres::simulation
