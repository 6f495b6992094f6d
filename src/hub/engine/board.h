// SPDX-License-Identifier: Apache-2.0
// What the scheduler sees, kept from one pass to the next: a pass costs what has changed since the last one and what
// it grants, not how much waits or how many hosts there are. The rules are those of scheduler.h; schedule() there is
// their plain reading, which a pass is held against wherever tests run an engine.
//
// Whoever changes a lane, tenant, batch or host that is on the board touches it; before a pass everything touched goes
// where it belongs. Only the scheduler reads the board.
#pragma once

#include "hub/engine/board_hosts.h"
#include "hub/engine/board_lanes.h"

namespace geres::hub::engine {

class Board {
 public:
  void touch(LaneState& lane) { lanes_.touch(lane); }
  void touch(TenantState& tenant) { lanes_.touch(tenant); }
  void touch(BatchState& batch) { lanes_.touch(batch); }
  void touch(HostState& host) { hosts_.touch(host); }

  // Before they go. Of a batch that goes there are no lanes left.
  void forget(LaneState& lane) { lanes_.forget(lane); }
  void forget(BatchState& batch) { lanes_.forget(batch); }
  void forget(HostState& host) { hosts_.forget(host); }

  LaneBoard& lanes() { return lanes_; }
  HostBoard& hosts() { return hosts_; }

 private:
  LaneBoard lanes_;
  HostBoard hosts_{lanes_};
};

struct PassClock {
  Millis monotonic = 0;
  Millis duration_guess = 0;  // see expected_duration()
};

struct Plan {
  struct Pair {
    LaneState* lane = nullptr;
    HostState* host = nullptr;
    bool operator==(const Pair&) const = default;
  };
  std::vector<Pair> grants;  // in order; the k-th grant of a lane is its k-th ready row
  std::vector<Pair> held;    // hosts that get nothing else meanwhile: rules 6 and 7
};

// The i-th ready row of a lane (0 is the head), as asked for; nullopt when there are fewer.
using PeekLane = std::function<std::optional<store::ReadyRow>(LaneState&, std::size_t i)>;

// At most `max` grants on a board that has been caught up. Changes nothing of the state; whatever it names is touched.
Plan run_pass(const State& state, Board& board, const PassClock& now, const PeekLane& peek, std::size_t max);

}  // namespace geres::hub::engine
