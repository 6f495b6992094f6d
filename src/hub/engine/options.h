// SPDX-License-Identifier: Apache-2.0
// What an engine can be told at its start. The defaults are those of `geres hub`.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace geres::hub::engine {

struct Options {
  Millis lease = 30'000;  // default; a job may ask for another
  Millis lease_min = 2'000;
  Millis lease_max = 24 * 3'600'000;
  Millis host_lost_after = 30'000;        // silence
  int host_losses_max = 3;                // the third ends a job as poison: see is_poison()
  Millis unstarted_max = 24 * 3'600'000;  // a job that hosts give back unstarted for so long fails
  std::size_t lanes_per_tenant_max = 10'000;
  std::size_t commands_per_tick_max = 2'000;
  std::size_t jobs_per_tick_max = 20'000;
  std::size_t slice = 1'000;  // rows of bulk work a tick
  Millis keep_finished = 7 * 86'400'000LL;
  Millis keep_failed = 30 * 86'400'000LL;
  Millis keep_events = 7 * 86'400'000LL;
  Millis keep_decisions = 7 * 86'400'000LL;  // of the scaler, and machines that are gone
  std::int64_t events_max = 10'000'000;
  Millis keep_key_min = 86'400'000;
  std::size_t webhooks_per_tenant_max = 100;
  std::size_t dead_deliveries_max = 10'000;  // of one webhook
  Millis old_secret_kept = 86'400'000;       // of a webhook, after a new one was set
  Millis sweep_pause = 60'000;               // between two looks at what may be purged
  Millis progress_pause = 1'000;             // between stored progress events of one job
  Millis host_forgotten_after = 600'000;
  Millis duration_guess = 60'000;  // of jobs when none of their tenant has ended yet
  bool check_passes = false;       // for tests: hold each pass of the scheduler against the plain reading of its rules
};

}  // namespace geres::hub::engine
