// SPDX-License-Identifier: Apache-2.0
// Who pays for which slots: keeps the tenants' accounts in step with leases and hosts.
#pragma once

#include <vector>

#include "hub/engine/state.h"

namespace geres::hub::engine {

// How long a job of this lane will hold its slots: as long as others of the lane did, else of its tenant, else the
// guess.
Millis expected_duration(const LaneState& lane, Millis guess);
Millis expected_p90(const LaneState& lane, Millis guess);  // nine in ten take no longer

void charge_lease(State& state, LeaseState& lease, Millis now, Millis guess);
void settle_charge(LeaseState& lease, Millis now);
// Leases that have run for longer than was expected are charged as they run.
void charge_overruns(State& state, Millis now);

// A dedicated batch keeps others from a host: its tenant pays for the slots that stand idle there, on a host where its
// jobs run as well as on one that is kept free for them. To be called when leases come to the host or go.
void charge_idle_slots(State& state, HostState& host, Millis now);
// For which tenants hosts are kept free from now on; all others are kept free no more.
void keep_free(State& state, const std::vector<std::pair<HostState*, TenantState*>>& kept, Millis now);
void forget_charges(HostState& host, Millis now);  // the host goes

// Of a state that was just read. All begin equal, or where they were in the state `before` it in the same life.
void open_accounts(State& state, State* before, Millis now, Millis guess);

}  // namespace geres::hub::engine
