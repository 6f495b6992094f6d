// SPDX-License-Identifier: Apache-2.0
// How many hosts of a pool the jobs that wait would fill: what the scheduler would place on hosts that are like the
// pool's template, if there were as many as there may be. So limits, shares, pauses, dedicated batches and needs count
// exactly as they do for real hosts, and a job that no template fits orders no machine.
//
// A job counts for the first pool that it fits, in the order of cost and name; what real hosts have room for counts for
// none. A pure function of what readers see of the engine: any thread, and it may take a while.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "hub/engine/snapshot.h"
#include "model/pool.h"

namespace geres::hub::engine {

struct Demand {
  struct Runnable {
    std::int64_t jobs = 0, slots = 0;
    std::int64_t hosts = 0;
  } runnable;
  // Ready jobs that the pool's hosts fit and nobody may start now: batchPaused, batchLimit, tenantLimit; maximum: the
  // pool itself may not be larger.
  std::map<std::string, std::int64_t> held;
  std::int64_t unplaceable = 0;  // ready jobs that fit no pool and no host that is there
  Millis oldest_wait = 0;        // since the submission of the first of a lane that is runnable
  struct Running {
    std::int64_t jobs = 0, slots = 0;
    Millis rest_mean = 0, rest_p90 = 0;  // until they end, if they take as long as others like them
  } running;
  // Of the jobs that wait for this pool or run in it, as far as is known of others like them, and of how many.
  Millis mean_duration = 0, p90_duration = 0;
  std::int64_t ends = 0;
  std::int64_t due_in_1m = 0, due_in_5m = 0;  // scheduled jobs that would count for this pool
  double arrivals_1m = 0, arrivals_10m = 0;   // a second
  struct Dedicated {
    std::string batch;
    std::int64_t hosts = 0;
  };
  std::vector<Dedicated> dedicated;
};

// `pools`: all there are. `name`: one of them.
// `due`: of Reads::due_soon, a minute and five minutes from now.
Demand demand_of(const Snapshot& fleet, std::span<const model::Pool> pools, const std::string& name, Millis now,
                 std::span<const store::DueJobs> due = {});

// No pool's template fits what waits in this lane.
bool fits_no_pool(const store::LaneKey& lane, std::span<const model::Pool> pools);
// What no template has, in words; for a lane that fits none.
std::string why_no_pool(const store::LaneKey& lane, std::span<const model::Pool> pools);

}  // namespace geres::hub::engine
