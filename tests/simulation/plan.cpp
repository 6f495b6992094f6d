// SPDX-License-Identifier: Apache-2.0
#include "simulation/plan.h"

#include <cmath>

namespace geres::simulation {

namespace {

// Small ones are quicker and find as much; large ones come now and then.
int mostly_small(Dice& dice, int low, int high) {
  const double x = double(dice.draw(1'000)) / 1'000;
  return low + int(std::lround(x * x * x * x * double(high - low)));
}

}  // namespace

Plan::Plan(Dice& dice) {
  hosts = mostly_small(dice, 1, 10);
  tenants = mostly_small(dice, 1, 8);
  jobs = mostly_small(dice, 50, 500);
  busy = dice.between(4'000, 15'000);
  lease = dice.between(2'000, 6'000);
  fetch_wait = dice.percent(10) ? 60'000 : dice.between(500, 8'000);
  slice = std::size_t(dice.between(3, 40));
  checkpoint_pages = int(dice.between(20, 400));
  hub_rate = 1 + double(dice.between(-10, 10)) / 1'000;
  drift_permille = dice.percent(50) ? 10 : 0;
  audit_every = dice.percent(4) ? 1 : dice.percent(15) ? 16 : 0;
  store_audit = dice.percent(20);
  const bool network = dice.percent(70);
  drop = network && dice.percent(60) ? int(dice.between(5, 120)) : 0;
  twice = network && dice.percent(60) ? int(dice.between(5, 120)) : 0;
  late = network && dice.percent(60) ? int(dice.between(5, 120)) : 0;
  for (bool* trouble :
       {&cuts, &hub_kills, &power_losses, &disk_errors, &hub_freezes, &refusals, &unknowns, &full_disk, &slow_disk,
        &wall_jumps, &host_crashes, &host_freezes, &drains, &poison, &storms, &rogues, &hub_stops})
    *trouble = dice.percent(30);
  for (bool* shape : {&cancels, &limits, &batches, &needs}) *shape = dice.percent(50);
  pauses = batches && dice.percent(50);
  retention = dice.percent(10);
  if (retention) wall_jumps = false;  // what is past its time could not be told
  fair = dice.percent(20);
  if (fair) {
    batches = needs = pauses = false;
    // Of a tick that is tried again, or takes long, the events do not tell what it charged, and when.
    refusals = unknowns = full_disk = slow_disk = disk_errors = false;
    // Many tenants and few slots, often enough: there it shows who is passed over.
    if (dice.percent(50)) hosts = 1, tenants = int(dice.between(4, 12)), jobs = std::max(jobs, tenants * 20);
  }
  if (dice.percent(15)) lanes_max = std::size_t(dice.between(1, 6));
  duration_guess = dice.percent(50) ? 60'000 : dice.between(20, 2'000);
  sick = dice.percent(30);
  if (sick && dice.percent(50)) unstarted_max = dice.between(4'000, 12'000);
}

}  // namespace geres::simulation
