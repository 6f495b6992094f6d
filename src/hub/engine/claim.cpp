// SPDX-License-Identifier: Apache-2.0
// From open fetches to leases: show lanes and hosts to the scheduler, take the rows it chose, grant the leases.
#include <algorithm>

#include "base/log.h"
#include "hub/engine/charging.h"
#include "hub/engine/placement.h"
#include "hub/engine/tick.h"
#include "hub/engine/views.h"

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

bool Tick::has_unstarted(const HostState& host) const {
  return std::any_of(host.leases.begin(), host.leases.end(),
                     [&](auto seq) { return !state_.leases.at(seq).row.started_at; });
}

Tick::Views Tick::views(bool all_lanes) {
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
  views.lanes.reserve(state_.lanes.size());
  views.lane_states.reserve(state_.lanes.size());
  for (auto& [key, lane] : state_.lanes) {
    if (lane.ready == 0 && !all_lanes) continue;
    if (lane.ready > 0 && !lane.head) lane.head = store_.head(lane.row.no);
    LaneView view;
    view.key = &lane.row.key;
    view.tenant = tenant_index(*lane.tenant);
    view.batch = batch_index(*lane.batch);
    view.ready = lane.ready;
    view.expected = expected_duration(lane, options_.duration_guess);
    if (lane.head) view.head = *lane.head;
    if (!lane.row.key.avoid.empty() && another_fits(lane, lane.row.key.avoid)) view.avoid = &lane.row.key.avoid;
    view.starving = lane.passed_over_since != 0 && now_.monotonic - lane.passed_over_since >= kStarvingAfter;
    views.lanes.push_back(view);
    views.lane_states.push_back(&lane);
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
bool Tick::has_host(LaneState& lane) {
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
void Tick::let_in(Views& views) {
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
void Tick::note_service(const Views& views, const Schedule& plan) {
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

void Tick::lease_out(model::Job job, LaneState& lane, HostState& host, FetchAnswer& answer) {
  auto& status = job.status;
  ++status.attempt;
  status.host = host.row.name;
  status.started_at.reset();
  status.progress.reset();
  move(job, model::Trigger::grant);
  if (job.spec.queue_timeout > 0) changes_.deadlines_removed.push_back(job.id.seq());

  store::LeaseRow row;
  // Its first half names the job, so that a late report finds the attempt; the second half is the secret.
  row.name = {job.id.high, random_.next()};
  row.job = job.id;
  row.lane = lane.row.no;
  row.host = host.row.id;
  row.host_name = host.row.name;
  row.attempt = status.attempt;
  row.version = status.version;
  row.ttl = job.spec.lease > 0 ? std::clamp(job.spec.lease, options_.lease_min, options_.lease_max) : options_.lease;
  row.granted_at = now_.wall;
  row.fetch_id = host.fetch_id;
  changes_.leases.push_back(row);

  const auto& needs = lane.row.key.requirements;
  auto& lease = state_.leases[job.id.seq()];
  lease = {};
  lease.row = row;
  lease.job = job;
  lease.job.spec.parameters.clear();
  lease.job.spec.inputs.clear();
  lease.lane = &lane;
  lease.deadline = now_.lease + row.ttl;
  state_.deadlines.emplace(lease.deadline, row.name);
  host.leases.insert(job.id.seq());
  host.shown.reset();
  host.slots_used += needs.slots;
  host.memory_used += needs.memory;
  ++lane.leases;
  note_use(lane);
  ++lane.tenant->running;
  lane.tenant->slots += needs.slots;
  ++lane.batch->running;
  charge_lease(state_, lease, now_.monotonic, options_.duration_guess);
  if (lane.batch->row.dedicated || host.payer != nullptr) charge_idle_slots(state_, host, now_.monotonic);
  leases_added.push_back({row.name, {row.job, row.host, job.spec.tenant, row.attempt}});
  emit(store::EventType::job_leased, job, "\"host\":\"" + host.row.name + "\"");
  ++stats_.granted;
  answer.leases.push_back({std::move(row), std::move(job)});
}

// Takes the lease out of every counter and table; the entry itself goes with the caller.
void Tick::end_lease(LeaseState& lease) {
  const auto& needs = lease.lane->row.key.requirements;
  const auto seq = lease.row.job.seq();
  if (const auto host = state_.hosts.find(lease.row.host); host != state_.hosts.end()) {
    host->second.leases.erase(seq);
    host->second.shown.reset();
    host->second.cancels_told.erase(seq);
    host->second.slots_used -= needs.slots;
    host->second.memory_used -= needs.memory;
    if (host->second.payer != nullptr) charge_idle_slots(state_, host->second, now_.monotonic);
  }
  settle_charge(lease, now_.monotonic);
  newcomers_ |= lease.lane->tenant->contended_in != state_.pass;  // one that was at its limit
  --lease.lane->leases;
  note_use(*lease.lane);
  --lease.lane->tenant->running;
  lease.lane->tenant->slots -= needs.slots;
  --lease.lane->batch->running;
  if (lease.unwritten_progress) state_.progress_due.erase({lease.progress_written + options_.progress_pause, seq});
  changes_.leases_removed.push_back(lease.row.job);
  leases_gone.push_back(lease.row.name);
}

void Tick::grant() {
  const bool offers = std::any_of(desk_.fetches.begin(), desk_.fetches.end(),
                                  [](const auto& entry) { return entry.second.call.slots > 0; });
  if (!offers) keep_free(state_, {}, now_.monotonic);
  if (!offers && !newcomers_ && state_.fleet == state_.fleet_of_pass) return;
  flush();
  charge_overruns(state_, now_.monotonic);
  auto views = this->views(false);
  let_in(views);
  if (!offers) return;
  if (views.lanes.empty() || std::none_of(views.hosts.begin(), views.hosts.end(), [](const auto& h) { return h.open; }))
    return keep_free(state_, {}, now_.monotonic);

  std::unordered_map<Index, std::vector<store::ReadyRow>> peeked;
  const Peek peek = [&](Index lane, std::size_t i) -> std::optional<store::ReadyRow> {
    auto& rows = peeked[lane];
    if (i >= rows.size()) {
      if (!rows.empty() && std::int64_t(rows.size()) >= views.lanes[lane].ready) return std::nullopt;
      rows = store_.peek_ready(views.lane_states[lane]->row.no, std::max(kPeek, i * 2 + 1));
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
    wrote_ = true;
    lane.ready = rows.rows.size() == n ? lane.ready - std::int64_t(n) : 0;
    if (rows.rows.size() != n)
      log::error("lane {} counts jobs that are not there: its counter is put right", lane.row.no);
    lane.head = rows.next;
    note_use(lane);
    lane.passed_over_since = 0;
    for (const auto& row : rows.rows) {
      taken[index].push_back(row.seq);
      seqs.push_back(row.seq);
    }
  }
  for (std::size_t i = 0; i < views.lanes.size(); ++i)
    if (!wanted.contains(i) && views.lane_states[i]->passed_over_since == 0)
      views.lane_states[i]->passed_over_since = now_.monotonic;

  std::unordered_map<store::Seq, model::Job> jobs;
  for (auto& job : store_.jobs_by_seq(seqs)) {
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
    lease_out(std::move(job->second), *views.lane_states[grant.lane], host, reply_to(host).answer);
  }
  flush();
}

}  // namespace geres::hub::engine
