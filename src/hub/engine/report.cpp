// SPDX-License-Identifier: Apache-2.0
// How attempts go on and end: reports of hosts, leases that run out, and what becomes of the job. Every write by a host
// names its lease; one that is not current changes nothing.
#include <fmt/format.h>

#include <algorithm>
#include <boost/describe/enum_to_string.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <cmath>
#include <unordered_set>

#include "base/log.h"
#include "hub/engine/tick.h"

namespace geres::hub::engine {

using model::JobState;
using model::Outcome;
using model::Reason;
using model::Trigger;
using store::EventType;

namespace {

std::string quoted(const std::string& text) {
  return boost::json::serialize(boost::json::value(text));
}

std::string progress_data(const model::Progress& progress) {
  return fmt::format(R"("progress":{{"percent":{},"message":{}}})",
                     progress.percent ? std::to_string(*progress.percent) : "null", quoted(progress.message));
}

std::string failure_data(const model::Job& job) {
  return fmt::format(R"("failures":{},"hostLosses":{},"error":{})", job.status.failures, job.status.host_losses,
                     quoted(job.status.error));
}

// Exponential, capped, and spread by a tenth either way so that jobs that failed together do not come back together.
Millis retry_pause(const model::Backoff& backoff, int failures, Random& random) {
  const double plain = double(backoff.initial) * std::pow(backoff.factor, std::min(failures - 1, 200));
  const double capped = std::min(plain, double(backoff.max));
  const double spread = 0.9 + 0.2 * (double(random.next() >> 11) / double(1ull << 53));
  return Millis(std::llround(std::min(capped * spread, double(backoff.max))));
}

Reason final_reason(Outcome outcome, int max_attempts) {
  if (max_attempts > 1) return Reason::maxAttempts;
  return outcome == Outcome::timeout ? Reason::timeout : Reason::error;
}

std::string lost_error(Outcome outcome, const std::string& host) {
  if (outcome == Outcome::expired) return fmt::format("host {} was not heard of until the lease ended", host);
  if (outcome == Outcome::lost) return fmt::format("host {} lost the attempt", host);
  return {};
}

// To the log: it rests, by its own will or ours, or does not any more.
void tell_health(const HostState& host) {
  const bool well = host.health.state() == model::Health::well;
  log::event(well ? log::Level::info : log::Level::warn, well ? "host is well again" : "host rests",
             {{"host", host.row.name}, {"hostId", host.row.id.str()}, {"reason", well ? "" : host.health.reason()}});
}

}  // namespace

// ---- what becomes of the job ----------------------------------------------------------------------------------------

void Tick::fail_for_good(model::Job& job, Reason reason) {
  job.status.reason = reason;
  move(job, Trigger::fail);
  emit(EventType::job_failed, job,
       fmt::format(R"("reason":"{}",{})", boost::describe::enum_to_string(reason, "internal"), failure_data(job)));
}

// `outcome` has been recorded and the lease is gone; job.status.error says what happened.
void Tick::settle_job(model::Job& job, LaneState& lane, Outcome outcome, bool cancel_requested, bool unstarted) {
  auto& status = job.status;
  const auto cancelled = [&] {
    move(job, Trigger::cancel);
    emit(EventType::job_cancelled, job);
  };
  switch (outcome) {
    case Outcome::finished:
      status.error.clear();
      move(job, Trigger::finish);
      emit(EventType::job_finished, job);
      if (status.redrive_of) settle_redriven(*status.redrive_of);
      return;
    case Outcome::aborted:
      return fail_for_good(job, Reason::aborted);
    case Outcome::package:
      return fail_for_good(job, Reason::package);
    case Outcome::type:
      return fail_for_good(job, Reason::type);
    case Outcome::cancelled:
      if (cancel_requested) return cancelled();
      [[fallthrough]];  // stopped though nobody asked: a failure like another
    case Outcome::failed:
    case Outcome::timeout: {
      ++status.failures;
      if (status.failures >= job.spec.max_attempts)
        return fail_for_good(job, final_reason(outcome, job.spec.max_attempts));
      if (cancel_requested) return cancelled();
      pause(job, retry_pause(job.spec.backoff, status.failures, random_));
      ++stats_.retried;
      return;
    }
    case Outcome::released:
      if (cancel_requested) return cancelled();
      return unstarted ? settle_unstarted(job) : ready_again(job, lane);
    case Outcome::lost:
    case Outcome::expired:
      ++status.host_losses;
      if (cancel_requested) return cancelled();
      if (is_poison(job, lane)) return fail_for_good(job, Reason::poison);
      return ready_again(job, lane);
  }
}

void Tick::ready_again(model::Job& job, LaneState& lane) {
  auto* home = &lane;
  if (lane.row.key.avoid != job.status.trouble.avoid) {
    const auto where = lane_of(job);
    if (where) home = *where;
    job.status.trouble.avoid = home->row.key.avoid;
  }
  move(job, Trigger::requeue);
  make_ready(job, *home);
  emit(EventType::job_ready, job);
}

void Tick::pause(model::Job& job, Millis pause) {
  move(job, Trigger::retry);
  job.status.due_at = now_.wall + pause;
  make_scheduled(job, now_.engine + pause, false, pause);
  emit(EventType::job_retrying, job,
       fmt::format(R"("dueAt":"{}",{})", format_time(*job.status.due_at), failure_data(job)));
}

// The mean is written when it has changed enough to matter.
void Tick::learn_duration(LaneState& lane, Millis took) {
  auto& known = lane.row.duration;
  known.add(took);
  lane.tenant->duration.add(took);
  if (known.ends > 1 && std::abs(known.ms - lane.duration_written) <= lane.duration_written / 10) return;
  lane.duration_written = known.ms;
  changes_.lane_durations.push_back({lane.row.no, known});
}

void Tick::end_attempt(LeaseState& lease, Outcome outcome, const Completion* item) {
  if (lease.unwritten_progress) {
    lease.job.status.progress = *lease.unwritten_progress;
    ++lease.job.status.version;
    emit(EventType::job_progressed, lease.job, progress_data(*lease.unwritten_progress));
  }
  const Millis took = now_.monotonic - lease.charge.begun;
  end_lease(lease);
  auto job = std::move(lease.job);
  auto& lane = *lease.lane;
  const bool cancel_requested = lease.row.cancel_requested_at.has_value();
  auto& status = job.status;
  status.error = item != nullptr ? item->error : lost_error(outcome, lease.row.host_name);
  if (status.error.empty() && cancel_requested) status.error = lease.row.cancel_reason;
  status.exit = item != nullptr ? item->exit : std::nullopt;
  status.usage = item != nullptr ? item->usage : std::nullopt;
  status.cause = item != nullptr ? item->cause : std::nullopt;

  store::AttemptRow attempt;
  attempt.job = job.id;
  attempt.lease = lease.row.name;
  attempt.attempt = {lease.row.attempt, lease.row.host_name, lease.row.granted_at, lease.row.started_at, now_.wall,
                     outcome,           status.error,        status.exit,          status.usage,         status.cause};
  changes_.attempts.push_back(std::move(attempt));
  book_trouble(job, lease, outcome, item);
  book_health(lease, outcome, item);
  observed.push_back({.what = Observed::What::attempt_ended,
                      .type = job.spec.type,
                      .seconds = lease.row.started_at ? double(now_.wall - *lease.row.started_at) / 1000 : -1,
                      .outcome = outcome});
  const bool unstarted = was_not_started(lease, outcome, item);
  if (item != nullptr && !unstarted && outcome != Outcome::released) learn_duration(lane, took);
  state_.leases.erase(job.id.seq());  // `lease` is gone from here on

  settle_job(job, lane, outcome, cancel_requested, unstarted);
  if (model::ended(status.state) && item != nullptr) {
    status.result = item->result;
    status.result_truncated = item->result_truncated;
    status.files_left_out = item->files_left_out;
    for (const auto& file : item->files) changes_.files.push_back({job.id, job.spec.tenant, file});
  }
  update(job);
  emit_if_completed(*lane.batch);
}

// ---- reports --------------------------------------------------------------------------------------------------------

void Tick::start(LeaseState& lease) {
  if (lease.job.status.state != JobState::leased) return;  // told already
  move(lease.job, Trigger::start);
  observed.push_back({.what = Observed::What::started,
                      .type = lease.job.spec.type,
                      .seconds = double(now_.wall - lease.job.status.ready_at) / 1000});
  lease.job.status.started_at = now_.wall;
  lease.row.started_at = now_.wall;
  lease.row.version = lease.job.status.version;
  changes_.leases.push_back(lease.row);
  emit(EventType::job_started, lease.job, "\"host\":\"" + lease.row.host_name + "\"");
  if (const auto host = state_.hosts.find(lease.row.host);
      host != state_.hosts.end() && host->second.health.started()) {
    host->second.shown.reset();
    if (host->second.health.state() == model::Health::well) tell_health(host->second);
  }
}

void Tick::store_progress(LeaseState& lease) {
  lease.job.status.progress = *lease.unwritten_progress;
  lease.row.progress = *lease.unwritten_progress;
  lease.unwritten_progress.reset();
  lease.progress_written = now_.monotonic;
  lease.row.version = ++lease.job.status.version;
  changes_.leases.push_back(lease.row);
  emit(EventType::job_progressed, lease.job, progress_data(*lease.row.progress));
}

// The first at once, then the newest at most once a pause.
void Tick::take_progress(LeaseState& lease, const model::Progress& progress) {
  const bool waits = lease.unwritten_progress.has_value();
  lease.unwritten_progress = progress;
  if (!progress.percent && lease.job.status.progress)
    lease.unwritten_progress->percent = lease.job.status.progress->percent;
  const Millis next = lease.progress_written + options_.progress_pause;
  if (lease.progress_written == 0 || next <= now_.monotonic) {
    if (waits) state_.progress_due.erase({next, lease.row.job.seq()});
    store_progress(lease);
  } else if (!waits) {
    state_.progress_due.emplace(next, lease.row.job.seq());
  }
}

void Tick::write_progress() {
  while (!state_.progress_due.empty() && state_.progress_due.begin()->first <= now_.monotonic) {
    const auto seq = state_.progress_due.begin()->second;
    state_.progress_due.erase(state_.progress_due.begin());
    if (const auto lease = state_.leases.find(seq); lease != state_.leases.end() && lease->second.unwritten_progress)
      store_progress(lease->second);
  }
}

// A completion whose lease is not current: the same one again is accepted again, a different one is a conflict, and one
// for an attempt that the hub has ended itself is stale.
Tick::Verdict Tick::completed_before(const Completion& item) {
  flush();
  const auto row = store_.ended_attempt(item.lease);
  if (!row || !row->attempt.outcome) return Verdict::stale;
  const auto recorded = *row->attempt.outcome;
  if (recorded == item.outcome && row->attempt.exit == item.exit) return Verdict::accepted;
  const bool by_hub = recorded == Outcome::expired || recorded == Outcome::lost || recorded == Outcome::released;
  return by_hub ? Verdict::stale : Verdict::conflict;
}

Tick::Verdict Tick::complete(const Uuid& host, const Completion& item) {
  auto* lease = current_lease(item.lease);
  if (lease == nullptr) return completed_before(item);
  if (lease->row.host != host) return Verdict::stale;
  if (item.files_missing) return Verdict::filesMissing;
  if (item.outcome != Outcome::released && item.outcome != Outcome::lost && item.outcome != Outcome::package &&
      item.outcome != Outcome::type && item.outcome != Outcome::cancelled)
    start(*lease);
  end_attempt(*lease, item.outcome, &item);
  return Verdict::accepted;
}

// Leases in the answer that the host has taken in, but that it does not hold: it never heard of them, or lost them
// before they began. They are given to somebody at once. A host that goes away holds what it names and nothing else,
// whatever is still on its way to it.
void Tick::release_unheard(HostState& host, const ReportCall& call) {
  if (call.fetched.empty() && !call.leaving) return;
  const auto heard = [&](const std::string& fetch_id) { return call.leaving || fetch_id == call.fetched; };
  confirm_answers(host, heard);
  if (!call.fetched.empty() && !host.has_fetched(call.fetched)) host.remember_fetch(call.fetched);
  if (heard(host.fetch_id)) host.fetch_heard = true;
  std::unordered_set<Uuid> named(call.running.begin(), call.running.end());
  for (const auto& item : call.finished) named.insert(item.lease);
  std::vector<store::Seq> unheard;
  for (const auto seq : host.leases) {
    const auto& lease = state_.leases.at(seq);
    if (heard(lease.row.fetch_id) && !named.contains(lease.row.name)) unheard.push_back(seq);
  }
  for (const auto seq : unheard) end_attempt(state_.leases.at(seq), Outcome::released, nullptr);
}

Result<ReportAnswer> Tick::report(const ReportCall& call) {
  auto* host = seen_host(call.host);
  if (host == nullptr) return host_gone();
  ReportAnswer answer;
  const bool newest = call.seq > host->last_seq;
  if (newest) host->last_seq = call.seq;
  const auto own = [&](Uuid name) {
    auto* lease = current_lease(name);
    return lease != nullptr && lease->row.host == call.host ? lease : nullptr;
  };
  for (const auto name : call.running) {
    auto* lease = own(name);
    if (lease == nullptr) {
      answer.lost.push_back(name);
    } else if (newest) {
      lease->held = true;
      lease->deadline = now_.lease + lease->row.ttl;
    }
  }
  for (const auto name : call.started)
    if (auto* lease = own(name)) start(*lease);
  for (const auto& [name, progress] : call.progress)
    if (auto* lease = own(name)) take_progress(*lease, progress);
  for (const auto& item : call.finished) {
    switch (complete(call.host, item)) {
      case Verdict::accepted:
        answer.accepted.push_back(item.lease);
        break;
      case Verdict::stale:
        answer.refused.push_back({item.lease, Code::stale});
        break;
      case Verdict::conflict:
        answer.refused.push_back({item.lease, Code::conflict});
        break;
      case Verdict::filesMissing:
        answer.refused.push_back({item.lease, Code::filesMissing});
        break;
    }
  }
  if (newest) release_unheard(*host, call);
  if (newest) {
    const auto before = std::pair(host->health.state(), host->health.reason());
    host->health.told(call.health, call.health_reason, 0);
    if (before != std::pair(host->health.state(), host->health.reason())) host->shown.reset();
    if (before.first != host->health.state()) tell_health(*host);
  }
  answer.cancel = cancels_for(*host, false);
  answer.mode = host->row.mode;
  if (call.leaving && newest && host->leases.empty()) {
    emit_host(EventType::host_left, *host);
    if (auto open = desk_.close(call.host)) replaced_fetches.push_back(std::move(*open));  // expected: no hostGone
    forget_host(call.host);
  }
  return answer;
}

// ---- leases that run out --------------------------------------------------------------------------------------------

void Tick::expire_leases() {
  while (!state_.deadlines.empty() && state_.deadlines.top().first <= now_.lease) {
    const auto name = state_.deadlines.top().second;
    state_.deadlines.pop();
    auto* lease = current_lease(name);
    if (lease == nullptr) continue;
    if (lease->deadline > now_.lease) {  // renewed since
      state_.deadlines.emplace(lease->deadline, name);
      continue;
    }
    ++stats_.expired;
    if (const auto host = state_.hosts.find(lease->row.host); host != state_.hosts.end())
      host->second.let_a_lease_run_out = true;
    end_attempt(*lease, Outcome::expired, nullptr);
  }
}

}  // namespace geres::hub::engine
