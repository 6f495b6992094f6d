// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/board_lanes.h"

#include <algorithm>
#include <utility>

#include "hub/engine/state.h"

namespace geres::hub::engine {

namespace {

constexpr Millis kStarvingAfter = 5'000;
constexpr std::int64_t kTenantsRank = 500;  // among operators' batches: all that tenants make themselves

// In a list without an order each member knows its place: there are lists of as many lanes as there are, and one that
// was searched by each of its members in turn would stop the engine for seconds.
template <class Member>
using PlaceOf = std::optional<std::size_t> Member::*;

template <class Member>
void enter(std::vector<Member*>& list, Member& member, PlaceOf<Member> place) {
  member.*place = list.size();
  list.push_back(&member);
}

template <class Member>
void leave(std::vector<Member*>& list, Member& member, PlaceOf<Member> place) {
  const std::size_t at = *(member.*place);
  list[at] = list.back();
  list[at]->*place = at;
  list.pop_back();
  (member.*place).reset();
}

bool at_limit(int limit, std::int64_t running) {
  return limit > 0 && running >= limit;
}

}  // namespace

std::int64_t rank_of(const model::Batch& batch) {
  return batch.over_tenants ? batch.priority : kTenantsRank;
}

bool starves(const LaneState& lane, Millis now) {
  return lane.passed_over_since != 0 && now - lane.passed_over_since >= kStarvingAfter;
}

Standing standing_of(const TenantState& tenant, Millis now) {
  const auto& place = tenant.place;
  return {virtual_time(tenant.account.charged(now) + place.slot_time, tenant.row.weight),
          virtual_time(tenant.slots + place.slots, tenant.row.weight)};
}

bool EarlierLane::operator()(const LaneState* a, const LaneState* b) const {
  return a->place.head < b->place.head;
}

bool EarlierGroup::operator()(const LaneGroup* a, const LaneGroup* b) const {
  const auto x = a->batch->row.priority, y = b->batch->row.priority;
  return x != y ? x < y : a->first < b->first;
}

bool EarlierTurn::operator()(const LaneTurn* a, const LaneTurn* b) const {
  return a->standing != b->standing ? a->standing < b->standing : a->tenant->row.name < b->tenant->row.name;
}

// No two batches that are there have the same.
Index LaneBoard::number(const BatchState& batch) {
  return reinterpret_cast<Index>(&batch);
}

// ---- touched --------------------------------------------------------------------------------------------------------

void LaneBoard::touch(LaneState& lane) {
  if (!std::exchange(lane.place.touched, true)) touched_lanes_.push_back(&lane);
}

void LaneBoard::touch(TenantState& tenant) {
  if (!std::exchange(tenant.place.touched, true)) touched_tenants_.push_back(&tenant);
}

void LaneBoard::touch(BatchState& batch) {
  if (!std::exchange(batch.place.touched, true)) touched_batches_.push_back(&batch);
}

void LaneBoard::forget(LaneState& lane) {
  if (lane.place.touched) std::erase(touched_lanes_, &lane);
  if (lane.place.fresh) std::erase(fresh_, &lane);
  unassign(lane);
}

void LaneBoard::forget(BatchState& batch) {
  if (batch.place.touched) std::erase(touched_batches_, &batch);
}

std::vector<TenantState*> LaneBoard::catch_up(State& state, Millis now, const FindHeads& find_heads) {
  for (const auto& name : std::exchange(newly_named_, {})) {
    const auto tenant = state.tenants.find(name);
    if (tenant == state.tenants.end()) continue;
    for (auto* turn : tenant->second.place.turns)
      for (auto& [batch, group] : turn->all)
        for (auto* lane : group.lanes) touch(*lane);
  }
  for (; !waiting_.empty() && now - waiting_.front().first >= kStarvingAfter; waiting_.pop_front())
    if (const auto lane = state.lanes_by_no.find(waiting_.front().second);
        lane != state.lanes_by_no.end() && lane->second->passed_over_since == waiting_.front().first)
      touch(*lane->second);
  for (auto* batch : std::exchange(touched_batches_, {})) refresh(*batch);
  for (auto* tenant : std::exchange(touched_tenants_, {})) refresh(*tenant, now);
  find_heads(touched_lanes_);
  for (auto* lane : std::exchange(touched_lanes_, {})) refresh(*lane, now);
  std::vector<TenantState*> newcomers;
  for (auto* tenant : std::exchange(unsure_, {})) {
    auto& place = tenant->place;
    place.unsure = false;
    const bool listed = place.contender < contenders_.size() && contenders_[place.contender] == tenant;
    const bool contends = !place.able.empty();
    place.rank = contends ? place.able.begin()->first : 0;
    if (contends && !place.contended) newcomers.push_back(tenant);
    place.contended = contends;
    if (contends && !listed) {
      place.contender = contenders_.size();
      contenders_.push_back(tenant);
    } else if (!contends && listed) {
      contenders_[place.contender] = contenders_.back();
      contenders_[place.contender]->place.contender = place.contender;
      contenders_.pop_back();
    }
  }
  return newcomers;
}

void LaneBoard::refresh(BatchState& batch) {
  auto& place = batch.place;
  place.touched = place.holds = false;
  place.granted = 0;
  const bool blocked = batch.row.paused || batch.row.state == model::BatchState::cancelled ||
                       at_limit(batch.row.max_running, batch.running);
  if (std::exchange(place.blocked, blocked) == blocked) return;
  for (auto* group : place.groups) this->place(*group);
}

void LaneBoard::refresh(TenantState& tenant, Millis now) {
  auto& place = tenant.place;
  place.touched = false;
  place.running = place.slots = place.slot_time = 0;
  const bool full = at_limit(tenant.row.max_running, tenant.running);
  if (std::exchange(place.full, full) != full)
    for (auto* turn : place.turns) this->place(*turn);
  // A turn that stands too early is put right when it comes first; one that stands too late would be passed over.
  const auto standing = standing_of(tenant, now);
  if (!(standing < place.latest)) return;
  for (auto* turn : place.turns)
    if (standing < turn->standing) restand(*turn, standing);
  place.latest = standing;
}

void LaneBoard::refresh(LaneState& lane, Millis now) {
  auto& place = lane.place;
  place.touched = false;
  place.granted = 0;
  if (lane.ready == 0) return unlist(lane);
  const bool starving = starves(lane, now);
  const bool named = named_.contains(lane.tenant->row.name);
  if (place.group == nullptr || place.group->turn->line->starving != starving ||
      place.group->turn->line->needs->needs.tenant_matters != named) {
    unassign(lane);
    assign(lane, starving, now);
  }
  const auto head = lane.head.value_or(store::ReadyRow{});
  list(lane, {head.priority, head.seq, lane.row.no});
  if (lane.passed_over_since == 0 && !std::exchange(place.fresh, true)) fresh_.push_back(&lane);
}

// ---- where a lane belongs -------------------------------------------------------------------------------------------

LaneNeeds& LaneBoard::needs_of(const LaneState& lane) {
  auto key = lane.row.key;
  const bool named = named_.contains(key.tenant);
  if (!named) key.tenant.clear();
  const auto dedicated = lane.batch->row.dedicated ? std::optional(number(*lane.batch)) : std::nullopt;
  const auto avoid = key.avoid.empty() ? nullptr : &lane.row.key.avoid;
  if (const auto found = needs_.find({&lane.row.key, dedicated, named, false, avoid}); found != needs_.end())
    return *found->second;
  auto made = std::make_unique<LaneNeeds>();
  made->key = std::move(key);
  made->needs = {&made->key, dedicated, named, false, avoid != nullptr ? &made->key.avoid : nullptr};
  for (auto* kind : kinds_) {
    if (bar(made->key, kind->like) != Bar::none) continue;
    made->fits.push_back(kind);
    made->alive += kind->alive > 0;
  }
  auto& needs = *made;
  needs_.emplace(needs.needs, std::move(made));
  return needs;
}

void LaneBoard::assign(LaneState& lane, bool starving, Millis now) {
  auto& needs = needs_of(lane);
  const auto rank = rank_of(lane.batch->row);
  auto& line = needs.lines[{rank, starving}];
  line.needs = &needs;
  line.rank = rank;
  line.starving = starving;
  auto& turn = line.all[lane.tenant];
  if (turn.tenant == nullptr) {
    turn.line = &line;
    turn.tenant = lane.tenant;
    turn.standing = standing_of(*lane.tenant, now);
    auto& latest = lane.tenant->place.latest;
    if (latest < turn.standing) latest = turn.standing;
    enter(lane.tenant->place.turns, turn, &LaneTurn::of_tenant);
  }
  auto& group = turn.all[lane.batch];
  if (group.batch == nullptr) {
    group.turn = &turn;
    group.batch = lane.batch;
    enter(lane.batch->place.groups, group, &LaneGroup::of_batch);
  }
  ++group.assigned;
  lane.place.group = &group;
}

void LaneBoard::unassign(LaneState& lane) {
  if (lane.place.group == nullptr) return;
  unlist(lane);
  auto& group = *std::exchange(lane.place.group, nullptr);
  if (--group.assigned > 0) return;
  auto& turn = *group.turn;
  leave(group.batch->place.groups, group, &LaneGroup::of_batch);
  turn.all.erase(group.batch);
  if (!turn.all.empty()) return;
  auto& line = *turn.line;
  leave(turn.tenant->place.turns, turn, &LaneTurn::of_tenant);
  line.all.erase(turn.tenant);
  if (!line.all.empty()) return;
  auto& needs = *line.needs;
  if (line.parked) leave(parked_, line, &LaneLine::parked);
  needs.lines.erase({line.rank, line.starving});
  if (needs.lines.empty()) needs_.erase(Needs(needs.needs));
}

// ---- in its order, or out of it -------------------------------------------------------------------------------------

void LaneBoard::list(LaneState& lane, const LaneHead& head) {
  auto& place = lane.place;
  if (place.listed && place.head == head) return;
  if (place.listed)
    place.group->lanes.erase(&lane);
  else
    ++lane.tenant->place.listed;
  place.listed = true;
  place.head = head;
  place.group->lanes.insert(&lane);
  this->place(*place.group);
}

void LaneBoard::unlist(LaneState& lane) {
  auto& place = lane.place;
  if (!std::exchange(place.listed, false)) return;
  --lane.tenant->place.listed;
  place.group->lanes.erase(&lane);
  this->place(*place.group);
}

void LaneBoard::place(LaneGroup& group) {
  const bool list = !group.lanes.empty() && !group.batch->place.blocked;
  const auto first = list ? (*group.lanes.begin())->place.head : group.first;
  if (group.listed == list && group.first == first) return;
  auto& turn = *group.turn;
  if (group.listed) turn.groups.erase(&group);
  group.first = first;
  group.listed = list;
  if (list) turn.groups.insert(&group);
  place(turn);
}

void LaneBoard::place(LaneTurn& turn) {
  const bool list = !turn.groups.empty() && !turn.tenant->place.full;
  if (std::exchange(turn.listed, list) == list) return;
  if (list)
    turn.line->turns.insert(&turn);
  else
    turn.line->turns.erase(&turn);
  note_able(turn);
  place(*turn.line);
}

void LaneBoard::place(LaneLine& line) {
  const bool active = !line.turns.empty() && line.needs->alive > 0 && !line.parked;
  if (line.active.has_value() == active) return;
  auto& all = ranks_[line.rank];
  if (active)
    enter(all, line, &LaneLine::active);
  else
    leave(all, line, &LaneLine::active);
}

void LaneBoard::restand(LaneTurn& turn, const Standing& standing) {
  if (turn.standing == standing) return;
  if (turn.listed) turn.line->turns.erase(&turn);
  turn.standing = standing;
  if (turn.listed) turn.line->turns.insert(&turn);
  auto& latest = turn.tenant->place.latest;
  if (latest < standing) latest = standing;
}

// ---- who contends ---------------------------------------------------------------------------------------------------

void LaneBoard::note_able(LaneTurn& turn) {
  const bool able = turn.listed && turn.line->needs->alive > 0;
  if (std::exchange(turn.able, able) == able) return;
  auto& ranks = turn.tenant->place.able;
  const auto rank = ranks.try_emplace(turn.line->rank).first;
  if (able)
    ++rank->second;
  else if (--rank->second == 0)
    ranks.erase(rank);
  doubt(*turn.tenant);
}

void LaneBoard::doubt(TenantState& tenant) {
  if (!std::exchange(tenant.place.unsure, true)) unsure_.push_back(&tenant);
}

// ---- what hosts tell ------------------------------------------------------------------------------------------------

void LaneBoard::kind_added(HostKind& kind) {
  kinds_.push_back(&kind);
  for (auto& [needs, lanes] : needs_)
    if (bar(lanes->key, kind.like) == Bar::none) lanes->fits.push_back(&kind);
  if (!kind.like.tenants) return;
  for (const auto& tenant : *kind.like.tenants)
    if (named_.insert(tenant).second) newly_named_.push_back(tenant);
}

void LaneBoard::kind_removed(HostKind& kind) {
  std::erase(kinds_, &kind);
  for (auto& [needs, lanes] : needs_) std::erase(lanes->fits, &kind);
}

void LaneBoard::kind_has_hosts(HostKind& kind, bool has) {
  for (auto& [needs, lanes] : needs_) {
    if (std::find(lanes->fits.begin(), lanes->fits.end(), &kind) == lanes->fits.end()) continue;
    has ? ++lanes->alive : --lanes->alive;
    if (lanes->alive != std::size_t(has)) continue;
    for (auto& [where, line] : lanes->lines) {
      place(line);
      for (auto* turn : line.turns) note_able(*turn);
    }
  }
}

void LaneBoard::has_room(HostState& host) {
  const auto fits = [&](const LaneLine& line) {
    const auto& key = line.needs->key;
    return hurdle({&key, std::nullopt, nullptr}, host.row, host.place.room) == Hurdle::none &&
           bar(key, host.row) == Bar::none;
  };
  for (std::size_t at = 0; at < parked_.size();) {
    auto& line = *parked_[at];
    if (!fits(line)) {
      ++at;
      continue;
    }
    leave(parked_, line, &LaneLine::parked);
    place(line);
  }
}

// ---- in a pass ------------------------------------------------------------------------------------------------------

void LaneBoard::park(LaneLine& line) {
  enter(parked_, line, &LaneLine::parked);
  place(line);
}

void LaneBoard::block(BatchState& batch) {
  if (std::exchange(batch.place.blocked, true)) return;
  for (auto* group : batch.place.groups) place(*group);
}

void LaneBoard::fill(TenantState& tenant) {
  if (std::exchange(tenant.place.full, true)) return;
  for (auto* turn : tenant.place.turns) place(*turn);
}

void LaneBoard::move(LaneState& lane, const store::ReadyRow& head) {
  list(lane, {head.priority, head.seq, lane.row.no});
}

LaneLine& LaneBoard::end_starving(LaneState& lane, Millis now) {
  const bool listed = lane.place.listed;
  unassign(lane);
  assign(lane, false, now);
  if (listed) list(lane, lane.place.head);
  return *lane.place.group->turn->line;
}

void LaneBoard::note_pass(Millis now) {
  for (auto* lane : std::exchange(fresh_, {})) {
    lane->place.fresh = false;
    if (lane->ready == 0) continue;
    lane->passed_over_since = now;
    waiting_.emplace_back(now, lane->row.no);
  }
}

}  // namespace geres::hub::engine
