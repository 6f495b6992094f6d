// SPDX-License-Identifier: Apache-2.0
// Hosts as the scheduler sees them, by kind: hosts of one kind are alike to every lane but for what they do just now,
// so which kinds a lane fits is found once. In each kind the open hosts stand in the order of rule 9 of scheduler.h.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "hub/engine/placement.h"

namespace geres::hub::engine {

struct BatchState;
struct Desk;
struct HostState;
struct State;
class LaneBoard;

struct Earlier {  // rule 9, but for what they have done
  using is_transparent = void;
  bool operator()(const HostState* a, const HostState* b) const;
  bool operator()(const HostState* a, const PlaceRank& b) const;
};
using HostOrder = std::set<HostState*, Earlier>;
struct ById {
  bool operator()(const HostState* a, const HostState* b) const;
};

struct HostKind {
  model::Host like;  // one of them
  std::set<HostState*, ById> hosts;
  bool packed = false;
  HostOrder open;
  std::unordered_map<Work, HostOrder> have_done;  // of those that are open
  std::size_t alive = 0;
};

// A host's part of the board. Both orders go by what stands here, so it changes only in HostBoard.
struct HostPlace {
  HostKind* kind = nullptr;
  HostView view;
  Room room;  // less what the pass that runs has granted
  PlaceRank rank;
  bool alive = false;
  bool open = false;  // in HostKind::open
  bool touched = false;
};

class HostBoard {
 public:
  explicit HostBoard(LaneBoard& lanes) : lanes_(lanes) {}

  void touch(HostState& host);
  void forget(HostState& host);

  void catch_up(const State& state, const Desk& desk, Millis now);
  std::size_t open() const { return open_; }

  // ---- in a pass
  void occupy(HostState& host, const Claim& claim);
  void hold(HostState& host);

 private:
  using Key = std::tuple<std::optional<std::vector<std::string>>, std::optional<std::vector<std::string>>,
                         std::map<std::string, std::string>, bool, int, std::int64_t, model::HostMode, bool>;
  static Key key_of(const model::Host& host, bool packed);
  void refresh(HostState& host, const State& state, const Desk& desk, Millis now);
  void find_kind(HostState& host, bool packed);
  void leave_kind(HostState& host);
  void set_alive(HostState& host, bool alive);
  void set_open(HostState& host, bool open);

  LaneBoard& lanes_;
  std::map<Key, HostKind> kinds_;
  std::vector<HostState*> touched_;
  std::unordered_set<HostState*> unwell_;  // they change as time goes by
  std::size_t open_ = 0;
};

// A machine of a pool that may become smaller: its jobs are packed, so that others become empty.
bool is_packed(const State& state, const model::Host& host);

// A host as schedule() and why() see it. `number`: by which a batch is known.
HostView view_of(const HostState& host, const State& state, const Desk& desk, Millis now,
                 const std::function<Index(BatchState&)>& number);

}  // namespace geres::hub::engine
