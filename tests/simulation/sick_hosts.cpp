// SPDX-License-Identifier: Apache-2.0
#include "simulation/sick_hosts.h"

#include <fmt/format.h>

#include <algorithm>

namespace geres::simulation {

namespace {

constexpr Millis kPauseMin = 1'000, kPauseMax = 60'000;
constexpr int kInARow = 3;

// The hub's clock against true time, and the tick in which something is seen to be due.
constexpr Millis unsure(Millis time) {
  return time / 50 + 100;
}
constexpr Millis about(Millis time) {
  return time - unsure(time);
}

}  // namespace

void SickHosts::leased(Uuid id, int attempt, const std::string& name, Millis now) {
  auto& job = jobs_[id];
  job.host = name;
  if (job.avoid.contains(name)) {
    hit(Path::sick_host_tried_again);
    if (another_fits && another_fits(id, job.avoid))
      return violate_(fmt::format("job {} was granted to host {}, which could not start it, while another host fits",
                                  id.str(), name));
  } else if (!job.avoid.empty()) {
    hit(Path::sick_host_avoided);
  }
  const auto found = hosts_.find(name);
  if (slow_ticks || found == hosts_.end() || found->second.untold || found->second.rest == 0) return;
  auto& host = found->second;
  if (now < host.until - host.rest + about(host.rest))
    return violate_(fmt::format("host {} got job {} while it rests", name, id.str()));
  if (host.trial) return violate_(fmt::format("host {} is tried with two jobs at a time", name));
  host.trial = {id, attempt};
}

void SickHosts::started(Uuid id, int) {
  auto& job = jobs_[id];
  job.unstarted = 0;
  job.avoid.clear();
  job.sure = true;
  hosts_.erase(job.host);
}

// Several attempts that come back at once are one trouble. Where it is unsure whether the rest was over, so is for how
// long it rests now.
void SickHosts::rests(Host& host, Millis now) {
  if (++host.in_a_row < kInARow) return;
  if (host.rest > 0 && now < host.until + unsure(host.rest)) {
    host.untold |= now >= host.until - unsure(host.rest);
    return;
  }
  host.rest = std::clamp(2 * host.rest, kPauseMin, kPauseMax);
  host.until = now + host.rest;
  hit(Path::sick_host_rested);
}

void SickHosts::paused(Uuid id, int attempt, int failures, Millis now, Millis at) {
  auto& job = jobs_[id];
  const auto known = hosts_.find(job.host);
  if (known != hosts_.end() && known->second.trial == std::pair(id, attempt)) known->second.trial.reset();
  if (failures != job.failures) {  // a failure of its own, and its pause
    job.failures = failures;
    job.unstarted = 0;
    job.avoid.clear();
    job.sure = true;
    return;
  }
  hit(Path::given_back_unstarted);
  if (!tiny.contains(job.host)) rests(hosts_[job.host], now);
  job.avoid.insert(job.host);
  // By the hub's own times: on a slow disk an event is told a second after what it tells of.
  if (job.unstarted++ == 0) job.since = at;
  if (job.sure && !wall_jumps && about(at - job.since) > unstarted_max)
    violate_(fmt::format("job {} was given back for {} ms and goes on", id.str(), at - job.since));
}

// A host rests for more than events tell: for what it lost (a lease that ran out before its job could start counts in
// its row), for what it gave back of a job that was cancelled meanwhile. So how long it rests is judged again once it
// has started something.
void SickHosts::note_untold(Uuid id, int attempt, const std::string& host, hub::store::Reads& reads) {
  const auto attempts = reads.attempts(id);
  if (attempts.empty() || attempts.back().attempt != attempt) return;
  const auto outcome = attempts.back().outcome;
  const bool lost = outcome == model::Outcome::lost || outcome == model::Outcome::expired;
  if (lost || given_back_.contains({id, attempt})) hosts_[host].untold = true;
}

void SickHosts::ended(Uuid id, int attempt, hub::store::Reads& reads) {
  const auto job = jobs_.find(id);
  if (job == jobs_.end()) return;
  if (!slow_ticks) note_untold(id, attempt, job->second.host, reads);
  if (const auto host = hosts_.find(job->second.host);
      host != hosts_.end() && host->second.trial == std::pair(id, attempt))
    host->second.trial.reset();
  jobs_.erase(job);
}

// Lost, given back in order, or never heard of: only the first two end a row of attempts that did not start.
void SickHosts::ready_again(Uuid id, int attempt, hub::store::Reads& reads) {
  auto& job = jobs_[id];
  job.sure = false;
  job.avoid.clear();
  if (const auto known = hosts_.find(job.host); known != hosts_.end() && known->second.trial == std::pair(id, attempt))
    known->second.trial.reset();
  if (!slow_ticks) note_untold(id, attempt, job.host, reads);
  if (!given_back_.contains({id, attempt})) return;
  const auto attempts = reads.attempts(id);
  if (!attempts.empty() && attempts.back().attempt == attempt && attempts.back().outcome == model::Outcome::released &&
      !attempts.back().error.empty())
    violate_(fmt::format("job {} could not be started and is ready without a pause", id.str()));
}

}  // namespace geres::simulation
