// SPDX-License-Identifier: Apache-2.0
// The state as the scheduler sees it, with the way back: views.lanes[i] is of *views.lane_states[i].
#pragma once

#include <vector>

#include "hub/engine/scheduler.h"
#include "hub/engine/tick.h"

namespace geres::hub::engine {

struct Tick::Views {
  std::vector<TenantView> tenants;
  std::vector<TenantState*> tenant_states;
  std::vector<BatchView> batches;
  std::vector<LaneView> lanes;
  std::vector<LaneState*> lane_states;
  std::vector<HostView> hosts;
  std::vector<HostState*> host_states;
};

}  // namespace geres::hub::engine
