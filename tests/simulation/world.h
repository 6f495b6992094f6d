// SPDX-License-Identifier: Apache-2.0
// One seed from its start to its end: hub, hosts and clients, trouble for a while, then none any more, and everything
// has to settle.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "simulation/client.h"
#include "simulation/host.h"
#include "simulation/scaler.h"

namespace geres::simulation {

struct Verdict {
  std::optional<Violation> violation;
  PathCounts paths{};
  std::deque<std::string> trace;
  std::uint64_t steps = 0;
  Millis time = 0;
};

class World {
 public:
  World(std::uint64_t seed, bool traced);
  Verdict run();

 private:
  bool step();
  void settle();
  bool another_fits(Uuid job, const std::set<std::string>& avoided);
  void set_up();
  void set_up_tenants();
  void set_up_hosts();
  std::optional<Uuid> invitation();
  void set_up_scalers();
  void set_host_mode(const std::string& host, model::HostMode mode);
  void set_up_trouble();
  void sometimes(int times, Timeline::Act act);
  void hub_trouble();
  void host_trouble();
  void link_trouble();
  void heal();
  void resume_batches();
  bool settled();
  std::string what_is_left();
  void last_things();
  Host& any_host() { return *hosts_[dice_.draw(hosts_.size())]; }

  Dice dice_, scaler_dice_, memory_dice_,
      join_dice_;  // those of their own leave seeds without what they are for as they were
  Plan plan_;
  const bool scaled_;
  Timeline timeline_;
  Ledger ledger_;
  Trace trace_;
  Network network_;
  Hub hub_;
  std::vector<std::unique_ptr<Host>> hosts_;  // the last one comes when all is well again
  std::vector<std::unique_ptr<Scaler>> scalers_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Client>> operators_;
  bool healed_ = false;
};

}  // namespace geres::simulation
