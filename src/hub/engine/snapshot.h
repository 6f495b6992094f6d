// SPDX-License-Identifier: Apache-2.0
// The engine's memory as readers see it: who waits where, and which hosts there are. The engine makes one when somebody
// has asked, after the tick in which they asked, for all of them together; and if that takes long, not more often than
// that it costs a twentieth of its time. So reading stalls nobody, and who reads sees what it has done itself.
// What has not changed is shared from one to the next. Immutable: any thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "hub/engine/scheduler.h"
#include "hub/engine/verbs.h"
#include "hub/store/reads.h"

namespace geres::hub::engine {

struct Snapshot {
  struct Lane {
    store::LaneNo no = 0;
    std::shared_ptr<const store::LaneKey> key;  // LaneView::key points there
    bool one_priority = false;                  // so its head is the first that was submitted
  };
  struct Host {
    std::shared_ptr<const HostInfo> info;  // HostView::host points into it
    Millis last_seen = 0;                  // wall
  };
  struct Arrivals {  // a second, as far as the hub has been there so long
    double in_1m = 0, in_10m = 0;
  };
  Millis engine_clock = 0;
  std::map<std::string, Arrivals> arrivals;  // of jobs, by pool
  std::vector<TenantView> tenants;
  std::vector<BatchView> batches;
  std::vector<LaneView> lane_views;  // those in which jobs are ready
  std::vector<Lane> lanes;           // the same
  std::vector<HostView> host_views;
  std::vector<Host> hosts;  // the same
};

// Of these tenants' (none: all) jobs that are ready, the one that was submitted first. A lane of one priority begins
// with it; only where there are several the store is asked.
std::optional<model::Job> oldest_ready(const Snapshot& fleet, const std::vector<std::string>& tenants,
                                       store::Reads& reads);

struct WhyAnswer;  // with_jobs.h

// Why a job does not run yet; `now`: wall clock. A ready job is looked for in `fleet`, which must be younger than the
// job's row; nullopt: it is not there any more, so it was granted since: read the job again. Others need no fleet.
// Reads the store: jobs ahead are counted, to ten thousand in all.
std::optional<WhyAnswer> why(model::Job job, const Snapshot* fleet, store::Reads& reads, Millis now);

}  // namespace geres::hub::engine
