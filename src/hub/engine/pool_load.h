// SPDX-License-Identifier: Apache-2.0
// Which pool a kind of jobs counts for, how many of them come, and samples of how much there is to do: what a scaler's
// policies go by, and what a rehearsal is made of where jobs are not kept so long.
#pragma once

#include "hub/engine/round.h"

namespace geres::hub::engine {

// The first that the lane fits, in the order of cost and name; null: none.
PoolState* pool_of(State& state, LaneState& lane);

// Whoever makes, changes or removes a pool says so.
void pools_changed(State& state);

// A job of it has become ready for the first time.
void note_arrival(State& state, LaneState& lane, Millis monotonic);

// At most each ten seconds, and only what has changed: until the next sample all is as in the one before.
void sample_load(Round& round);

}  // namespace geres::hub::engine
