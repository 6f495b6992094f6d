// SPDX-License-Identifier: Apache-2.0
// Where newcomers begin, what a pass plans, and what is done with its plan.
#include "hub/engine/granting.h"

#include <algorithm>

#include "base/log.h"
#include "hub/engine/charging.h"
#include "hub/engine/host_trouble.h"
#include "hub/engine/placement.h"
#include "hub/engine/snapshot.h"
#include "hub/engine/with_jobs.h"

namespace geres::hub::engine {

namespace {

constexpr std::size_t kPeek = 64;
constexpr std::size_t kGrantsMax = 2'000;

}  // namespace

Views Granting::views() {
  Views views;
  const auto number = ++state_.views;
  const auto is_new = [number](ViewPlace& place, std::size_t next) {
    if (place.in == number) return false;
    place = {number, next};
    return true;
  };
  const auto tenant_index = [&](TenantState& tenant) {
    if (is_new(tenant.view, views.tenants.size())) {
      views.tenants.push_back({tenant.row.name, tenant.row.weight, tenant.row.max_running, tenant.running, tenant.slots,
                               tenant.account.charged(now_.monotonic)});
      views.tenant_states.push_back(&tenant);
    }
    return tenant.view.index;
  };
  const auto batch_index = [&](BatchState& batch) {
    if (is_new(batch.view, views.batches.size()))
      views.batches.push_back({batch.row.name, rank_of(batch.row), batch.row.priority, batch.row.dedicated,
                               batch.row.max_running, batch.running,
                               batch.row.paused || batch.row.state == model::BatchState::cancelled});
    return batch.view.index;
  };
  views.lanes.reserve(state_.waiting.size());
  views.lane_states = state_.waiting;
  find_heads(state_.waiting);
  for (auto* waiting : state_.waiting) {
    auto& lane = *waiting;
    LaneView view;
    view.key = &lane.row.key;
    view.tenant = tenant_index(*lane.tenant);
    view.batch = batch_index(*lane.batch);
    view.ready = lane.ready;
    view.expected = expected_duration(lane, options_.duration_guess);
    if (lane.head) view.head = *lane.head;
    if (!lane.row.key.avoid.empty() && another_fits(state_, lane, lane.row.key.avoid, now_.monotonic))
      view.avoid = &lane.row.key.avoid;
    view.starving = starves(lane, now_.monotonic);
    view.work = lane.work;
    view.expected_p90 = expected_p90(lane, options_.duration_guess);
    view.ends = lane.row.duration.ends;
    views.lanes.push_back(view);
  }
  for (auto& [id, host] : state_.hosts) {
    views.hosts.push_back(view_of(host, state_, desk_, now_.monotonic, batch_index));
    views.host_states.push_back(&host);
  }
  return views;
}

// A tenant gets no credit for the time in which it wanted nothing, or could get nothing for reasons of its own: a
// pause, a limit, no host for it. When that ends it stands where those stand that are being served. This is an edge:
// one that has waited all the time keeps its place, however long nothing of it runs.
void Granting::let_in(const std::vector<TenantState*>& newcomers) {
  if (newcomers.empty()) return;
  for (auto* tenant : newcomers) tenant->place.new_here = true;
  measure_spans();
  for (auto* tenant : newcomers) {
    tenant->place.new_here = false;
    double start = 0;
    if (const auto last = state_.last_served.find(tenant->place.rank); last != state_.last_served.end())
      start = stands(*last->second);
    if (const auto span = state_.spans.find(tenant->place.rank); span != state_.spans.end())
      start = std::clamp(start, span->second.least, span->second.most);
    const auto spent = std::max(tenant->account.spent(now_.monotonic), slot_time(start, tenant->row.weight));
    tenant->account.set_spent(spent, now_.monotonic);
  }
}

double Granting::stands(const TenantState& tenant) const {
  return virtual_time(tenant.account.spent(now_.monotonic), tenant.row.weight);
}

// What those have spent who contend already. Among very many that is looked at now and then: what they spend meanwhile
// is little beside what lies between them.
void Granting::measure_spans() {
  constexpr std::size_t kMany = 256;
  constexpr Millis kMeanwhile = 50;
  const auto& contenders = state_.board.lanes().contenders();
  if (contenders.size() > kMany && state_.spans_at > 0 && now_.monotonic - state_.spans_at < kMeanwhile) return;
  state_.spans_at = now_.monotonic;
  state_.spans.clear();
  for (const auto* tenant : contenders) {
    if (tenant->place.new_here) continue;
    const double spent = stands(*tenant);
    auto& span = state_.spans.try_emplace(tenant->place.rank, State::Span{spent, spent}).first->second;
    span = {std::min(span.least, spent), std::max(span.most, spent)};
  }
}

// Who was served tells where newcomers begin; a host that is held for a dedicated batch is paid for.
void Granting::note_service(const Plan& plan) {
  std::map<std::int64_t, std::pair<double, TenantState*>> served;
  for (const auto& grant : plan.grants) {
    auto* tenant = grant.lane->tenant;
    const std::pair spent{stands(*tenant), tenant};
    auto& least = served.try_emplace(rank_of(grant.lane->batch->row), spent).first->second;
    if (spent.first < least.first) least = spent;
  }
  for (const auto& [rank, least] : served) state_.last_served[rank] = least.second;
  std::vector<std::pair<HostState*, TenantState*>> kept;
  for (const auto& held : plan.held)
    if (held.lane->batch->row.dedicated) kept.emplace_back(held.host, held.lane->tenant);
  keep_free(state_, kept, now_.monotonic);
}

void Granting::grant() {
  for (const auto id : std::exchange(desk_.changed, {}))
    if (const auto host = state_.hosts.find(id); host != state_.hosts.end()) state_.board.touch(host->second);
  const bool offers = desk_.offers > 0;
  if (!offers) keep_free(state_, {}, now_.monotonic);
  if (!offers && !round_.newcomers && !state_.fleet_changed) return;
  state_.fleet_changed = false;
  charge_overruns(state_, now_.monotonic);
  state_.board.hosts().catch_up(state_, desk_, now_.monotonic);
  let_in(state_.board.lanes().catch_up(state_, now_.monotonic, [&](const auto& lanes) { find_heads(lanes); }));
  if (!offers) return;
  if (state_.board.hosts().open() == 0) return keep_free(state_, {}, now_.monotonic);

  std::unordered_map<LaneState*, std::vector<store::ReadyRow>> peeked;
  const PeekLane peek = [&](LaneState& lane, std::size_t i) -> std::optional<store::ReadyRow> {
    auto& rows = peeked[&lane];
    if (i >= rows.size()) {
      if (!rows.empty() && std::int64_t(rows.size()) >= lane.ready) return std::nullopt;
      rows = store_.read().peek_ready(lane.row.no, std::max(kPeek, i * 2 + 1));
    }
    return i < rows.size() ? std::optional(rows[i]) : std::nullopt;
  };
  const auto plan = run_pass(state_, state_.board, {now_.monotonic, options_.duration_guess}, peek, kGrantsMax);
  if (options_.check_passes) check(plan, peek);
  note_service(plan);
  state_.board.lanes().note_pass(now_.monotonic);
  carry_out(plan);
}

void Granting::find_heads(const std::vector<LaneState*>& lanes) {
  std::vector<LaneState*> headless;
  std::vector<store::LaneNo> asked;
  for (auto* lane : lanes) {
    if (lane->head || lane->ready == 0) continue;
    headless.push_back(lane);
    asked.push_back(lane->row.no);
  }
  if (asked.empty()) return;
  const auto heads = store_.read().heads(asked);
  for (std::size_t i = 0; i < asked.size(); ++i) headless[i]->head = heads[i];
}

void Granting::carry_out(const Plan& plan) {
  std::unordered_map<LaneState*, std::size_t> place;  // in `lanes` and `wanted`
  std::vector<LaneState*> lanes;
  std::vector<store::LaneTake> wanted;
  for (const auto& [lane, host] : plan.grants) {
    const auto [at, added] = place.try_emplace(lane, lanes.size());
    if (added) {
      lanes.push_back(lane);
      wanted.push_back({lane->row.no, 0});
    }
    ++wanted[at->second].n;
  }
  const auto taken = wanted.empty() ? std::vector<store::Taken>() : store_.take_ready(wanted);
  std::vector<store::Seq> seqs;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    auto& lane = *lanes[i];
    const auto n = wanted[i].n;
    const auto& rows = taken[i].rows;
    state_.set_ready(lane, rows.size() == n ? lane.ready - std::int64_t(n) : 0);
    if (rows.size() != n) log::error("lane {} counts jobs that are not there: its counter is put right", lane.row.no);
    lane.head = taken[i].next;
    lane.passed_over_since = 0;
    lanes_.note_use(lane);
    for (const auto& row : rows) seqs.push_back(row.seq);
  }
  std::unordered_map<store::Seq, model::Job> jobs;
  for (auto& job : store_.read().jobs_by_seq(seqs)) {
    const auto seq = job.id.seq();
    jobs.emplace(seq, std::move(job));
  }
  std::vector<std::size_t> next(lanes.size());
  for (const auto& [lane, host] : plan.grants) {
    const auto at = place.at(lane);
    const auto& rows = taken[at].rows;
    const auto k = next[at]++;
    if (k >= rows.size()) continue;
    const auto job = jobs.find(rows[k].seq);
    if (job == jobs.end() || model::ended(job->second.status.state) || state_.leases.contains(rows[k].seq)) {
      log::error("a row of lane {} is of no job that waits: taken out of there", lane->row.no);
      continue;
    }
    fetches_.reply_to(*host).answer.leases.push_back(attempts_.grant(std::move(job->second), *lane, *host));
  }
}

// The plain reading of the same rules must come to the same plan.
void Granting::check(const Plan& plan, const PeekLane& peek) {
  auto views = this->views();
  const auto plain = schedule(
      views.tenants, views.batches, views.lanes, views.hosts,
      [&](Index lane, std::size_t i) { return peek(*views.lane_states[lane], i); }, kGrantsMax);
  const auto same = [&](const auto& made, const auto& wanted) {
    return std::equal(made.begin(), made.end(), wanted.begin(), wanted.end(), [&](const auto& a, const auto& b) {
      return a.lane == views.lane_states[b.lane] && a.host == views.host_states[b.host];
    });
  };
  if (same(plan.grants, plain.grants) && same(plan.held, plain.held)) return;
  ++stats_.passes_wrong;
  log::error("a pass grants {} and holds {}: by the plain reading it is {} and {}, or others", plan.grants.size(),
             plan.held.size(), plain.grants.size(), plain.held.size());
}

// ---- for readers ----------------------------------------------------------------------------------------------------

SnapshotPtr Granting::snapshot() {
  auto views = this->views();
  auto made = std::make_shared<Snapshot>();
  for (Index i = 0; i < views.lanes.size(); ++i) {
    auto& lane = *views.lane_states[i];
    if (!lane.shown) lane.shown = std::make_shared<const store::LaneKey>(lane.row.key);
    views.lanes[i].key = lane.shown.get();
    if (views.lanes[i].avoid != nullptr) views.lanes[i].avoid = &lane.shown->avoid;
    made->lanes.push_back({lane.row.no, lane.shown, lane.one_priority.has_value()});
  }
  for (Index i = 0; i < views.hosts.size(); ++i) {
    auto& host = *views.host_states[i];
    if (!host.shown)
      host.shown = std::make_shared<const HostInfo>(host_info(state_, host, now_, options_.duration_guess));
    views.hosts[i].host = &host.shown->host;
    made->hosts.push_back({host.shown, host.last_seen_wall});
  }
  made->engine_clock = now_.engine;
  for (const auto& [name, pool] : state_.pools)
    made->arrivals[name] = {pool.arrivals.per_second(6, now_.monotonic),
                            pool.arrivals.per_second(Arrivals::kPieces, now_.monotonic)};
  made->tenants = std::move(views.tenants);
  made->batches = std::move(views.batches);
  made->lane_views = std::move(views.lanes);
  made->host_views = std::move(views.hosts);
  return made;
}

}  // namespace geres::hub::engine
