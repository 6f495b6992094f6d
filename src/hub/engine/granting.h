// SPDX-License-Identifier: Apache-2.0
// From open fetches to leases: has a pass made, takes the rows that it chose, grants the leases.
#pragma once

#include "hub/engine/board.h"
#include "hub/engine/fetches.h"
#include "hub/engine/scheduler.h"

namespace geres::hub::engine {

// The state as schedule() and why() see it, with the way back: lanes[i] is of *lane_states[i].
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
        stats_(round.stats),
        now_(round.now),
        lanes_(lanes),
        attempts_(attempts),
        fetches_(fetches) {}

  void grant();  // a step

  SnapshotPtr snapshot();  // of the same views, for readers

 private:
  Views views();
  void find_heads(const std::vector<LaneState*>& lanes);
  void let_in(const std::vector<TenantState*>& newcomers);
  void measure_spans();
  double stands(const TenantState& tenant) const;
  void note_service(const Plan& plan);
  void carry_out(const Plan& plan);
  void check(const Plan& plan, const PeekLane& peek);

  Round& round_;
  State& state_;
  Desk& desk_;
  BufferedStore& store_;
  const Options& options_;
  Stats& stats_;
  const Now& now_;
  Lanes& lanes_;
  Attempts& attempts_;
  Fetches& fetches_;
};

}  // namespace geres::hub::engine
