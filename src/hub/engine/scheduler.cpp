// SPDX-License-Identifier: Apache-2.0
// One call is one pass over the lanes in the order of rules 1 to 3. A lane that finds no place is dropped for the rest
// of the pass: rooms only shrink while grants are made, so it would find none later either.
//
//   candidates    all lanes that could start something, by rank and tenant. Nothing is sorted: most calls serve a few
//   of
//                 many tenants
//   turns         heap of the tenants of one rank by virtual time; only the one just served moves. Its lanes become a
//   heap
//                 by head when its turn comes, because a head changes as its lane is served
//   hopeless      needs that found no place and nothing to hold; other lanes with these needs are not even tried
//   open          open hosts in the order of rule 9, kept sorted, so that the first that fits is its host, but for
//   equals
//                 that have done such work
#include "hub/engine/scheduler.h"

#include <algorithm>
#include <array>
#include <memory>
#include <memory_resource>
#include <unordered_set>

#include "hub/engine/placement.h"

namespace geres::hub::engine {
namespace {

struct Candidate {
  std::uint32_t lane = 0;
  std::int64_t batch = 0;     // its priority
  std::int64_t priority = 0;  // of the head
  store::Seq seq = 0;
  std::int64_t granted = 0;  // in this call
};

bool better_head(const Candidate& a, const Candidate& b) {
  if (a.batch != b.batch) return a.batch < b.batch;
  if (a.priority != b.priority) return a.priority < b.priority;
  if (a.seq != b.seq) return a.seq < b.seq;
  return a.lane < b.lane;
}

// A functor rather than a function, so that heaps inline it.
struct WorseHead {  // the standard heaps have their greatest on top
  bool operator()(const Candidate& a, const Candidate& b) const { return better_head(b, a); }
};

struct Served {  // a tenant while grants are made
  Standing standing;
  std::int64_t running = 0;
  std::int64_t slots = 0;
  SlotTime slot_time = 0;
};

struct Earlier {  // rule 9
  const PlaceRank* ranks;
  bool operator()(std::uint32_t a, std::uint32_t b) const { return ranks[a] != ranks[b] ? ranks[a] < ranks[b] : a < b; }
};

struct Turn {  // a tenant's lanes of one rank
  std::uint32_t tenant = 0;
  bool begun = false;                    // then `lanes` is a heap, the best on top
  std::span<const std::uint32_t> found;  // before that
  std::span<Candidate> lanes;
};

class Pass {
 public:
  Pass(std::span<const TenantView> tenants, std::span<const BatchView> batches, std::span<const LaneView> lanes,
       std::span<const HostView> hosts, const Peek& peek, std::size_t max)
      : tenants_(tenants), batches_(batches), lanes_(lanes), hosts_(hosts), peek_(peek), max_(max) {}

  Schedule run() {
    if (max_ == 0 || !find_open_hosts()) return {};
    find_standings();
    find_candidates();
    for (std::size_t begin = 0; begin < candidates_.size() && !finished();) {
      const std::size_t end = bring_best_rank_to(begin);
      group_by_tenant(std::span(candidates_).subspan(begin, end - begin));
      serve_rank();
      begin = end;
    }
    return std::move(schedule_);
  }

 private:
  bool finished() const { return open_.empty() || schedule_.grants.size() >= max_; }

  bool find_open_hosts() {
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      const HostView& host = hosts_[i];
      if (host.open && host.alive && host.well && host.free_slots > 0 && host.host->mode == model::HostMode::run)
        open_.push_back(std::uint32_t(i));
    }
    if (open_.empty()) return false;
    rooms_.reserve(hosts_.size());
    ranks_.reserve(hosts_.size());
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      rooms_.push_back(room_of(hosts_[i]));
      ranks_.push_back(host_rank(i));
      tenant_matters_ |= hosts_[i].host->tenants.has_value();
    }
    std::sort(open_.begin(), open_.end(), Earlier{ranks_.data()});
    return true;
  }

  void find_standings() {
    served_.reserve(tenants_.size());
    for (const TenantView& tenant : tenants_)
      served_.push_back({standing_of(tenant), tenant.running, tenant.slots, tenant.slot_time});
    batch_running_.reserve(batches_.size());
    for (const BatchView& batch : batches_) batch_running_.push_back(batch.running);
    batch_holds_.resize(batches_.size());
  }

  void find_candidates() {
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      const LaneView& lane = lanes_[i];
      if (lane.ready <= 0 || batches_[lane.batch].stopped || batch_full(lane.batch) || tenant_full(lane.tenant))
        continue;
      candidates_.push_back(std::uint32_t(i));
    }
  }

  std::int64_t rank(std::uint32_t lane) const { return batches_[lanes_[lane].batch].rank; }

  // Those of the best rank among the candidates from `begin` on come there; returns where they end. There are few
  // ranks.
  std::size_t bring_best_rank_to(std::size_t begin) {
    const auto from = candidates_.begin() + std::ptrdiff_t(begin);
    std::int64_t best = rank(*from);
    for (auto lane = from; lane != candidates_.end(); ++lane) best = std::min(best, rank(*lane));
    const auto end = std::partition(from, candidates_.end(), [&](std::uint32_t lane) { return rank(lane) == best; });
    return std::size_t(end - candidates_.begin());
  }

  // A turn for each tenant that has some of them. A counting sort: linear, where a comparing one would be most of a
  // call.
  void group_by_tenant(std::span<const std::uint32_t> lanes) {
    std::pmr::vector<std::uint32_t> ends(tenants_.size() + 1, 0, &memory_);
    for (const auto lane : lanes) ++ends[lanes_[lane].tenant + 1];
    for (std::size_t i = 1; i < ends.size(); ++i) ends[i] += ends[i - 1];
    grouped_.resize(lanes.size());
    for (const auto lane : lanes) grouped_[ends[lanes_[lane].tenant]++] = lane;
    turns_.clear();
    for (std::uint32_t i = 0, begin = 0; i < tenants_.size(); begin = ends[i++])
      if (ends[i] > begin) turns_.push_back({i, false, std::span(grouped_).subspan(begin, ends[i] - begin), {}});
  }

  // Most tenants never come to this.
  void begin(Turn& turn) {
    turn.begun = true;
    auto* first = std::pmr::polymorphic_allocator<Candidate>(&memory_).allocate(turn.found.size());
    turn.lanes = {first, turn.found.size()};
    for (const auto lane : turn.found) {
      const LaneView& view = lanes_[lane];
      std::construct_at(first++, Candidate{lane, batches_[view.batch].priority, view.head.priority, view.head.seq, 0});
    }
    std::make_heap(turn.lanes.begin(), turn.lanes.end(), WorseHead{});
  }

  void serve_rank() {
    auto later = [this](const Turn& a, const Turn& b) { return earlier(b.tenant, a.tenant); };
    std::make_heap(turns_.begin(), turns_.end(), later);
    while (!turns_.empty() && !finished()) {
      std::pop_heap(turns_.begin(), turns_.end(), later);
      if (serve(turns_.back()))
        std::push_heap(turns_.begin(), turns_.end(), later);
      else
        turns_.pop_back();
    }
  }

  bool earlier(std::uint32_t a, std::uint32_t b) const {
    const Standing &x = served_[a].standing, &y = served_[b].standing;
    if (x != y) return x < y;
    if (int order = tenants_[a].name.compare(tenants_[b].name); order != 0) return order < 0;
    return a < b;
  }

  // One grant to the tenant's best lane that finds a place; false: it has none left.
  bool serve(Turn& turn) {
    if (!turn.begun) begin(turn);
    while (!turn.lanes.empty() && !open_.empty() && !tenant_full(turn.tenant)) {
      Candidate& best = turn.lanes.front();
      if (!batch_full(lanes_[best.lane].batch) && place(best)) {
        advance(turn);
        return true;
      }
      drop_best(turn);
    }
    return false;
  }

  bool place(Candidate& candidate) {
    const LaneView& lane = lanes_[candidate.lane];
    Claim claim = claim_of(lane);
    bool starving = lane.starving && candidate.granted == 0;
    Needs needs{lane.key, claim.dedicated, tenant_matters_, starving, lane.avoid};
    if (!hopeless_.empty() && hopeless_.contains(needs)) return false;
    if (auto found = find_place(claim)) {
      grant(candidate, lane, claim, *found);
      return true;
    }
    // Among few hosts looking again is cheaper than remembering.
    constexpr std::size_t kFewHosts = 16;
    if (!hold(candidate, lane, claim, starving) && hosts_.size() > kFewHosts) hopeless_.insert(needs);
    return false;
  }

  Claim claim_of(const LaneView& lane) const {
    return {lane.key, batches_[lane.batch].dedicated ? std::optional(lane.batch) : std::nullopt, lane.avoid, lane.work};
  }

  // Position in open_ of the host that rule 9 names.
  std::optional<std::size_t> find_place(const Claim& claim) const {
    std::optional<std::size_t> best;
    bool best_owned = false, best_done = false;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      const Room& room = rooms_[open_[i]];
      const HostView& host = hosts_[open_[i]];
      const bool owned = claim.owns(room), done = has_done(host.has_done, claim.work);
      const bool equal = best && ranks_[open_[i]] == ranks_[open_[*best]];
      if (best && !(owned && !best_owned) && !(owned == best_owned && equal && done && !best_done)) {
        if (!claim.dedicated && !equal) break;
        continue;
      }
      if (hurdle(claim, *host.host, room) != Hurdle::none || bar(*claim.key, *host.host) != Bar::none) continue;
      best = i;
      best_owned = owned;
      best_done = done;
    }
    return best;
  }

  void grant(Candidate& candidate, const LaneView& lane, const Claim& claim, std::size_t position) {
    std::uint32_t host = open_[position];
    schedule_.grants.push_back({candidate.lane, host});
    ++candidate.granted;
    occupy(claim, rooms_[host]);
    ++batch_running_[lane.batch];
    Served& served = served_[lane.tenant];
    const double weight = tenants_[lane.tenant].weight;
    const int slots = lane.key->requirements.slots;
    ++served.running;
    served.slots += slots;
    served.slot_time += slots * lane.expected;
    served.standing = {virtual_time(served.slot_time, weight), virtual_time(served.slots, weight)};
    settle(position);
  }

  // Moves a host that was granted to back to where it now belongs in open_.
  void settle(std::size_t position) {
    std::uint32_t host = open_[position];
    open_.erase(open_.begin() + std::ptrdiff_t(position));
    ranks_[host] = host_rank(host);
    if (rooms_[host].free_slots <= 0 || hosts_[host].on_trial) return;
    open_.insert(std::lower_bound(open_.begin(), open_.end(), host, Earlier{ranks_.data()}), host);
  }

  // false: there is nothing it may hold.
  bool hold(const Candidate& candidate, const LaneView& lane, const Claim& claim, bool starving) {
    if (claim.dedicated ? batch_holds_[lane.batch] != 0 : !starving) return false;
    auto host = host_to_hold(claim, starving, hosts_, rooms_);
    if (!host) return false;
    rooms_[*host].held = true;
    if (claim.dedicated) batch_holds_[lane.batch] = 1;
    schedule_.held.push_back({*host, candidate.lane});
    std::erase(open_, std::uint32_t(*host));
    return true;
  }

  // After a grant: the lane's next row takes its place among the tenant's lanes.
  void advance(Turn& turn) {
    Candidate& served = turn.lanes.front();
    if (served.granted >= lanes_[served.lane].ready) return drop_best(turn);
    if (turn.lanes.size() == 1) return;  // nothing to compare with
    auto next = peek_(served.lane, std::size_t(served.granted));
    if (!next) return drop_best(turn);
    std::pop_heap(turn.lanes.begin(), turn.lanes.end(), WorseHead{});
    Candidate& moved = turn.lanes.back();
    moved.priority = next->priority;
    moved.seq = next->seq;
    std::push_heap(turn.lanes.begin(), turn.lanes.end(), WorseHead{});
  }

  static void drop_best(Turn& turn) {
    std::pop_heap(turn.lanes.begin(), turn.lanes.end(), WorseHead{});
    turn.lanes = turn.lanes.first(turn.lanes.size() - 1);
  }

  bool batch_full(Index batch) const {
    return batches_[batch].max_running > 0 && batch_running_[batch] >= batches_[batch].max_running;
  }

  bool tenant_full(Index tenant) const {
    return tenants_[tenant].max_running > 0 && served_[tenant].running >= tenants_[tenant].max_running;
  }

  PlaceRank host_rank(std::size_t host) const {
    return place_rank(hosts_[host].packed, rooms_[host].free_slots, hosts_[host].host->slots);
  }

  std::span<const TenantView> tenants_;
  std::span<const BatchView> batches_;
  std::span<const LaneView> lanes_;
  std::span<const HostView> hosts_;
  const Peek& peek_;
  std::size_t max_;
  Schedule schedule_;

  // A small call lives on the stack altogether.
  std::array<std::byte, 4096> stack_;
  std::pmr::monotonic_buffer_resource memory_{stack_.data(), stack_.size()};
  std::pmr::vector<std::uint32_t> open_{&memory_};
  std::pmr::vector<PlaceRank> ranks_{&memory_};  // of each host
  bool tenant_matters_ = false;
  std::pmr::unordered_set<Needs, NeedsHash> hopeless_{&memory_};  // neither a place nor a hold for the rest of the call
  std::pmr::vector<Room> rooms_{&memory_};
  std::pmr::vector<Served> served_{&memory_};
  std::pmr::vector<std::int64_t> batch_running_{&memory_};
  std::pmr::vector<char> batch_holds_{&memory_};          // 0 or 1
  std::pmr::vector<std::uint32_t> candidates_{&memory_};  // lanes
  std::pmr::vector<std::uint32_t> grouped_{&memory_};     // those of the rank that is served, by tenant
  std::pmr::vector<Turn> turns_{&memory_};
};

}  // namespace

Standing standing_of(const TenantView& tenant) {
  return {virtual_time(tenant.slot_time, tenant.weight), virtual_time(tenant.slots, tenant.weight)};
}

Schedule schedule(std::span<const TenantView> tenants, std::span<const BatchView> batches,
                  std::span<const LaneView> lanes, std::span<const HostView> hosts, const Peek& peek, std::size_t max) {
  return Pass(tenants, batches, lanes, hosts, peek, max).run();
}

}  // namespace geres::hub::engine
