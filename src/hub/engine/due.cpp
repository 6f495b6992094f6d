// SPDX-License-Identifier: Apache-2.0
// What becomes due by itself. A slice of each at a time.
#include "hub/engine/due.h"

#include "base/log.h"
#include "model/job.h"

namespace geres::hub::engine {

using model::JobState;

void Due::promote_due() {
  const bool due = (state_.next_due_engine && *state_.next_due_engine <= now_.engine) ||
                   (state_.next_due_wall && *state_.next_due_wall <= now_.wall);
  if (!due) return;
  const auto rows = store_.read().due(now_.engine, now_.wall, options_.slice);
  std::vector<store::Seq> seqs;
  for (const auto& row : rows) seqs.push_back(row.seq);
  for (auto& job : store_.read().jobs_by_seq(seqs)) {
    if (job.status.state != JobState::scheduled) {
      log::error("job {} is {} and stood among those that wait for their time: taken out of there", job.id.str(),
                 model::state_name(job.status.state));
      store_.remove_scheduled(job.id.seq());
      continue;
    }
    auto where = book_.lane_of(job);
    if (!where) {  // the tenant has too many lanes: look again in a second
      book_.make_scheduled({job.id.seq(), now_.engine + 1'000, false, 1'000});
      continue;
    }
    book_.take_out(job);
    book_.make_due(job, **where);
    book_.update(job);
  }
  state_.next_due_engine = store_.read().next_due(false);
  state_.next_due_wall = store_.read().next_due(true);
  if (rows.size() == options_.slice) round_.more = true;
}

void Due::expire_queued() {
  if (!state_.next_queue_deadline || *state_.next_queue_deadline > now_.engine) return;
  const auto rows = store_.read().deadlines_due(now_.engine, options_.slice);
  std::vector<store::Seq> seqs;
  for (const auto& row : rows) seqs.push_back(row.seq);
  for (auto& job : store_.read().jobs_by_seq(seqs)) {
    if (job.status.state != JobState::ready) {  // a leftover of an earlier wait
      store_.remove_deadline(job.id.seq());
      continue;
    }
    book_.expire_queued(job);
  }
  state_.next_queue_deadline = store_.read().next_deadline();
  if (rows.size() == options_.slice) round_.more = true;
}

}  // namespace geres::hub::engine
