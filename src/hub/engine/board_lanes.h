// SPDX-License-Identifier: Apache-2.0
// Lanes in which jobs wait, in the order in which a pass serves them:
//
//   rank         of an operator's batch its priority; one for all others
//     line       lanes of equal needs: they find a place alike or none. One that found none is parked until a host that
//                it fits has room. Those that wait too long (rule 7 of scheduler.h) are a line of their own
//       turn     those of one tenant, by standing; taken out while the tenant is at its limit
//         group  those of one batch, by head; taken out while the batch starts nothing
//           lane by head
//
// Standings grow by themselves while jobs run longer than expected. So a turn's place may be too early, never too late:
// whoever takes the first one looks whether it still is.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "hub/engine/board_hosts.h"

namespace geres::hub::engine {

struct BatchState;
struct LaneState;
struct PassClock;
struct TenantState;
struct LaneGroup;
struct LaneLine;
struct LaneTurn;
struct LaneNeeds;

// By which lanes of one batch are ordered. A copy: an order must not change behind its back.
struct LaneHead {
  std::int64_t priority = 0;
  store::Seq seq = 0;
  store::LaneNo lane = 0;
  auto operator<=>(const LaneHead&) const = default;
};

struct LanePlace {
  LaneGroup* group = nullptr;
  LaneHead head;
  bool listed = false;  // in its group
  bool touched = false;
  bool fresh = false;        // has waited in no pass yet
  std::int64_t granted = 0;  // in the pass that runs
};

struct TenantPlace {
  std::vector<LaneTurn*> turns;
  Standing latest;                           // none of its turns stands behind it
  std::map<std::int64_t, std::size_t> able;  // turns, by their rank
  std::size_t listed = 0;                    // lanes
  bool full = false;                         // at its limit
  bool touched = false;
  bool unsure = false;     // whether it contends is to be found anew
  bool contended = false;  // at the last catch_up it had a job that nothing but others held
  bool new_here = false;   // while it is let in
  std::int64_t rank = 0;   // while it contends: the best of its ranks
  std::size_t contender = 0;
  std::int64_t running = 0, slots = 0;  // granted in the pass that runs
  SlotTime slot_time = 0;               // likewise
};

struct BatchPlace {
  std::vector<LaneGroup*> groups;
  bool blocked = false;  // starts nothing
  bool touched = false;
  bool holds = false;        // in the pass that runs
  std::int64_t granted = 0;  // likewise
};

struct EarlierLane {
  bool operator()(const LaneState* a, const LaneState* b) const;
};
struct EarlierGroup {
  bool operator()(const LaneGroup* a, const LaneGroup* b) const;
};
struct EarlierTurn {
  bool operator()(const LaneTurn* a, const LaneTurn* b) const;
};

struct LaneGroup {
  LaneTurn* turn = nullptr;
  BatchState* batch = nullptr;
  LaneHead first;  // as it stands in its turn
  std::set<LaneState*, EarlierLane> lanes;
  std::size_t assigned = 0;  // lanes that belong here, whether jobs are ready in them or not
  bool listed = false;
  std::optional<std::size_t> of_batch;  // where it stands among its batch's groups
};

struct LaneTurn {
  LaneLine* line = nullptr;
  TenantState* tenant = nullptr;
  Standing standing;
  std::set<LaneGroup*, EarlierGroup> groups;
  std::unordered_map<BatchState*, LaneGroup> all;
  bool listed = false;
  bool able = false;                     // listed, and there is a host that it fits
  std::optional<std::size_t> of_tenant;  // where it stands among its tenant's turns
};

struct LaneLine {
  LaneNeeds* needs = nullptr;
  std::int64_t rank = 0;
  bool starving = false;
  std::set<LaneTurn*, EarlierTurn> turns;
  std::unordered_map<TenantState*, LaneTurn> all;
  std::optional<std::size_t> parked;           // where it stands among those
  std::optional<std::size_t> active;           // where it stands in its rank
  std::int64_t placeless_in = 0, done_in = 0;  // passes in which nothing of it found a place, nor a hold either
};

struct LaneNeeds {
  store::LaneKey key;  // of one of them
  Needs needs;
  std::vector<HostKind*> fits;
  std::size_t alive = 0;                                    // those of them that have a host
  std::map<std::pair<std::int64_t, bool>, LaneLine> lines;  // by rank, and whether they starve
  std::int64_t avoids_in = 0;                               // the pass in which it was found whether it avoids any
  bool avoids = false;
};

Standing standing_of(const TenantState& tenant, Millis now);  // with what the pass that runs has granted
std::int64_t rank_of(const model::Batch& batch);
bool starves(const LaneState& lane, Millis now);  // rule 7

class LaneBoard {
 public:
  using FindHeads = std::function<void(const std::vector<LaneState*>&)>;  // of those whose head is not known

  void touch(LaneState& lane);
  void touch(TenantState& tenant);
  void touch(BatchState& batch);
  void forget(LaneState& lane);
  void forget(BatchState& batch);

  // Returns the tenants that contend from now on and did not before.
  std::vector<TenantState*> catch_up(State& state, Millis now, const FindHeads& find_heads);
  const std::vector<TenantState*>& contenders() const { return contenders_; }
  static Index number(const BatchState& batch);  // by which placement.h knows it

  // ---- what hosts tell
  void kind_added(HostKind& kind);
  void kind_removed(HostKind& kind);
  void kind_has_hosts(HostKind& kind, bool has);
  void has_room(HostState& host);

  // ---- in a pass
  std::int64_t begin_pass() { return ++pass_; }
  const std::map<std::int64_t, std::vector<LaneLine*>>& ranks() const { return ranks_; }
  void unlist(LaneState& lane);  // until it is touched
  void move(LaneState& lane, const store::ReadyRow& head);
  void block(BatchState& batch);
  void fill(TenantState& tenant);
  void restand(LaneTurn& turn, const Standing& standing);
  void park(LaneLine& line);
  LaneLine& end_starving(LaneState& lane, Millis now);  // its line from now on
  void note_pass(Millis now);                           // hosts were open in it: whoever waited waits from then on

 private:
  void refresh(LaneState& lane, Millis now);
  void refresh(TenantState& tenant, Millis now);
  void refresh(BatchState& batch);
  void assign(LaneState& lane, bool starving, Millis now);
  void unassign(LaneState& lane);
  LaneNeeds& needs_of(const LaneState& lane);
  void list(LaneState& lane, const LaneHead& head);
  void place(LaneGroup& group);
  void place(LaneTurn& turn);
  void place(LaneLine& line);
  void note_able(LaneTurn& turn);
  void doubt(TenantState& tenant);

  std::vector<LaneState*> touched_lanes_, fresh_;
  std::vector<TenantState*> touched_tenants_, unsure_, contenders_;
  std::vector<BatchState*> touched_batches_;
  std::deque<std::pair<Millis, store::LaneNo>> waiting_;  // since when, monotonic, in order: who starves next
  std::vector<HostKind*> kinds_;
  std::unordered_set<std::string> named_;  // tenants that some host was ever there for alone
  std::vector<std::string> newly_named_;
  std::unordered_map<Needs, std::unique_ptr<LaneNeeds>, NeedsHash> needs_;
  std::vector<LaneLine*> parked_;
  std::int64_t pass_ = 0;
  std::map<std::int64_t, std::vector<LaneLine*>> ranks_;  // lines in which a lane may be served, or hold a host
};

}  // namespace geres::hub::engine
