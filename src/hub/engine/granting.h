// SPDX-License-Identifier: Apache-2.0
// From open fetches to leases: shows lanes and hosts to the scheduler, takes the rows that it chose, grants the leases.
#pragma once

#include "hub/engine/fetches.h"
#include "hub/engine/scheduler.h"

namespace geres::hub::engine {

// The state as the scheduler sees it, with the way back: lanes[i] is of *lane_states[i].
struct Views {
  std::vector<TenantView> tenants;
  std::vector<TenantState*> tenant_states;
  std::vector<BatchView> batches;
  std::vector<LaneView> lanes;
  std::vector<LaneState*> lane_states;
  std::vector<HostView> hosts;
  std::vector<HostState*> host_states;
};

class Granting {
 public:
  Granting(Round& round, Lanes& lanes, Attempts& attempts, Fetches& fetches)
      : round_(round),
        state_(round.state),
        desk_(round.desk),
        store_(round.store),
        options_(round.options),
        now_(round.now),
        lanes_(lanes),
        attempts_(attempts),
        fetches_(fetches) {}

  void grant();  // a step

  SnapshotPtr snapshot();  // of the same views, for readers

 private:
  Views views();
  bool has_unstarted(const HostState& host) const;
  bool has_host(LaneState& lane);
  void let_in(Views& views);
  void note_service(const Views& views, const Schedule& plan);

  Round& round_;
  State& state_;
  Desk& desk_;
  BufferedStore& store_;
  const Options& options_;
  const Now& now_;
  Lanes& lanes_;
  Attempts& attempts_;
  Fetches& fetches_;
};

}  // namespace geres::hub::engine
