// SPDX-License-Identifier: Apache-2.0
// Why a job does not run yet: its own state first, then what the scheduler says of its lane.
#include <fmt/format.h>

#include "base/duration.h"
#include "hub/engine/tick.h"
#include "hub/engine/views.h"

namespace geres::hub::engine {

using model::JobState;

namespace {

std::string in_short(Millis duration) {
  return format_duration(duration < 1'000 ? std::max<Millis>(duration, 0) : duration / 1'000 * 1'000);
}

std::string summary_of(const model::Job& job, const Now& now) {
  const auto& status = job.status;
  switch (status.state) {
    case JobState::scheduled: {
      const std::string when =
          status.due_at ? fmt::format("due in {}", in_short(*status.due_at - now.wall)) : "not due yet";
      if (status.trouble.unstarted > 0)
        return fmt::format("could not be started, {} ({}); the next try is {}",
                           status.trouble.unstarted == 1 ? "once" : fmt::format("{} times", status.trouble.unstarted),
                           reasons_text(status.trouble), when);
      return status.failures > 0 ? fmt::format("failed {} of {} times; the next try is {}", status.failures,
                                               job.spec.max_attempts, when)
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

}  // namespace

Result<WhyAnswer> Tick::why(const Caller& caller, Uuid id) {
  auto job = visible_job(caller, id);
  if (!job) return fail(Code::unknownJob, fmt::format("there is no job {}", id.str()));
  WhyAnswer answer;
  answer.summary = summary_of(*job, now_);
  const auto& trouble = job->status.trouble;
  if (job->status.state == JobState::scheduled)
    answer.reasons.push_back({trouble.unstarted > 0      ? "hostsUnfit"
                              : job->status.failures > 0 ? "retryPause"
                                                         : "notDue",
                              answer.summary, std::int64_t(trouble.reasons.size())});
  if (job->status.state == JobState::ready) {
    const auto views = this->views(false);
    const auto& own = state_.lanes.at(lane_key(*job));
    std::size_t index = 0;
    while (views.lane_states[index] != &own) ++index;
    answer.reasons = engine::why(views.tenants, views.batches, views.lanes, views.hosts, index);
    if (trouble.unstarted > 0)
      answer.reasons.push_back(
          {"hostsUnfit", "could not be started: " + reasons_text(trouble), std::int64_t(trouble.reasons.size())});
    const store::ReadyRow row{own.row.no, job->spec.priority, id.seq()};
    answer.ahead = store_.ready_before(row, 10'000);
    answer.ahead_in_batch = answer.ahead;
    for (const auto* lane : views.lane_states)
      if (lane != &own && lane->batch == own.batch && lane->tenant == own.tenant && lane->ready > 0)
        answer.ahead_in_batch +=
            std::min<std::int64_t>(lane->ready, store_.ready_before({lane->row.no, row.priority, row.seq}, 10'000));
    if (!answer.reasons.empty()) answer.summary = answer.reasons.front().message;
    if (answer.ahead_in_batch > 0) {
      const auto ahead =
          fmt::format("{}{} jobs are ahead ({}, priority {})", answer.ahead_in_batch,
                      answer.ahead_in_batch >= 10'000 ? " or more" : "", own.batch->row.name, job->spec.priority);
      answer.reasons.push_back({"ahead", ahead, 0});
      answer.summary += (answer.summary.empty() ? "" : "; ") + ahead;
    }
    if (answer.summary.empty()) answer.summary = "the next free slot is its";
  }
  answer.job = std::move(*job);
  return answer;
}

}  // namespace geres::hub::engine
