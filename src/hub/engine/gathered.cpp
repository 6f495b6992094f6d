// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/gathered.h"

namespace geres::hub::engine {

Gathered::Gathered(const store::Wanted& wanted, store::Found found) {
  const auto keep = [](auto& rows, const auto& keys, auto& answers) {
    for (std::size_t i = 0; i < answers.size(); ++i) rows.emplace(keys[i], std::move(answers[i]));
  };
  for (std::size_t i = 0; i < found.by_key.size(); ++i) {
    auto& job = found.by_key[i];
    by_key_.emplace(Key{wanted.keys[i].tenant, wanted.keys[i].key},
                    job ? std::optional(KeyedJob{job->id, job->spec.key_digest}) : std::nullopt);
    if (job) jobs_.emplace(job->id, std::move(job));
  }
  for (std::size_t i = 0; i < found.lists.size(); ++i)
    lists_.emplace(Key{wanted.list_keys[i].tenant, wanted.list_keys[i].key}, std::move(found.lists[i]));
  keep(jobs_, wanted.jobs, found.jobs);
  keep(scheduled_, wanted.scheduled, found.scheduled);
  keep(ended_attempts_, wanted.ended_attempts, found.ended_attempts);
}

void Gathered::outdate(const store::Changes& changes) {
  for (const auto& list : changes.list_keys) lists_.erase({list.scope, list.key});
  for (const auto& job : changes.jobs) by_key_.erase({job.spec.tenant, job.spec.key});
  if (!changes.jobs_purged.empty()) by_key_.clear();
  if (jobs_.empty() && scheduled_.empty() && ended_attempts_.empty()) return;
  for (const auto& update : changes.updates) outdate_job(update.id.seq());
  for (const auto& edit : changes.edits) outdate_job(edit.id.seq());
  for (const auto& attempt : changes.attempts) outdate_job(attempt.lease.seq());
  for (const auto& row : changes.ready) outdate_job(row.seq);
  for (const auto& row : changes.ready_removed) outdate_job(row.seq);
  for (const auto& row : changes.scheduled) outdate_job(row.seq);
  for (const auto seq : changes.scheduled_removed) outdate_job(seq);
  for (const auto& lease : changes.leases) outdate_job(lease.job.seq());
  for (const Uuid job : changes.leases_removed) outdate_job(job.seq());
  for (const Uuid job : changes.jobs_purged) outdate_job(job.seq());
}

void Gathered::outdate_job(store::Seq seq) {
  const auto drop = [first = Uuid{std::uint64_t(seq), 0}](auto& rows) {
    for (auto row = rows.lower_bound(first); row != rows.end() && row->first.high == first.high;) row = rows.erase(row);
  };
  drop(jobs_);
  drop(scheduled_);
  drop(ended_attempts_);
}

}  // namespace geres::hub::engine
