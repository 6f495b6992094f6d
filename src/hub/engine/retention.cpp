// SPDX-License-Identifier: Apache-2.0
// A slice of: jobs past their time (a step a rule), events past theirs, lanes and batches nobody needs.
#include "hub/engine/retention.h"

#include <algorithm>

#include "model/job.h"

namespace geres::hub::engine {

using model::JobState;

// For jobs in this state: tenants with a wish of their own, then everybody else.
void Retention::add_retention_rules(JobState job_state) {
  const bool good = job_state == JobState::finished;
  auto& rules = state_.retention;
  for (const auto& [name, tenant] : state_.tenants) {
    const auto& own = good ? tenant.row.keep_finished : tenant.row.keep_failed;
    if (own) rules.push_back({name, job_state, *own});
  }
  rules.push_back({"", job_state, good ? options_.keep_finished : options_.keep_failed});
}

// A batch goes with its last job; this is for those that never had one, once they are as old as jobs get.
void Retention::forget_empty_batches() {
  std::size_t gone = 0;
  for (auto next = state_.batches.begin(); next != state_.batches.end() && gone < options_.slice;) {
    const auto& batch = (next++)->second;
    const auto owner = state_.tenants.find(batch.row.tenant);
    const auto own = owner == state_.tenants.end() ? std::nullopt : owner->second.row.keep_finished;
    if (batch.row.created_at >= now_.ages - std::max(own.value_or(options_.keep_finished), options_.keep_key_min))
      continue;
    gone += book_.forget_if_empty(batch);
  }
}

void Retention::sweep() {
  if (!state_.sweeping) return;
  const auto& all = state_.retention;
  if (all.empty())
    for (const auto job_state : {JobState::finished, JobState::failed, JobState::cancelled})
      add_retention_rules(job_state);
  if (state_.sweep_step < all.size()) {
    const auto& rule = all[state_.sweep_step];
    std::vector<std::string> others;
    if (rule.tenant.empty())
      for (const auto& other : all)
        if (other.state == rule.state && !other.tenant.empty()) others.push_back(other.tenant);
    // A key must answer for at least a day, however short a tenant keeps its jobs.
    const Millis keep = std::max(rule.keep, options_.keep_key_min);
    const auto ids = store_.read().ended_before(rule.state, now_.ages - keep, rule.tenant, others, options_.slice);
    for (const auto& job : store_.read().jobs(ids)) {
      if (!job) continue;
      book_.purge(*job);
      book_.forget_if_empty(state_.batches.at(job->spec.batch));
    }
    if (ids.size() < options_.slice) ++state_.sweep_step;
  } else {
    const auto keep_from = std::max<store::EventNo>(0, state_.last_event - options_.events_max);
    const auto gone = store_.purge_events(keep_from, now_.ages - options_.keep_events, now_.ages, options_.slice * 10);
    const auto keys = store_.purge_list_keys(now_.ages - options_.keep_key_min, state_.swept_keys, options_.slice);
    state_.swept_keys = keys.last ? store::Store::KeyPlace{} : keys.next;
    const bool webhooks_swept = webhooks_.sweep();
    const bool scaling_swept =
        store_.purge_scaler(now_.ages - options_.keep_decisions, options_.slice) < options_.slice;
    if (webhooks_swept && scaling_swept && gone < options_.slice * 10 &&
        (keys.last || keys.forgotten * 2 < keys.seen)) {
      lanes_.drop_idle([&](const LaneState& lane) { return now_.monotonic - lane.idle_since >= 600'000; });
      forget_empty_batches();
      state_.sweeping = false;
      state_.sweep_step = 0;
      state_.retention.clear();
    }
  }
  if (state_.sweeping) round_.more = true;
}

}  // namespace geres::hub::engine
