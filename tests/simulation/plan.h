// SPDX-License-Identifier: Apache-2.0
// What one seed is about: how many of everything, and which kinds of trouble. A seed has some kinds and not others, so
// that each is also seen undisturbed by the rest.
#pragma once

#include "simulation/timeline.h"

namespace geres::simulation {

struct Plan {
  inline static bool check_passes = true;  // hold each pass of the scheduler against the plain reading of its rules

  int hosts = 3;
  int tenants = 2;
  int jobs = 100;
  Millis busy = 10'000;  // as long do clients ask and things break
  Millis lease = 5'000;
  Millis fetch_wait = 5'000;
  std::size_t slice = 10;
  int checkpoint_pages = 200;
  double hub_rate = 1;
  int drift_permille = 0;    // of hosts against the hub, either way
  bool store_audit = false;  // by the store's own auditor, at the end
  int audit_every = 0;       // ticks; 0: at the end only

  int drop = 0, twice = 0, late = 0;  // permille of messages
  bool cuts = false;
  bool hub_kills = false, power_losses = false, disk_errors = false, hub_freezes = false, hub_stops = false;
  bool refusals = false, unknowns = false;
  bool full_disk = false, slow_disk = false;
  bool wall_jumps = false;
  bool host_crashes = false, host_freezes = false, drains = false;
  bool poison = false;
  bool cancels = false, storms = false;
  bool rogues = false;  // reports that should not be
  bool limits = false, batches = false, needs = false, pauses = false;
  std::size_t lanes_max = 10'000;
  bool fair = false;              // all jobs fit everywhere, so that shares can be compared
  Millis duration_guess = 1'000;  // the hub's, of jobs that it knows nothing of
  bool retention = false;
  bool sick = false;                  // a host that cannot start jobs, for a while or for ever
  Millis unstarted_max = 86'400'000;  // a day, or a shorter one
  std::int64_t host_memory = 0;       // bytes of each host; then some jobs run out of what they get

  explicit Plan(Dice& dice);
};

}  // namespace geres::simulation
