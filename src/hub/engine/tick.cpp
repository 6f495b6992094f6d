// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/tick.h"

#include "hub/engine/pool_load.h"
#include "hub/engine/with_jobs.h"

namespace geres::hub::engine {

void Tick::run_steps(bool growing) {
  attempts.expire_leases();
  hosts.watch();
  attempts.write_progress();
  due.promote_due();
  due.expire_queued();
  operations.run(growing);
  if (growing) retention.sweep();
  granting.grant();
  fetches.answer();
  if (growing) sample_load(round);
  round.store.flush();
}

}  // namespace geres::hub::engine
