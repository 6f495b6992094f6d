// SPDX-License-Identifier: Apache-2.0
// Why a job does not run yet: its own state first, then what the scheduler says of its lane. Off the engine's thread.
#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "hub/engine/demand.h"
#include "hub/engine/host_trouble.h"
#include "hub/engine/placement.h"
#include "hub/engine/snapshot.h"
#include "hub/engine/with_jobs.h"

namespace geres::hub::engine {

using model::JobState;

namespace {

std::string in_short(Millis duration) {
  return format_duration(duration < 1'000 ? std::max<Millis>(duration, 0) : duration / 1'000 * 1'000);
}

std::string more_memory(const model::Job& job) {
  if (job.status.memory <= job.spec.requirements.memory) return {};
  return fmt::format(", with {} of memory, since it ran out of less", format_size(job.status.memory));
}

std::string summary_of(const model::Job& job, Millis now) {
  const auto& status = job.status;
  switch (status.state) {
    case JobState::scheduled: {
      const std::string when = status.due_at ? fmt::format("due in {}", in_short(*status.due_at - now)) : "not due yet";
      if (status.trouble.unstarted > 0)
        return fmt::format("could not be started, {} ({}); the next try is {}",
                           status.trouble.unstarted == 1 ? "once" : fmt::format("{} times", status.trouble.unstarted),
                           reasons_text(status.trouble), when);
      return status.failures > 0 ? fmt::format("failed {} of {} times; the next try is {}{}", status.failures,
                                               job.spec.max_attempts, when, more_memory(job))
                                 : when;
    }
    case JobState::blocked:
      return "waits for the jobs it depends on";
    case JobState::leased:
      return fmt::format("is being started on host {}", status.host);
    case JobState::running:
      return status.cancel_requested_at ? fmt::format("is being cancelled on host {}", status.host)
                                        : fmt::format("runs on host {}", status.host);
    case JobState::finished:
      return "has finished";
    case JobState::failed:
      return "has failed: " + status.error;
    case JobState::cancelled:
      return "was cancelled";
    case JobState::ready:
      break;
  }
  return {};
}

// All of its batch and tenant that come before it: its own lane first, then others while there is patience.
void count_ahead(WhyAnswer& answer, const Snapshot& fleet, Index own, store::Reads& reads) {
  constexpr std::int64_t kCounted = 10'000;
  constexpr std::size_t kLanes = 1'000;
  const auto seq = answer.job.id.seq();
  const auto priority = answer.job.spec.priority;
  answer.ahead = reads.ready_before({{fleet.lanes[own].no, priority, seq}}, kCounted);
  answer.ahead_in_batch = answer.ahead;
  const auto& view = fleet.lane_views[own];
  std::vector<store::ReadyRow> others;
  for (Index i = 0; i < fleet.lanes.size() && others.size() < kLanes; ++i)
    if (i != own && fleet.lane_views[i].batch == view.batch && fleet.lane_views[i].tenant == view.tenant)
      others.push_back({fleet.lanes[i].no, priority, seq});
  if (answer.ahead < kCounted) answer.ahead_in_batch += reads.ready_before(others, kCounted - answer.ahead);
  if (answer.ahead_in_batch == 0) return;
  const bool more = answer.ahead_in_batch >= kCounted || others.size() == kLanes;
  const auto text = fmt::format("{}{} jobs are ahead ({}, priority {})", answer.ahead_in_batch, more ? " or more" : "",
                                fleet.batches[view.batch].name, priority);
  answer.reasons.push_back({"ahead", text, 0});
  answer.summary += (answer.summary.empty() ? "" : "; ") + text;
}

// For a job that nobody there could ever run: whether some pool would make a host for it.
std::optional<std::string> no_pool(const Snapshot& fleet, const store::LaneKey& lane, store::Reads& reads) {
  const bool there = std::any_of(fleet.host_views.begin(), fleet.host_views.end(), [&](const auto& host) {
    const auto what = bar(lane, *host.host);
    return host.alive && (what == Bar::none || what == Bar::draining);
  });
  if (there) return std::nullopt;
  const auto pools = reads.pools();
  if (pools.empty() || !fits_no_pool(lane, pools)) return std::nullopt;
  return why_no_pool(lane, pools);
}

}  // namespace

std::optional<model::Job> oldest_ready(const Snapshot& fleet, const std::vector<std::string>& tenants,
                                       store::Reads& reads) {
  const auto asked = [&](const std::string& tenant) {
    return tenants.empty() || std::find(tenants.begin(), tenants.end(), tenant) != tenants.end();
  };
  std::vector<store::ReadyRow> first;
  std::vector<store::LaneNo> several;
  for (Index i = 0; i < fleet.lanes.size(); ++i) {
    if (!asked(fleet.lanes[i].key->tenant)) continue;
    if (fleet.lanes[i].one_priority)
      first.push_back(fleet.lane_views[i].head);
    else
      several.push_back(fleet.lanes[i].no);
  }
  return reads.oldest_ready(std::move(first), several);
}

std::optional<WhyAnswer> why(model::Job job, const Snapshot* fleet, store::Reads& reads, Millis now) {
  WhyAnswer answer;
  answer.summary = summary_of(job, now);
  const auto& trouble = job.status.trouble;
  const auto refusals = std::int64_t(trouble.reasons.size());
  if (job.status.state == JobState::scheduled)
    answer.reasons.push_back({trouble.unstarted > 0     ? "hostsUnfit"
                              : job.status.failures > 0 ? "retryPause"
                                                        : "notDue",
                              answer.summary, refusals});
  if (job.status.state != JobState::ready) {
    answer.job = std::move(job);
    return answer;
  }
  const auto key = store::lane_key(job);
  const auto lane =
      std::find_if(fleet->lanes.begin(), fleet->lanes.end(), [&](const auto& l) { return *l.key == key; });
  if (lane == fleet->lanes.end()) return std::nullopt;
  const auto index = Index(lane - fleet->lanes.begin());
  answer.reasons = why(fleet->tenants, fleet->batches, fleet->lane_views, fleet->host_views, index);
  if (auto none = no_pool(*fleet, key, reads)) {
    // What the tenant itself holds back comes first: with that gone it may still wait for ever.
    const auto at = std::find_if(answer.reasons.begin(), answer.reasons.end(), [](const auto& reason) {
      return !reason.code.starts_with("batch") && reason.code != "tenantLimit";
    });
    answer.reasons.insert(at, {"noPool", std::move(*none), 0});
  }
  if (trouble.unstarted > 0)
    answer.reasons.push_back({"hostsUnfit", "could not be started: " + reasons_text(trouble), refusals});
  if (!answer.reasons.empty()) answer.summary = answer.reasons.front().message;
  answer.job = std::move(job);
  count_ahead(answer, *fleet, index, reads);
  if (answer.summary.empty()) answer.summary = "the next free slot is its";
  return answer;
}

}  // namespace geres::hub::engine
