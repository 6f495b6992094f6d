// SPDX-License-Identifier: Apache-2.0
// What all stores do alike.
#include "hub/store/store.h"

#include "hub/store/with_jobs.h"

namespace geres::hub::store {

void Store::begin() {
  begin(Wanted{});
}

Found find_each(TickReads& reads, const Wanted& wanted) {
  Found found;
  if (!wanted.keys.empty()) found.by_key = reads.jobs_by_key(wanted.keys);
  for (const auto& [scope, key] : wanted.list_keys) found.lists.push_back(reads.list_key(scope, key));
  if (!wanted.jobs.empty()) found.jobs = reads.jobs(wanted.jobs);
  for (const Uuid id : wanted.scheduled) found.scheduled.push_back(reads.scheduled_row(id));
  for (const Uuid lease : wanted.ended_attempts) found.ended_attempts.push_back(reads.ended_attempt(lease));
  return found;
}

}  // namespace geres::hub::store
