// SPDX-License-Identifier: Apache-2.0
// Who is shown to the scheduler, where newcomers begin, and what is done with its plan.
#include "hub/engine/granting.h"

#include <algorithm>

#include "base/log.h"
#include "hub/engine/charging.h"
#include "hub/engine/host_trouble.h"
#include "hub/engine/placement.h"
#include "hub/engine/snapshot.h"

namespace geres::hub::engine {

namespace {

constexpr Millis kStarvingAfter = 5'000;
constexpr std::size_t kPeek = 64;
constexpr std::size_t kGrantsMax = 2'000;
constexpr std::int64_t kTenantsRank = 500;  // among operators' batches: all that tenants make themselves

bool at_limit(const auto& view) {
  return view.max_running > 0 && view.running >= view.max_running;
}

}  // namespace

bool Granting::has_unstarted(const HostState& host) const {
  return std::any_of(host.leases.begin(), host.leases.end(),
                     [&](auto seq) { return !state_.leases.at(seq).row.started_at; });
}

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
      views.batches.push_back({batch.row.name, batch.row.over_tenants ? batch.row.priority : kTenantsRank,
                               batch.row.priority, batch.row.dedicated, batch.row.max_running, batch.running,
                               batch.row.paused || batch.row.state == model::BatchState::cancelled});
    return batch.view.index;
  };
  views.lanes.reserve(state_.waiting.size());
  views.lane_states = state_.waiting;
  for (auto* waiting : state_.waiting) {
    auto& lane = *waiting;
    if (!lane.head) lane.head = store_.read().head(lane.row.no);
    LaneView view;
    view.key = &lane.row.key;
    view.tenant = tenant_index(*lane.tenant);
    view.batch = batch_index(*lane.batch);
    view.ready = lane.ready;
    view.expected = expected_duration(lane, options_.duration_guess);
    if (lane.head) view.head = *lane.head;
    if (!lane.row.key.avoid.empty() && another_fits(state_, lane, lane.row.key.avoid, now_.monotonic))
      view.avoid = &lane.row.key.avoid;
    view.starving = lane.passed_over_since != 0 && now_.monotonic - lane.passed_over_since >= kStarvingAfter;
    views.lanes.push_back(view);
  }
  for (auto& [id, host] : state_.hosts) {
    HostView view;
    view.host = &host.row;
    view.alive = !host.lost;
    const auto fetch = desk_.fetches.find(id);
    view.open = fetch != desk_.fetches.end() && fetch->second.call.fetch_id == host.fetch_id &&
                fetch->second.call.slots > 0 && host.row.mode == model::HostMode::run && !host.lost &&
                !host.let_a_lease_run_out && !host.fetch_heard;
    // One that has just rested is tried with one job, and with the next when that has started.
    view.well = host.health.grants(now_.monotonic);
    view.on_trial = host.health.on_trial(now_.monotonic);
    if (view.on_trial && has_unstarted(host)) view.well = false;
    view.free_slots = host.row.slots - host.slots_used;
    if (view.open) view.free_slots = std::min(view.free_slots, fetch->second.call.slots);
    view.free_memory = host.row.memory - host.memory_used;
    view.running = std::int64_t(host.leases.size());
    for (const auto seq : host.leases) {
      auto& batch = *state_.leases.at(seq).lane->batch;
      if (batch.row.dedicated && !view.dedicated_to)
        view.dedicated_to = batch_index(batch);
      else if (!view.dedicated_to || batch.view.in != number || batch.view.index != *view.dedicated_to)
        view.has_other_batches = true;
      if (!batch.row.dedicated) view.has_other_batches = true;
    }
    views.hosts.push_back(view);
    views.host_states.push_back(&host);
  }
  return views;
}

// Whether any host that is there could run it.
bool Granting::has_host(LaneState& lane) {
  if (lane.fleet_seen == state_.fleet) return lane.has_host;
  lane.fleet_seen = state_.fleet;
  lane.has_host = std::any_of(state_.hosts.begin(), state_.hosts.end(), [&](const auto& entry) {
    return !entry.second.lost && bar(lane.row.key, entry.second.row) == Bar::none;
  });
  return lane.has_host;
}

// A tenant gets no credit for the time in which it wanted nothing, or could get nothing for reasons of its own: a
// pause, a limit, no host for it. When that ends it stands where those stand that are being served. This is an edge:
// one that has waited all the time keeps its place, however long nothing of it runs.
void Granting::let_in(Views& views) {
  ++state_.pass;
  state_.fleet_of_pass = state_.fleet;
  std::vector<std::optional<std::int64_t>> ranks(views.tenants.size());  // of those that contend: their best
  for (std::size_t i = 0; i < views.lanes.size(); ++i) {
    const auto& lane = views.lanes[i];
    const auto& batch = views.batches[lane.batch];
    const auto& tenant = views.tenants[lane.tenant];
    if (lane.ready == 0 || batch.stopped || at_limit(batch) || at_limit(tenant) || !has_host(*views.lane_states[i]))
      continue;
    auto& rank = ranks[lane.tenant];
    rank = std::min(rank.value_or(batch.rank), batch.rank);
  }
  std::map<std::int64_t, std::pair<double, double>> standing;  // by rank: the least and the most that one has spent
  std::vector<Index> newcomers;
  for (Index i = 0; i < ranks.size(); ++i) {
    if (!ranks[i]) continue;
    auto& tenant = *views.tenant_states[i];
    if (std::exchange(tenant.contended_in, state_.pass) != state_.pass - 1) {
      newcomers.push_back(i);
      continue;
    }
    const double spent = virtual_time(tenant.account.spent(now_.monotonic), tenant.row.weight);
    auto& range = standing.try_emplace(*ranks[i], spent, spent).first->second;
    range = {std::min(range.first, spent), std::max(range.second, spent)};
  }
  for (const auto i : newcomers) {
    auto& tenant = *views.tenant_states[i];
    double start = 0;
    if (const auto last = state_.last_served.find(*ranks[i]); last != state_.last_served.end())
      start = virtual_time(last->second->account.spent(now_.monotonic), last->second->row.weight);
    if (const auto range = standing.find(*ranks[i]); range != standing.end())
      start = std::clamp(start, range->second.first, range->second.second);
    const auto spent = std::max(tenant.account.spent(now_.monotonic), slot_time(start, tenant.row.weight));
    tenant.account.set_spent(spent, now_.monotonic);
    views.tenants[i].slot_time = tenant.account.charged(now_.monotonic);
  }
}

// Who was served tells where newcomers begin; a host that is held for a dedicated batch is paid for.
void Granting::note_service(const Views& views, const Schedule& plan) {
  std::map<std::int64_t, std::pair<double, TenantState*>> served;
  for (const auto& grant : plan.grants) {
    const auto& lane = views.lanes[grant.lane];
    auto* tenant = views.tenant_states[lane.tenant];
    const std::pair spent{virtual_time(tenant->account.spent(now_.monotonic), tenant->row.weight), tenant};
    auto& least = served.try_emplace(views.batches[lane.batch].rank, spent).first->second;
    if (spent.first < least.first) least = spent;
  }
  for (const auto& [rank, least] : served) state_.last_served[rank] = least.second;
  std::vector<std::pair<HostState*, TenantState*>> kept;
  for (const auto& held : plan.held)
    if (const auto& lane = views.lanes[held.lane]; views.batches[lane.batch].dedicated)
      kept.emplace_back(views.host_states[held.host], views.tenant_states[lane.tenant]);
  keep_free(state_, kept, now_.monotonic);
}

void Granting::grant() {
  const bool offers = std::any_of(desk_.fetches.begin(), desk_.fetches.end(),
                                  [](const auto& entry) { return entry.second.call.slots > 0; });
  if (!offers) keep_free(state_, {}, now_.monotonic);
  if (!offers && !round_.newcomers && state_.fleet == state_.fleet_of_pass) return;
  charge_overruns(state_, now_.monotonic);
  auto views = this->views();
  let_in(views);
  if (!offers) return;
  if (views.lanes.empty() || std::none_of(views.hosts.begin(), views.hosts.end(), [](const auto& h) { return h.open; }))
    return keep_free(state_, {}, now_.monotonic);

  std::unordered_map<Index, std::vector<store::ReadyRow>> peeked;
  const Peek peek = [&](Index lane, std::size_t i) -> std::optional<store::ReadyRow> {
    auto& rows = peeked[lane];
    if (i >= rows.size()) {
      if (!rows.empty() && std::int64_t(rows.size()) >= views.lanes[lane].ready) return std::nullopt;
      rows = store_.read().peek_ready(views.lane_states[lane]->row.no, std::max(kPeek, i * 2 + 1));
    }
    return i < rows.size() ? std::optional(rows[i]) : std::nullopt;
  };
  const auto plan = schedule(views.tenants, views.batches, views.lanes, views.hosts, peek, kGrantsMax);
  note_service(views, plan);

  std::map<Index, std::size_t> wanted;
  for (const auto& grant : plan.grants) ++wanted[grant.lane];
  std::unordered_map<Index, std::vector<store::Seq>> taken;
  std::vector<store::Seq> seqs;
  for (const auto& [index, n] : wanted) {
    auto& lane = *views.lane_states[index];
    auto rows = store_.take_ready(lane.row.no, n);
    state_.set_ready(lane, rows.rows.size() == n ? lane.ready - std::int64_t(n) : 0);
    if (rows.rows.size() != n)
      log::error("lane {} counts jobs that are not there: its counter is put right", lane.row.no);
    lane.head = rows.next;
    lanes_.note_use(lane);
    for (const auto& row : rows.rows) {
      taken[index].push_back(row.seq);
      seqs.push_back(row.seq);
    }
  }
  for (auto* lane : views.lane_states)
    if (lane->passed_over_since == 0) lane->passed_over_since = now_.monotonic;
  for (const auto& [index, n] : wanted) views.lane_states[index]->passed_over_since = 0;

  std::unordered_map<store::Seq, model::Job> jobs;
  for (auto& job : store_.read().jobs_by_seq(seqs)) {
    const auto seq = job.id.seq();
    jobs.emplace(seq, std::move(job));
  }
  std::map<Index, std::size_t> next;
  for (const auto& grant : plan.grants) {
    const auto& rows = taken[grant.lane];
    const auto k = next[grant.lane]++;
    if (k >= rows.size()) continue;
    const auto job = jobs.find(rows[k]);
    if (job == jobs.end() || model::ended(job->second.status.state) || state_.leases.contains(rows[k])) {
      log::error("a row of lane {} is of no job that waits: taken out of there", views.lane_states[grant.lane]->row.no);
      continue;
    }
    auto& host = *views.host_states[grant.host];
    fetches_.reply_to(host).answer.leases.push_back(
        attempts_.grant(std::move(job->second), *views.lane_states[grant.lane], host));
  }
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
    made->lanes.push_back({lane.row.no, lane.shown});
  }
  for (Index i = 0; i < views.hosts.size(); ++i) {
    auto& host = *views.host_states[i];
    if (!host.shown) host.shown = std::make_shared<const HostInfo>(host_info(state_, host, now_));
    views.hosts[i].host = &host.shown->host;
    made->hosts.push_back({host.shown, host.last_seen_wall});
  }
  made->tenants = std::move(views.tenants);
  made->batches = std::move(views.batches);
  made->lane_views = std::move(views.lanes);
  made->host_views = std::move(views.hosts);
  return made;
}

}  // namespace geres::hub::engine
