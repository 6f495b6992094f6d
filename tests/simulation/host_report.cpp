// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "hub/engine/state.h"
#include "simulation/host.h"

namespace geres::simulation {

using hub::engine::Completion;
using hub::engine::ReportAnswer;
using hub::engine::ReportCall;
using model::Outcome;

void Host::report_within(Millis delay) {
  const Millis due = timeline_.now() + delay;
  if (report_due_ >= timeline_.now() && report_due_ <= due) return;
  report_due_ = due;
  agent(delay, [this, due] {
    if (report_due_ == due && !flight_) send_report();
  });
}

void Host::send_report() {
  if (!enrolled_ || flight_ || goodbye_said_) return;
  report_due_ = -1;
  ReportCall call;
  call.host = id_;
  call.seq = ++seq_;
  call.fetched = fetched_id_;
  Flight flight;
  Millis beat = 1'500, patience = 2'000;
  for (auto& [lease, attempt] : attempts_) {
    if (attempt.dropped) continue;
    beat = std::min(beat, attempt.ttl / 4);
    patience = std::min(patience, attempt.ttl / 2);
    if (!attempt.start_told && attempt.phase != Phase::preparing && !(attempt.finished && attempt.run == 0)) {
      call.started.push_back(lease);
      ledger_.start_said(lease);
    }
    if (attempt.finished) {
      call.finished.push_back(*attempt.finished);
      ledger_.start_said(lease);
      flight.finished.push_back(lease);
    } else {
      call.running.push_back(lease);
      if (attempt.phase == Phase::running && dice_.percent(10))
        call.progress.push_back({lease, {int(dice_.draw(101)), "at work"}});
    }
  }
  call.leaving = flight.leaving = leaving_ && attempts_.empty();
  flight.running = call.running;
  flight.started = call.started;
  flight.sent = local();
  flight_ = std::move(flight);
  const auto no = ++flight_no_;
  network_.up(link, [this, life = life_, no, call] {
    hub_.receive([this, life, no, call](Engine& engine) {
      if (life == life_ && call.seq < seq_) ledger_.hit(Path::report_out_of_order);
      trace_("hub takes report {} of {}: fetched {}, {} run, {} ended", call.seq, kind_.name, call.fetched,
             call.running.size(), call.finished.size());
      engine.ask(call, hub_.answer<ReportAnswer>([this, life, no, call](Result<ReportAnswer>& answer) {
        if (answer)
          for (const auto& item : call.finished)
            if (std::find(answer->accepted.begin(), answer->accepted.end(), item.lease) != answer->accepted.end())
              ledger_.accepted(item);
        if (life == life_) check_cancels();
        network_.down(link, hub_.held_up(), [this, life, no, answer] {
          if (life == life_ && up_)
            agent(0, [this, no, answer] {
              if (flight_ && flight_no_ == no) reported(answer);
            });
        });
      }));
    });
  });
  agent(std::max<Millis>(patience, 500), [this, no] {
    if (!flight_ || flight_no_ != no) return;
    flight_.reset();
    report_within(dice_.between(20, 200));
  });
  if (kind_.first_version || !attempts_.empty()) report_within(beat);
}

void Host::check_cancels() {
  if (hub_.engine().waits_for_store()) return;  // it knows nothing
  const auto& leases = hub_.engine().state().leases;
  for (const auto& [name, attempt] : attempts_) {
    const auto lease = leases.find(attempt.job.seq());
    if (lease != leases.end() && lease->second.row.name == name && lease->second.cancel_confirmed &&
        !attempt.cancel_heard)
      ledger_.violate(
          "I9", fmt::format("host {} is thought to know that job {} is cancelled", kind_.name, attempt.job.str()));
  }
}

void Host::reported(const Result<ReportAnswer>& answer) {
  if (!answer) {
    if (answer.error().code == Code::hostGone) return gone();
    flight_.reset();
    return report_within(dice_.between(50, 300));
  }
  const auto flight = *std::exchange(flight_, std::nullopt);
  take_report(*answer, flight);
  if (flight.leaving) {
    trace_("host {} has left", kind_.name);
    ledger_.hit(Path::host_left);
    goodbye_said_ = true;
    up_ = enrolled_ = false;
    ++life_;
    return timeline_.after(away_, [this] { boot(); });
  }
  if (leaving_ && attempts_.empty()) report_within(5);
  for (const auto& [lease, attempt] : attempts_)
    if (attempt.finished) return report_within(10);
  if (kind_.first_version || !attempts_.empty()) report_within(std::min<Millis>(plan_.lease / 4, 1'500));
}

void Host::take_report(const ReportAnswer& answer, const Flight& flight) {
  for (const auto lease : flight.started)
    if (const auto it = attempts_.find(lease); it != attempts_.end()) it->second.start_told = true;
  for (const auto lease : flight.running) {
    const auto it = attempts_.find(lease);
    if (it == attempts_.end()) continue;
    it->second.deadline = std::max(it->second.deadline, lease_end(flight.sent, it->second.ttl));
    if (!it->second.finished) holds(it->second);
  }
  for (const auto lease : answer.accepted) {
    const auto it = attempts_.find(lease);
    if (it == attempts_.end()) continue;
    if (plan_.rogues && it->second.finished && dice_.percent(20)) rogue(*it->second.finished);
    attempts_.erase(it);
  }
  for (const auto& item : answer.refused) {
    ledger_.hit(item.code == Code::conflict ? Path::conflict_refused : Path::stale_refused);
    attempts_.erase(item.lease);
  }
  for (const auto lease : answer.lost) {
    const auto it = attempts_.find(lease);
    if (it == attempts_.end() || it->second.phase == Phase::ended) continue;
    ledger_.hit(Path::lease_lost_told);
    end_run(it->second);
    ledger_.lets_go(it->second.job, it->second.attempt);
    attempts_.erase(it);
  }
  take_orders(answer.cancel, answer.mode);
  turn();
}

// Says once more how an attempt ended, or another end, under its own number or as an old report: the same is accepted
// again, anything else refused, and nothing changes.
void Host::rogue(const Completion& item) {
  ReportCall call;
  call.host = id_;
  call.seq = 0;
  call.finished = {item};
  const bool same = dice_.percent(50);
  if (!same) call.finished[0].outcome = item.outcome == Outcome::finished ? Outcome::failed : Outcome::finished;
  network_.up({}, [this, same, call] {
    hub_.receive([this, same, call](Engine& engine) {
      engine.ask(call, hub_.answer<ReportAnswer>([this, same, call](Result<ReportAnswer>& answer) {
        if (!answer) return;
        if (!answer->accepted.empty()) ledger_.accepted(call.finished[0]);
        if (answer->refused.empty()) return;
        if (answer->refused[0].code == Code::conflict) ledger_.hit(Path::conflict_refused);
        auto* job = ledger_.find(ledger_.leases[call.finished[0].lease].job);
        if (same && job != nullptr && !job->purged) ledger_.violate("I3", "the repeat of an accepted end was refused");
      }));
    });
  });
}

}  // namespace geres::simulation
