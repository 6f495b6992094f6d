// SPDX-License-Identifier: Apache-2.0
// The wire between one party and the hub. A request may be lost, come late or twice, an answer be lost or late, and a
// link be cut in one direction; an answer never comes twice, and whoever has hung up does not hear it (HTTP).
#pragma once

#include "simulation/ledger.h"
#include "simulation/plan.h"
#include "simulation/timeline.h"

namespace geres::simulation {

struct Link {
  bool cut_up = false;  // towards the hub
  bool cut_down = false;
};

class Network {
 public:
  Network(Timeline& timeline, Dice& dice, const Plan& plan, Ledger& ledger)
      : timeline_(timeline), dice_(dice), plan_(plan), ledger_(ledger) {}

  void up(const Link& link, Timeline::Act deliver) {
    if (lost(link.cut_up, Path::message_cut_up)) return;
    if (!healed_ && dice_.permille(plan_.twice)) {
      ledger_.hit(Path::message_doubled);
      timeline_.after(delay(), deliver);
    }
    timeline_.after(delay(), std::move(deliver));
  }
  // `held_up`: how long it takes the hub to send it.
  void down(const Link& link, Millis held_up, Timeline::Act deliver) {
    if (!lost(link.cut_down, Path::message_cut_down)) timeline_.after(held_up + delay(), std::move(deliver));
  }
  void heal() { healed_ = true; }

 private:
  bool lost(bool cut, Path path) {
    if (healed_) return false;
    if (cut) return ledger_.hit(path), true;
    if (!dice_.permille(plan_.drop)) return false;
    return ledger_.hit(Path::message_dropped), true;
  }
  Millis delay() {
    if (healed_ || !dice_.permille(plan_.late)) return dice_.between(1, 4);
    ledger_.hit(Path::message_late);
    return dice_.between(20, 4'000);
  }

  Timeline& timeline_;
  Dice& dice_;
  const Plan& plan_;
  Ledger& ledger_;
  bool healed_ = false;
};

}  // namespace geres::simulation
