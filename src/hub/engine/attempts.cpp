// SPDX-License-Identifier: Apache-2.0
// In the order of an attempt's life. Every write of a lease's row is of the whole row.
#include "hub/engine/attempts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/duration.h"
#include "hub/engine/charging.h"
#include "hub/engine/host_trouble.h"
#include "hub/engine/memory_retry.h"
#include "hub/engine/with_jobs.h"

namespace geres::hub::engine {

using model::JobState;
using model::Outcome;
using model::Reason;
using store::EventType;

namespace {

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

}  // namespace

LeaseState::LeaseState() : job(std::make_unique<model::Job>()) {}
LeaseState::LeaseState(LeaseState&&) noexcept = default;
LeaseState& LeaseState::operator=(LeaseState&&) noexcept = default;
LeaseState::~LeaseState() = default;

LeaseState* Attempts::current(Uuid name) {
  const auto found = state_.leases.find(name.seq());
  return found != state_.leases.end() && found->second.row.name == name ? &found->second : nullptr;
}

// ---- granted --------------------------------------------------------------------------------------------------------

Granted Attempts::grant(model::Job job, LaneState& lane, HostState& host) {
  book_.grant(job, host);

  store::LeaseRow row;
  // Its first half names the job, so that a late report finds the attempt; the second half is the secret.
  row.name = {job.id.high, random_.next()};
  row.job = job.id;
  row.lane = lane.row.no;
  row.host = host.row.id;
  row.host_name = host.row.name;
  row.attempt = job.status.attempt;
  row.version = job.status.version;
  row.ttl = job.spec.lease > 0 ? std::clamp(job.spec.lease, options_.lease_min, options_.lease_max) : options_.lease;
  row.granted_at = now_.wall;
  row.fetch_id = host.fetch_id;
  store_.put(row);

  const auto& needs = lane.row.key.requirements;
  auto& lease = state_.leases[job.id.seq()];
  lease = {};
  lease.row = row;
  *lease.job = job;
  lease.job->spec.parameters.clear();
  lease.job->spec.inputs.clear();
  lease.lane = &lane;
  lease.deadline = now_.lease + row.ttl;
  state_.deadlines.emplace(lease.deadline, row.name);
  host.leases.insert(job.id.seq());
  host.does(lane.work);
  state_.changed(host);
  host.slots_used += needs.slots;
  host.memory_used += needs.memory;
  ++lane.leases;
  lanes_.note_use(lane);
  ++lane.tenant->running;
  lane.tenant->slots += needs.slots;
  ++lane.batch->running;
  state_.board.touch(*lane.tenant);
  state_.board.touch(*lane.batch);
  charge_lease(state_, lease, now_.monotonic, options_.duration_guess);
  if (lane.batch->row.dedicated || host.payer != nullptr) charge_idle_slots(state_, host, now_.monotonic);
  out_.leases_added.push_back({row.name, {row.job, row.host, job.spec.tenant, row.attempt}});
  ++stats_.granted;
  return {std::move(row), std::move(job)};
}

void Attempts::start(LeaseState& lease) {
  if (lease.job->status.state != JobState::leased) return;  // told already
  book_.start(*lease.job);
  out_.observed.push_back({.what = Observed::What::started,
                           .type = lease.job->spec.type,
                           .seconds = double(now_.wall - lease.job->status.ready_at) / 1000});
  lease.row.started_at = lease.job->status.started_at;
  lease.row.version = lease.job->status.version;
  store_.put(lease.row);
  if (const auto host = state_.hosts.find(lease.row.host);
      host != state_.hosts.end() && host->second.health.started()) {
    state_.changed(host->second);
    if (host->second.health.state() == model::Health::well) tell_health(host->second);
  }
}

// ---- at work --------------------------------------------------------------------------------------------------------

void Attempts::store_progress(LeaseState& lease) {
  lease.job->status.progress = *lease.unwritten_progress;
  lease.row.progress = *lease.unwritten_progress;
  lease.unwritten_progress.reset();
  lease.progress_written = now_.monotonic;
  lease.row.version = ++lease.job->status.version;
  store_.put(lease.row);
  events_.emit(EventType::job_progressed, *lease.job, store::Progressed{*lease.row.progress});
}

// The first at once, then the newest at most once a pause.
void Attempts::take_progress(LeaseState& lease, const model::Progress& progress) {
  const bool waits = lease.unwritten_progress.has_value();
  lease.unwritten_progress = progress;
  if (!progress.percent && lease.job->status.progress)
    lease.unwritten_progress->percent = lease.job->status.progress->percent;
  const Millis next = lease.progress_written + options_.progress_pause;
  if (lease.progress_written == 0 || next <= now_.monotonic) {
    if (waits) state_.progress_due.erase({next, lease.row.job.seq()});
    store_progress(lease);
  } else if (!waits) {
    state_.progress_due.emplace(next, lease.row.job.seq());
  }
}

void Attempts::write_progress() {
  while (!state_.progress_due.empty() && state_.progress_due.begin()->first <= now_.monotonic) {
    const auto seq = state_.progress_due.begin()->second;
    state_.progress_due.erase(state_.progress_due.begin());
    if (const auto lease = state_.leases.find(seq); lease != state_.leases.end() && lease->second.unwritten_progress)
      store_progress(lease->second);
  }
}

// A second request may only shorten the grace.
void Attempts::request_cancel(LeaseState& lease, const CancelWhat& what) {
  if (lease.row.cancel_requested_at && what.grace >= lease.row.cancel_grace) return;
  if (!lease.row.cancel_requested_at) {
    lease.row.cancel_requested_at = now_.wall;
    lease.row.cancel_reason = what.reason;
    lease.job->status.cancel_requested_at = now_.wall;
  }
  lease.row.cancel_grace = what.grace;
  lease.row.version = ++lease.job->status.version;
  lease.cancel_confirmed = false;
  if (const auto host = state_.hosts.find(lease.row.host); host != state_.hosts.end())
    host->second.cancels_told.erase(lease.row.job.seq());
  state_.news.insert(lease.row.host);
  store_.put(lease.row);
}

bool Attempts::cancel(model::Job& job, const CancelWhat& what) {
  if (model::ended(job.status.state)) return false;
  const auto lease = state_.leases.find(job.id.seq());
  if (lease == state_.leases.end()) {
    book_.cancel_waiting(job, what);
    return true;
  }
  const bool first = !lease->second.row.cancel_requested_at;
  request_cancel(lease->second, what);
  job.status = lease->second.job->status;
  return first;
}

// ---- ended ----------------------------------------------------------------------------------------------------------

// Takes the lease out of every counter and table; the entry itself goes with the caller.
void Attempts::give_back_slots(LeaseState& lease) {
  const auto& needs = lease.lane->row.key.requirements;
  const auto seq = lease.row.job.seq();
  if (const auto host = state_.hosts.find(lease.row.host); host != state_.hosts.end()) {
    host->second.leases.erase(seq);
    if (host->second.leases.empty()) host->second.idle_since = now_.wall;
    state_.changed(host->second);
    host->second.cancels_told.erase(seq);
    host->second.slots_used -= needs.slots;
    host->second.memory_used -= needs.memory;
    if (host->second.payer != nullptr) charge_idle_slots(state_, host->second, now_.monotonic);
  }
  settle_charge(lease, now_.monotonic);
  round_.newcomers |= !lease.lane->tenant->place.contended;  // one that was at its limit
  --lease.lane->leases;
  lanes_.note_use(*lease.lane);
  --lease.lane->tenant->running;
  lease.lane->tenant->slots -= needs.slots;
  --lease.lane->batch->running;
  state_.board.touch(*lease.lane->tenant);
  state_.board.touch(*lease.lane->batch);
  if (lease.unwritten_progress) state_.progress_due.erase({lease.progress_written + options_.progress_pause, seq});
  store_.remove_lease(lease.row.job);
  out_.leases_gone.push_back(lease.row.name);
}

// What the next attempt gets, and what to tell of it. Returns the bytes where it gets more.
std::int64_t Attempts::book_memory(model::Job& job, const LaneState& lane, const Completion& item,
                                   bool cancel_requested) {
  auto more = more_memory(state_, lane, item);
  auto& status = job.status;
  const bool last = cancel_requested || item.outcome != Outcome::failed || status.failures + 1 >= job.spec.max_attempts;
  if (more.bytes > 0 && last) return 0;
  if (!more.sentence.empty()) status.error += (status.error.empty() ? "" : "; ") + more.sentence;
  if (more.bytes > 0) status.memory = more.bytes;
  return more.bytes;
}

void Attempts::end(LeaseState& lease, Outcome outcome, const Completion* item) {
  if (lease.unwritten_progress) {
    lease.job->status.progress = *lease.unwritten_progress;
    ++lease.job->status.version;
    events_.emit(EventType::job_progressed, *lease.job, store::Progressed{*lease.unwritten_progress});
  }
  const Millis took = now_.monotonic - lease.charge.begun;
  give_back_slots(lease);
  auto job = std::move(*lease.job);
  auto& lane = *lease.lane;
  const bool cancel_requested = lease.row.cancel_requested_at.has_value();
  auto& status = job.status;
  status.error = item != nullptr ? item->error : lost_error(outcome, lease.row.host_name);
  if (status.error.empty() && cancel_requested) status.error = lease.row.cancel_reason;
  status.exit = item != nullptr ? item->exit : std::nullopt;
  status.usage = item != nullptr ? item->usage : std::nullopt;
  status.cause = item != nullptr ? item->cause : std::nullopt;
  const std::int64_t asked = lane.row.key.requirements.memory;
  const std::int64_t more = item != nullptr ? book_memory(job, lane, *item, cancel_requested) : 0;

  store::AttemptRow attempt;
  attempt.job = job.id;
  attempt.lease = lease.row.name;
  attempt.attempt = {
      lease.row.attempt, lease.row.host_name, lease.row.granted_at, lease.row.started_at, now_.wall, outcome,
      status.error,      status.exit,         status.usage,         status.cause,         asked};
  store_.changes().attempts.push_back(std::move(attempt));
  book_trouble(job, lease, outcome, item, now_.engine);
  book_health(state_, lease, outcome, item, now_.monotonic);
  out_.observed.push_back({.what = Observed::What::attempt_ended,
                           .type = job.spec.type,
                           .seconds = lease.row.started_at ? double(now_.wall - *lease.row.started_at) / 1000 : -1,
                           .outcome = outcome});
  const bool unstarted = was_not_started(lease, outcome, item);
  if (item != nullptr && !unstarted && outcome != Outcome::released) lanes_.learn_duration(lane, took);
  state_.leases.erase(job.id.seq());  // `lease` is gone from here on

  settle_job(job, lane, outcome, cancel_requested, unstarted, more);
  if (model::ended(status.state) && item != nullptr) {
    status.result = item->result;
    status.result_truncated = item->result_truncated;
    status.files_left_out = item->files_left_out;
    for (const auto& file : item->files) store_.changes().files.push_back({job.id, job.spec.tenant, file});
  }
  book_.update(job);
  events_.emit_if_completed(*lane.batch);
}

// `outcome` has been recorded and the lease is gone; job.status.error says what happened.
void Attempts::settle_job(model::Job& job, LaneState& lane, Outcome outcome, bool cancel_requested, bool unstarted,
                          std::int64_t more_memory) {
  auto& status = job.status;
  switch (outcome) {
    case Outcome::finished:
      return book_.finish(job);
    case Outcome::aborted:
      return book_.fail_for_good(job, Reason::aborted);
    case Outcome::package:
      return book_.fail_for_good(job, Reason::package);
    case Outcome::type:
      return book_.fail_for_good(job, Reason::type);
    case Outcome::cancelled:
      if (cancel_requested) return book_.cancel(job);
      [[fallthrough]];  // stopped though nobody asked: a failure like another
    case Outcome::failed:
    case Outcome::timeout:
      ++status.failures;
      if (status.failures >= job.spec.max_attempts)
        return book_.fail_for_good(job, final_reason(outcome, job.spec.max_attempts));
      if (cancel_requested) return book_.cancel(job);
      ++stats_.retried;
      return book_.retry(job, retry_pause(job.spec.backoff, status.failures, random_), more_memory);
    case Outcome::released:
      if (cancel_requested) return book_.cancel(job);
      return unstarted ? settle_unstarted(job) : ready_again(job, lane);
    case Outcome::lost:
    case Outcome::expired:
      ++status.host_losses;
      if (cancel_requested) return book_.cancel(job);
      if (is_poison(state_, job, lane, options_.host_losses_max, now_.monotonic))
        return book_.fail_for_good(job, Reason::poison);
      return ready_again(job, lane);
  }
}

void Attempts::ready_again(model::Job& job, LaneState& lane) {
  auto* home = &lane;
  if (lane.row.key.avoid != job.status.trouble.avoid) {
    const auto where = book_.lane_of(job);
    if (where) home = *where;
    job.status.trouble.avoid = home->row.key.avoid;
  }
  book_.requeue(job, *home);
}

// Each time twice as long, so that a job that fits nowhere just now costs its hosts little.
void Attempts::settle_unstarted(model::Job& job) {
  constexpr Millis kPauseMin = 1'000, kPauseMax = 60'000;
  auto& status = job.status;
  const auto& trouble = status.trouble;
  if (now_.engine - trouble.since >= options_.unstarted_max) {
    status.error = fmt::format("no host could start it for {}: {}", format_duration(options_.unstarted_max),
                               reasons_text(trouble));
    return book_.fail_for_good(job, Reason::internal);
  }
  book_.retry(job, std::min(kPauseMin << std::min(trouble.unstarted - 1, 10), kPauseMax));
}

void Attempts::expire_leases() {
  while (!state_.deadlines.empty() && state_.deadlines.top().first <= now_.lease) {
    const auto name = state_.deadlines.top().second;
    state_.deadlines.pop();
    auto* lease = current(name);
    if (lease == nullptr) continue;
    if (lease->deadline > now_.lease) {  // renewed since
      state_.deadlines.emplace(lease->deadline, name);
      continue;
    }
    ++stats_.expired;
    if (const auto host = state_.hosts.find(lease->row.host); host != state_.hosts.end())
      host->second.let_a_lease_run_out = true;
    end(*lease, Outcome::expired, nullptr);
  }
}

}  // namespace geres::hub::engine
