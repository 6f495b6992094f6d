// SPDX-License-Identifier: Apache-2.0
#include "hub/store/derived.h"

#include <algorithm>

#include "hub/store/with_jobs.h"

namespace geres::hub::store {

void raise_marks(const Changes& changes, HighMarks& marks) {
  for (const auto& event : changes.events) marks.event = std::max(marks.event, event.no);
  for (const auto& job : changes.jobs) {
    marks.id = std::max(marks.id, job.id.high);
    if (job.status.submitted_at < job.id.seq() >> 16) marks.backdated = std::max(marks.backdated, job.id.seq());
  }
  for (const auto& batch : changes.batches) marks.id = std::max(marks.id, batch.id.high);
  for (const auto& host : changes.hosts) marks.id = std::max(marks.id, host.id.high);
  for (const auto& token : changes.tokens) marks.id = std::max(marks.id, token.id.high);
  for (const auto& token : changes.join_tokens) marks.id = std::max(marks.id, token.id.high);
  for (const auto& enrolment : changes.enrolments) marks.id = std::max(marks.id, enrolment.id.high);
  for (const auto& operation : changes.operations) marks.id = std::max(marks.id, operation.id.high);
  for (const auto& webhook : changes.webhooks) marks.id = std::max(marks.id, webhook.id.high);
  for (const auto& lane : changes.lanes) marks.lane = std::max(marks.lane, lane.no);
}

CountSums summed(const std::vector<CountDelta>& deltas) {
  CountSums sums;
  auto last = sums.end();  // neighbours are often of one batch and tenant
  for (const auto& delta : deltas) {
    if (last == sums.end() || last->first.first != delta.batch || last->first.second != delta.tenant)
      last = sums.try_emplace({delta.batch, delta.tenant}).first;
    last->second[std::size_t(delta.state)] += delta.by;
  }
  return sums;
}

DeadLetterSums summed(const std::vector<DeadLetterDelta>& deltas) {
  DeadLetterSums sums;
  for (const auto& delta : deltas) sums[{delta.tenant, delta.reason}] += delta.by;
  return sums;
}

}  // namespace geres::hub::store
