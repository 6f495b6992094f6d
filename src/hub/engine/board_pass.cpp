// SPDX-License-Identifier: Apache-2.0
// One pass, rank by rank. Each line offers the best lane that it has; the best of these is served: it gets a place, or
// holds a host, or its line is done with. Rooms only shrink while grants are made and standings only grow, so what was
// the best of a line may have become worse, never better: it is looked at again before it is served.
#include <algorithm>
#include <utility>

#include "hub/engine/board.h"
#include "hub/engine/charging.h"
#include "hub/engine/host_trouble.h"
#include "hub/engine/state.h"

namespace geres::hub::engine {

namespace {

struct Candidate {
  LaneLine* line = nullptr;
  LaneState* lane = nullptr;
  Standing standing;
};

struct Later {  // the standard heaps have their greatest on top
  bool operator()(const Candidate& a, const Candidate& b) const {
    if (a.standing != b.standing) return a.standing > b.standing;
    if (a.lane->tenant != b.lane->tenant) return a.lane->tenant->row.name > b.lane->tenant->row.name;
    const auto x = a.lane->batch->row.priority, y = b.lane->batch->row.priority;
    return x != y ? x > y : a.lane->place.head > b.lane->place.head;
  }
};

class Pass {
 public:
  Pass(const State& state, Board& board, const PassClock& now, const PeekLane& peek, std::size_t max)
      : state_(state),
        lanes_(board.lanes()),
        hosts_(board.hosts()),
        now_(now),
        peek_(peek),
        max_(max),
        number_(lanes_.begin_pass()) {}

  Plan run() {
    const auto& ranks = lanes_.ranks();
    for (auto rank = ranks.begin(); rank != ranks.end() && !finished(); ++rank) serve_rank(rank->second);
    return std::move(plan_);
  }

 private:
  bool finished() const { return hosts_.open() == 0 || plan_.grants.size() >= max_; }

  void serve_rank(const std::vector<LaneLine*>& lines) {
    queue_.clear();
    for (auto* line : lines)
      if (const auto best = best_of(*line)) queue_.push_back(*best);
    std::make_heap(queue_.begin(), queue_.end(), Later{});
    while (!queue_.empty() && !finished()) {
      std::pop_heap(queue_.begin(), queue_.end(), Later{});
      auto* line = queue_.back().line;
      queue_.pop_back();
      if (line->done_in == number_) continue;
      const auto best = best_of(*line);
      if (!best) continue;
      if (queue_.empty() || !Later{}(*best, queue_.front())) line = serve(*best);
      if (line != nullptr) enqueue(*line);
    }
  }

  void enqueue(LaneLine& line) {
    if (line.parked || line.done_in == number_) return;
    const auto best = best_of(line);
    if (!best) return;
    queue_.push_back(*best);
    std::push_heap(queue_.begin(), queue_.end(), Later{});
  }

  std::optional<Candidate> best_of(LaneLine& line) {
    while (!line.turns.empty()) {
      auto& turn = **line.turns.begin();
      const auto standing = standing_of(*turn.tenant, now_.monotonic);
      if (standing == turn.standing) return Candidate{&line, *(*turn.groups.begin())->lanes.begin(), standing};
      lanes_.restand(turn, standing);
    }
    return std::nullopt;
  }

  // Returns the line that goes on; null: there is none.
  LaneLine* serve(const Candidate& best) {
    auto& line = *best.line;
    auto& lane = *best.lane;
    const auto claim = claim_of(lane, *line.needs);
    if (line.placeless_in != number_) {
      if (auto* host = find_place(claim, *line.needs)) return grant(lane, line, claim, *host);
      line.placeless_in = number_;
    }
    const bool holds = hold(lane, line, claim);
    if (holds && !claim.dedicated) {
      lanes_.touch(lane);
      lanes_.unlist(lane);
      return &line;
    }
    line.done_in = number_;
    // What a line that avoids hosts or may hold one can have depends on more than the room that hosts gain.
    if (!line.starving && !claim.dedicated && line.needs->needs.avoid == nullptr) lanes_.park(line);
    return nullptr;
  }

  Claim claim_of(const LaneState& lane, LaneNeeds& needs) const {
    if (needs.needs.avoid != nullptr && std::exchange(needs.avoids_in, number_) != number_)
      needs.avoids = another_fits(state_, lane, *needs.needs.avoid, now_.monotonic);
    return {&lane.row.key, needs.needs.dedicated, needs.avoids ? needs.needs.avoid : nullptr, lane.work};
  }

  HostState* find_place(const Claim& claim, const LaneNeeds& needs) const {
    Found best{claim};
    for (const auto* kind : needs.fits) {
      look(kind->open, *kind, best);
      if (const auto done = kind->have_done.find(claim.work); done != kind->have_done.end())
        look(done->second, *kind, best);
    }
    return best.host;
  }

  struct Found {  // the best so far
    const Claim& claim;
    HostState* host = nullptr;
    bool owned = false, done = false;

    bool better(HostState* other, bool other_owned, bool other_done) const {
      if (host == nullptr || owned != other_owned) return host == nullptr || other_owned;
      if (host->place.rank != other->place.rank) return other->place.rank < host->place.rank;
      return done != other_done ? other_done : ById{}(other, host);
    }
  };

  // The first that has room: those after it come later by rule 9, too, or are looked at among those that have done such
  // work. A dedicated batch looks for its own hosts, wherever they stand.
  void look(const HostOrder& hosts, const HostKind& kind, Found& best) const {
    const auto& claim = best.claim;
    const int slots = claim.key->requirements.slots;
    auto at = kind.packed ? hosts.lower_bound(place_rank(true, slots, kind.like.slots)) : hosts.begin();
    for (; at != hosts.end(); ++at) {
      auto* host = *at;
      const auto& room = host->place.room;
      if (!kind.packed && room.free_slots < slots) return;  // the others have no more
      const bool owned = claim.owns(room), done = has_done(host->place.view.has_done, claim.work);
      if (!best.better(host, owned, done)) {
        if (!claim.dedicated) return;
        continue;
      }
      if (hurdle(claim, host->row, room) != Hurdle::none) continue;
      best.host = host;
      best.owned = owned;
      best.done = done;
      if (!claim.dedicated) return;
    }
  }

  LaneLine* grant(LaneState& lane, LaneLine& line, const Claim& claim, HostState& host) {
    plan_.grants.push_back({&lane, &host});
    hosts_.occupy(host, claim);
    auto& batch = *lane.batch;
    lanes_.touch(batch);
    if (batch.row.max_running > 0 && batch.running + ++batch.place.granted >= batch.row.max_running)
      lanes_.block(batch);
    auto& tenant = *lane.tenant;
    const int slots = claim.key->requirements.slots;
    lanes_.touch(tenant);
    ++tenant.place.running;
    tenant.place.slots += slots;
    tenant.place.slot_time += slots * expected_duration(lane, now_.duration_guess);
    if (tenant.row.max_running > 0 && tenant.running + tenant.place.running >= tenant.row.max_running)
      lanes_.fill(tenant);
    advance(lane);
    if (!line.starving) return &line;
    // It has been served, so it waits like others from now on.
    const bool alone =
        line.all.size() == 1 && lane.place.group->turn->all.size() == 1 && lane.place.group->assigned == 1;
    enqueue(lanes_.end_starving(lane, now_.monotonic));
    return alone ? nullptr : &line;
  }

  // Its next row takes its place.
  void advance(LaneState& lane) {
    lanes_.touch(lane);
    if (++lane.place.granted >= lane.ready) return lanes_.unlist(lane);
    if (lane.tenant->place.listed == 1) return;  // nothing to compare with
    const auto next = peek_(lane, std::size_t(lane.place.granted));
    next ? lanes_.move(lane, *next) : lanes_.unlist(lane);
  }

  bool hold(LaneState& lane, const LaneLine& line, const Claim& claim) {
    if (claim.dedicated ? lane.batch->place.holds : !line.starving) return false;
    auto* host = host_to_hold(claim, line);
    if (host == nullptr) return false;
    hosts_.hold(*host);
    if (claim.dedicated) {
      lane.batch->place.holds = true;
      lanes_.touch(*lane.batch);
    }
    plan_.held.push_back({&lane, host});
    return true;
  }

  HostState* host_to_hold(const Claim& claim, const LaneLine& line) const {
    HostState* best = nullptr;
    std::optional<Nearness> nearest;
    for (const auto* kind : line.needs->fits) {
      for (auto* host : kind->hosts) {
        const auto near = nearness(claim, line.starving, host->place.view, host->place.room);
        if (!near || (best != nullptr && (*near != *nearest ? *near < *nearest : !ById{}(host, best)))) continue;
        best = host;
        nearest = near;
      }
    }
    return best;
  }

  const State& state_;
  LaneBoard& lanes_;
  HostBoard& hosts_;
  const PassClock& now_;
  const PeekLane& peek_;
  const std::size_t max_;
  const std::int64_t number_;
  Plan plan_;
  std::vector<Candidate> queue_;  // a heap; a line may be there twice
};

}  // namespace

Plan run_pass(const State& state, Board& board, const PassClock& now, const PeekLane& peek, std::size_t max) {
  return Pass(state, board, now, peek, max).run();
}

}  // namespace geres::hub::engine
