// SPDX-License-Identifier: Apache-2.0
// What hosts cost jobs, and what that says of the hosts. A job that was given back before it started, or that was lost,
// avoids those hosts while another one fits. What never started costs it nothing, but a pause. A host that only gives
// back or loses rests (host_health.h).
#include "hub/engine/host_trouble.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/duration.h"
#include "base/log.h"
#include "hub/engine/placement.h"
#include "model/job.h"

namespace geres::hub::engine {

using model::Outcome;

namespace {

constexpr std::size_t kReasonBytesMax = 300;
// A host that has room and asked for no job for so long rests, leaves, or hangs.
constexpr Millis kTakesNothing = 5'000;

bool is_loss(Outcome outcome) {
  return outcome == Outcome::lost || outcome == Outcome::expired;
}

void book_unstarted(model::HostTrouble& trouble, const std::string& host, const std::string& reason, Millis now) {
  if (trouble.unstarted++ == 0 || trouble.since > now) trouble.since = now;  // the clock may have gone back at a start
  if (trouble.reasons.size() >= model::HostTrouble::kReasonsMax && !trouble.reasons.contains(host))
    trouble.reasons.erase(trouble.reasons.begin());
  trouble.reasons[host] = utf8_prefix(reason, kReasonBytesMax);
  // All of them, or two of the kind would pass it on to each other for ever.
  trouble.avoid.clear();
  for (const auto& [name, why] : trouble.reasons) trouble.avoid += (trouble.avoid.empty() ? "" : " ") + name;
}

}  // namespace

std::string reasons_text(const model::HostTrouble& trouble) {
  std::string text;
  for (const auto& [host, reason] : trouble.reasons)
    text += fmt::format("{}host {}: {}", text.empty() ? "" : "; ", host, reason.empty() ? "no reason given" : reason);
  return text;
}

bool was_not_started(const LeaseState& lease, Outcome outcome, const Completion* item) {
  return outcome == Outcome::released && item != nullptr && item->given_back != GivenBack::in_order &&
         !lease.row.started_at;
}

// Something that started ends a row of attempts that did not; what was given back in order says nothing.
void book_trouble(model::Job& job, const LeaseState& lease, Outcome outcome, const Completion* item, Millis now) {
  auto& trouble = job.status.trouble;
  const auto& host = lease.row.host_name;
  if (was_not_started(lease, outcome, item)) return book_unstarted(trouble, host, item->reason, now);
  if (outcome == Outcome::released && !lease.row.started_at) return;
  trouble.avoid.clear();
  trouble.unstarted = 0;
  trouble.since = 0;
  trouble.reasons.clear();
  if (!is_loss(outcome)) return;
  trouble.avoid = host;
  if (std::find(trouble.lost_on.begin(), trouble.lost_on.end(), host) == trouble.lost_on.end())
    trouble.lost_on.push_back(host);
}

void book_health(State& state, const LeaseState& lease, Outcome outcome, const Completion* item, Millis now) {
  const auto found = state.hosts.find(lease.row.host);
  if (found == state.hosts.end()) return;
  auto& health = found->second.health;
  const bool started = lease.row.started_at.has_value();
  bool rests = false;
  if (was_not_started(lease, outcome, item)) {
    rests = item->given_back == GivenBack::not_started && health.could_not_start(item->reason, now);
  } else if (outcome == Outcome::lost && item != nullptr && !started) {  // so says a host of 0.1.0
    rests = health.could_not_start(item->error, now);
  } else if (is_loss(outcome)) {
    HostHealth::Ends peers;
    for (const auto& [id, other] : state.hosts) {
      if (id == lease.row.host || other.lost) continue;
      const auto ends = other.health.recent();
      peers.all += ends.all;
      peers.bad += ends.bad;
    }
    rests = health.lost("it loses more attempts than other hosts", peers, now);
  } else if (started && outcome != Outcome::released) {
    health.ended_well();
  }
  if (rests)
    log::event(log::Level::warn, "host rests",
               {{"host", lease.row.host_name},
                {"hostId", lease.row.host.str()},
                {"seconds", double(health.until() - now) / 1000},
                {"reason", health.reason()}});
}

void tell_health(const HostState& host) {
  const bool well = host.health.state() == model::Health::well;
  log::event(well ? log::Level::info : log::Level::warn, well ? "host is well again" : "host rests",
             {{"host", host.row.name}, {"hostId", host.row.id.str()}, {"reason", well ? "" : host.health.reason()}});
}

bool another_fits(const State& state, const LaneState& lane, const std::string& avoided, Millis now) {
  return std::any_of(state.hosts.begin(), state.hosts.end(), [&](const auto& entry) {
    const HostState& host = entry.second;
    if (is_among(host.row.name, avoided) || host.lost || host.let_a_lease_run_out ||
        host.health.state() != model::Health::well)
      return false;
    if (now - host.last_took > kTakesNothing || bar(lane.row.key, host.row) != Bar::none) return false;
    return std::none_of(host.leases.begin(), host.leases.end(), [&](auto seq) {
      const auto* batch = state.leases.at(seq).lane->batch;
      return batch->row.dedicated && batch != lane.batch;
    });
  });
}

bool is_poison(const State& state, const model::Job& job, const LaneState& lane, int losses_max, Millis now) {
  const auto& status = job.status;
  if (status.host_losses < losses_max) return false;
  return status.trouble.lost_on.size() > 1 || status.host_losses >= 2 * losses_max ||
         !another_fits(state, lane, status.trouble.avoid, now);
}

}  // namespace geres::hub::engine
