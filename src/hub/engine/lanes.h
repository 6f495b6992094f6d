// SPDX-License-Identifier: Apache-2.0
// Tenants and the lanes their jobs wait in: made on first use, bounded for each tenant, forgotten when nobody needs
// them; how many jobs are ready in each and which is its first.
#pragma once

#include <functional>
#include <set>

#include "hub/engine/round.h"

namespace geres::hub::engine {

class Lanes {
 public:
  explicit Lanes(Round& round)
      : round_(round), state_(round.state), store_(round.store), options_(round.options), now_(round.now) {}

  TenantState& tenant(const std::string& name);
  // Whether these lanes of one tenant may all be there: tooManyLanes. Those in which nothing waits or runs do not
  // count.
  Result<void> has_room(const std::string& tenant, const std::set<store::LaneKey>& wanted) const;
  Result<LaneState*> lane(const store::LaneKey& key);  // tooManyLanes

  void gained(LaneState& lane, const store::ReadyRow& row);
  void lost(LaneState& lane, const store::ReadyRow& row);
  // To be called when a lane's ready jobs or leases have become more or fewer.
  void note_use(LaneState& lane);
  // One of its jobs has held its slots for so long.
  void learn_duration(LaneState& lane, Millis took);

  void drop_idle(const std::function<bool(const LaneState&)>& wanted);  // of those in which nothing waits or runs
  void drop_of(Uuid batch);

 private:
  using Place = std::map<store::LaneKey, LaneState>::iterator;
  void make_room(const TenantState& owner);
  Place drop(Place lane);

  Round& round_;
  State& state_;
  BufferedStore& store_;
  const Options& options_;
  const Now& now_;
};

}  // namespace geres::hub::engine
