// SPDX-License-Identifier: Apache-2.0
#include "rehearsal/fleet.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "hub/engine/demand.h"

namespace geres::rehearsal {

using scaler::Life;
using scaler::Mode;
using scaler::Refusal;
using scaler::Told;
using scaler::Why;

namespace {

constexpr Millis kGuess = 60'000;      // a job of which nothing is known (as the hub has it)
constexpr std::size_t kLengths = 200;  // ends that a mean is of (likewise)
constexpr std::size_t kSamples = 240;
constexpr Millis kArrivals = 600'000;

// The time stands in the upper bits, as in a real job's number.
hub::store::Seq seq_of(const Job& job, std::uint32_t index) {
  return hub::store::Seq((std::uint64_t(job.ready) << 16) | (index & 0xffff));
}

void remember(std::deque<Millis>& lengths, Millis& sum, Millis length) {
  lengths.push_back(length), sum += length;
  if (lengths.size() <= kLengths) return;
  sum -= lengths.front();
  lengths.pop_front();
}

Millis part(std::vector<std::int32_t>& waits, double share) {
  if (waits.empty()) return 0;
  const auto at = std::min(waits.size() - 1, std::size_t(double(waits.size()) * share));
  std::nth_element(waits.begin(), waits.begin() + std::ptrdiff_t(at), waits.end());
  return waits[at];
}

Waits waits_of(std::string tenant, std::vector<std::int32_t> waits) {
  Waits to{std::move(tenant), std::int64_t(waits.size()), part(waits, 0.5), part(waits, 0.95), part(waits, 0.99), 0};
  if (!waits.empty()) to.most = *std::max_element(waits.begin(), waits.end());
  return to;
}

}  // namespace

Fleet::Fleet(const Settings& settings) : settings_(settings), chance_(settings.seed) {
  pool_.name = settings.pool.name;
  auto& like = pool_.settings.like;
  like.slots = settings.pool.what.slots;
  like.memory = settings.pool.what.memory_bytes;
  like.labels = settings.pool.what.labels;
  if (!settings.pool.what.types.empty()) like.types = settings.pool.what.types;
  if (!settings.pool.what.tenants.empty()) like.tenants = settings.pool.what.tenants;
  pool_.settings.limits.maximum = settings.pool.limits.maximum;
  batch_views_.push_back({});
  lane_of_job_.reserve(settings.jobs.size());
  for (const auto& job : settings.jobs) lane_of_job_.push_back(std::uint32_t(lane_of(job)));
  tenant_at_.assign(tenants_.size(), kNone);
  if (!settings.jobs.empty()) {
    now = settings.jobs.front().ready;
    sample_every_ = std::max<Millis>(1'000, (settings.jobs.back().ready - now) / Millis(kSamples * 3 / 4));
  }
  if (settings.other_slots > 0) add_host("", settings.other_slots);
}

std::size_t Fleet::lane_of(const Job& job) {
  const auto [known, added] = lane_names_.try_emplace({job.tenant, job.type, job.slots}, lanes_.size());
  if (!added) return known->second;
  const auto [tenant, fresh] = tenant_names_.try_emplace(job.tenant, tenants_.size());
  if (fresh) tenants_.emplace_back().name = job.tenant;
  auto& lane = lanes_.emplace_back();
  lane.key.tenant = job.tenant;
  lane.key.type = job.type;
  lane.key.requirements.slots = job.slots;
  lane.tenant = tenant->second;
  return known->second;
}

// Its lane's mean, else its tenant's, else a guess.
Millis Fleet::expected(const Lane& lane) const {
  const auto& tenant = tenants_[lane.tenant];
  if (!lane.lengths.empty()) return std::max<Millis>(1, lane.sum / Millis(lane.lengths.size()));
  if (!tenant.lengths.empty()) return std::max<Millis>(1, tenant.sum / Millis(tenant.lengths.size()));
  return kGuess;
}

// ---- what happens -------------------------------------------------------------------------------------------------

void Fleet::push(Event event) {
  event.order = pushed_++;
  events_.push(std::move(event));
}

std::optional<Millis> Fleet::next() const {
  std::optional<Millis> at;
  if (!events_.empty()) at = events_.top().at;
  if (arrived_ < settings_.jobs.size())
    at = std::min(at.value_or(settings_.jobs[arrived_].ready), settings_.jobs[arrived_].ready);
  return at;
}

void Fleet::advance(Millis time) {
  while (const auto at = next()) {
    if (*at > time) break;
    now = std::max(now, *at);
    while (!events_.empty() && events_.top().at <= now) {
      const auto event = events_.top();
      events_.pop();
      happen(event);
    }
    for (; arrived_ < settings_.jobs.size() && settings_.jobs[arrived_].ready <= now; ++arrived_) {
      const auto lane = lane_of_job_[arrived_];
      lanes_[lane].waiting.push_back(std::uint32_t(arrived_));
      waiting_.insert(lane);
      ++ready_;
      arrivals_.push_back(now);
    }
    grant();
    sample();
  }
  now = std::max(now, time);
  while (!arrivals_.empty() && arrivals_.front() < now - kArrivals) arrivals_.pop_front();
}

void Fleet::happen(const Event& event) {
  switch (event.what) {
    case What::join:
      return join(event.instance);
    case What::end:
      return end_job(event.host, event.job);
    case What::overrun:
      for (auto& running : hosts_[event.host].running)
        if (running.job == event.job && !running.over) {
          running.over = true;
          tenants_[lanes_[lane_of_job_[event.job]].tenant].account.overrun(running.charge);
        }
  }
}

std::size_t Fleet::add_host(const std::string& instance, int slots) {
  std::size_t place = hosts_.size();
  if (free_hosts_.empty()) {
    hosts_.emplace_back();
  } else {
    place = free_hosts_.back();
    free_hosts_.pop_back();
  }
  auto& host = hosts_[place];
  host = Host{};
  host.instance = instance;
  host.joined = host.idle_since = now;
  host.info = std::make_shared<engine::HostInfo>();
  auto& facts = host.info->host;
  const auto& like = pool_.settings.like;
  facts.name = instance.empty() ? "other" : instance;
  facts.slots = slots;
  if (!instance.empty()) {
    facts.memory = like.memory, facts.labels = like.labels, facts.types = like.types, facts.tenants = like.tenants;
    facts.pool = pool_.name, facts.instance = instance;
  }
  host.info->idle_since = now;
  offer(place);
  return place;
}

void Fleet::join(const std::string& instance) {
  const auto machine = machines_.find(instance);
  if (machine == machines_.end() || machine->second.failed) return;
  machine->second.host = add_host(instance, pool_.settings.like.slots);
  auto& kept = book_[instance];
  if (kept.instance.empty()) kept.instance = instance, kept.orderedAt.at = machine->second.ordered;
  if (kept.state == Life::ordered || kept.state == Life::booting) kept.state = Life::ready;
  kept.readyAt = json::Time{now};
  --coming_;
  hosts_most_ = std::max(hosts_most_, ++hosts_now_);
}

void Fleet::offer(std::size_t place) {
  const auto& host = hosts_[place];
  if (host.info->host.mode == model::HostMode::run && host.info->slots_busy < host.info->host.slots)
    open_.insert(place);
  else
    open_.erase(place);
}

void Fleet::end_job(std::size_t place, std::uint32_t index) {
  auto& host = hosts_[place];
  const auto at = std::find_if(host.running.begin(), host.running.end(),
                               [&](const Running& running) { return running.job == index; });
  const auto& job = settings_.jobs[index];
  auto& lane = lanes_[lane_of_job_[index]];
  auto& tenant = tenants_[lane.tenant];
  tenant.account.end(at->charge, now);
  host.info->leases.erase(host.info->leases.begin() + (at - host.running.begin()));
  host.running.erase(at);
  host.info->slots_busy -= job.slots;
  if (host.running.empty()) host.idle_since = now, host.info->idle_since = now;
  --tenant.running, tenant.slots -= job.slots;
  --running_, ++ended_;
  last_end_ = std::max(last_end_, now);
  late_ += settings_.within && now - job.ready > *settings_.within;
  remember(lane.lengths, lane.sum, job.length);
  remember(tenant.lengths, tenant.sum, job.length);
  offer(place);
}

// ---- grants: the hub's scheduler ----------------------------------------------------------------------------------

engine::HostView Fleet::view_of(const Host& host) const {
  engine::HostView view;
  view.host = &host.info->host;
  view.free_slots = host.info->host.slots - host.info->slots_busy;
  view.open = view.free_slots > 0 && host.info->host.mode == model::HostMode::run;
  view.free_memory = host.info->host.memory;
  view.running = std::int64_t(host.running.size());
  return view;
}

// Of what waits and of whoever has room: nothing else can be granted.
void Fleet::fill_views() {
  tenant_views_.clear(), lane_views_.clear(), host_views_.clear();
  lane_at_.clear(), host_at_.clear();
  for (const auto place : waiting_) {
    const auto& lane = lanes_[place];
    auto& tenant = tenants_[lane.tenant];
    auto& at = tenant_at_[lane.tenant];
    if (at == kNone) {
      at = tenant_views_.size();
      tenant_views_.push_back({tenant.name, 1, 0, tenant.running, tenant.slots, tenant.account.charged(now)});
    }
    engine::LaneView view;
    view.key = &lane.key;
    view.tenant = at;
    view.ready = std::int64_t(lane.waiting.size());
    view.expected = expected(lane);
    view.head = {hub::store::LaneNo(place + 1), 0, seq_of(settings_.jobs[lane.waiting.front()], lane.waiting.front())};
    lane_views_.push_back(view);
    lane_at_.push_back(place);
  }
  for (const auto place : waiting_) tenant_at_[lanes_[place].tenant] = kNone;
  for (const auto place : open_) {
    host_views_.push_back(view_of(hosts_[place]));
    host_at_.push_back(place);
  }
}

void Fleet::grant() {
  if (waiting_.empty() || open_.empty()) return;
  fill_views();
  const engine::Peek peek = [this](engine::Index lane, std::size_t i) -> std::optional<hub::store::ReadyRow> {
    const auto& waiting = lanes_[lane_at_[lane]].waiting;
    if (i >= waiting.size()) return std::nullopt;
    return hub::store::ReadyRow{hub::store::LaneNo(lane_at_[lane] + 1), 0,
                                seq_of(settings_.jobs[waiting[i]], waiting[i])};
  };
  const auto plan = engine::schedule(tenant_views_, batch_views_, lane_views_, host_views_, peek, 100'000);
  for (const auto& grant : plan.grants) start(lane_at_[grant.lane], host_at_[grant.host]);
}

void Fleet::start(std::size_t lane_place, std::size_t place) {
  auto& lane = lanes_[lane_place];
  auto& tenant = tenants_[lane.tenant];
  auto& host = hosts_[place];
  const auto index = lane.waiting.front();
  const auto& job = settings_.jobs[index];
  const auto length = expected(lane);
  lane.waiting.pop_front();
  if (lane.waiting.empty()) waiting_.erase(lane_place);
  if (host.running.empty()) {
    if (!host.instance.empty()) idle_seconds_ += double(now - host.idle_since) / 1'000;
    host.info->idle_since.reset();
  }
  host.running.push_back({index, tenant.account.begin(job.slots, length, now), false});
  engine::HostLease held;
  held.tenant = tenant.name, held.granted_at = now, held.expected = length;
  host.info->leases.push_back(std::move(held));
  host.info->slots_busy += job.slots;
  ++tenant.running, tenant.slots += job.slots;
  tenant.waits.push_back(std::int32_t(std::min<Millis>(now - job.ready, INT32_MAX)));
  --ready_, ++running_;
  push({now + job.length, 0, What::end, place, index, {}});
  if (job.length > length) push({now + length, 0, What::overrun, place, index, {}});
  offer(place);
}

// ---- the provider -------------------------------------------------------------------------------------------------

bool Fleet::fails() {
  return settings_.provider_fails > 0 &&
         std::uniform_real_distribution<double>(0, 1)(chance_) < settings_.provider_fails;
}

Told<std::vector<scaler::Machine>> Fleet::list() {
  if (fails()) return Refusal{Why::unknown, 0, "it failed, as it was to", false};
  std::vector<scaler::Machine> all;
  for (const auto& [name, machine] : machines_)
    all.push_back({name, scaler::MachineState::running, machine.ordered, machine.request, {}, {}});
  return all;
}

Told<scaler::Ordered> Fleet::order(const scaler::Order& order) {
  if (fails()) return Refusal{Why::unknown, 0, "it failed, as it was to", false};
  scaler::Ordered done;
  done.accepted = order.count;
  if (settings_.quota > 0) done.accepted = std::clamp<std::int64_t>(settings_.quota - machines(), 0, order.count);
  if (done.accepted < order.count)
    ++refused_, done.refusal = Refusal{Why::quota, 0, fmt::format("a quota of {}", settings_.quota), false};
  for (std::int64_t i = 0; i < done.accepted; ++i) {
    auto name = fmt::format("m{}", ++made_);
    Millis boot = settings_.boot;
    if (!settings_.boots.empty())
      boot = settings_.boots[std::uniform_int_distribution<std::size_t>(0, settings_.boots.size() - 1)(chance_)];
    else if (settings_.boot_spread > 0)
      boot += std::uniform_int_distribution<Millis>(-settings_.boot_spread, settings_.boot_spread)(chance_);
    Machine machine{order.request, now, now + std::max<Millis>(0, boot), false, kNone};
    push({machine.joins, 0, What::join, 0, 0, name});
    machines_.emplace(name, std::move(machine));
    ++coming_, ++ordered_;
    done.instances.push_back(std::move(name));
  }
  if (done.accepted == 0) return *done.refusal;
  return done;
}

void Fleet::leave(std::size_t place) {
  auto& host = hosts_[place];
  if (host.info == nullptr) return;
  ready_seconds_ += double(now - host.joined) / 1'000;
  if (host.running.empty()) idle_seconds_ += double(now - host.idle_since) / 1'000;
  open_.erase(place);
  host = Host{};
  free_hosts_.push_back(place);
  --hosts_now_;
}

void Fleet::settle(const Machine& machine) {
  if (machine.host != kNone) {
    booting_seconds_ += double(machine.joins - machine.ordered) / 1'000;
    return;
  }
  wasted_seconds_ += double(now - machine.ordered) / 1'000;
  --coming_;
}

Told<std::vector<scaler::Removed>> Fleet::remove(const std::vector<std::string>& instances) {
  if (fails()) return Refusal{Why::unknown, 0, "it failed, as it was to", false};
  std::vector<scaler::Removed> removed;
  for (const auto& name : instances) {
    const auto machine = machines_.find(name);
    if (machine == machines_.end()) {
      removed.push_back({name, scaler::Removed::Outcome::not_found, {}});
      continue;
    }
    settle(machine->second);
    if (machine->second.host < kLeft) leave(machine->second.host);
    machines_.erase(machine);
    removed.push_back({name, scaler::Removed::Outcome::removed, {}});
  }
  return removed;
}

// ---- the hub ------------------------------------------------------------------------------------------------------

scaler::FromHub<scaler::ScalerLease> Fleet::lease(const std::string&, std::optional<std::int64_t>) {
  return scaler::ScalerLease{1, 30'000};
}

scaler::FromHub<std::vector<std::string>> Fleet::pools() {
  return std::vector<std::string>{pool_.name};
}

Fleet::Host* Fleet::host_of(const std::string& id) {
  const auto machine = machines_.find(id);
  return machine == machines_.end() || machine->second.host >= kLeft ? nullptr : &hosts_[machine->second.host];
}

scaler::FromHub<scaler::Book> Fleet::book(const std::string&) {
  scaler::Book book;
  book.pool = settings_.pool;
  for (const auto& [name, machine] : book_) {
    auto& shown = book.machines.emplace_back(machine);
    const auto* host = host_of(name);
    if (host == nullptr) continue;
    auto& facts = shown.host.emplace();
    facts.id = facts.name = name;
    facts.mode = host->info->host.mode == model::HostMode::run     ? Mode::run
                 : host->info->host.mode == model::HostMode::drain ? Mode::drain
                                                                   : Mode::stop;
    if (facts.mode != Mode::run) facts.by = "scaler";
    facts.slots = host->info->host.slots;
    facts.busy = host->info->slots_busy;
    if (host->running.empty()) {
      facts.idleSince = json::Time{host->idle_since};
      continue;
    }
    Millis rest = 0;
    for (const auto& lease : host->info->leases) rest = std::max(rest, lease.granted_at + lease.expected - now);
    facts.restSeconds = double(rest) / 1'000;
  }
  for (const auto& [request, intent] : intents_) book.intents.push_back(intent);
  return book;
}

scaler::FromHub<scaler::DemandNow> Fleet::demand(const std::string&) {
  fill_views();
  engine::Snapshot fleet;
  fleet.tenants = tenant_views_;
  fleet.batches = batch_views_;
  fleet.lane_views = lane_views_;
  for (const auto& host : hosts_) {
    if (host.info == nullptr) continue;
    fleet.host_views.push_back(view_of(host));
    fleet.hosts.push_back({host.info, now});
  }
  const auto found = engine::demand_of(fleet, std::span(&pool_, 1), pool_.name, now);
  scaler::DemandNow to;
  auto& demand = to.demand;
  demand.runnable = {found.runnable.jobs, found.runnable.slots, found.runnable.hosts};
  demand.running = {found.running.jobs, found.running.slots, double(found.running.rest_mean) / 1'000,
                    double(found.running.rest_p90) / 1'000};
  for (const auto& [why, jobs] : found.held) demand.held_by_limits += jobs;
  demand.unplaceable = found.unplaceable;
  demand.oldest_wait = found.oldest_wait;
  demand.seconds_per_job = demand.seconds_per_job_p90 = double(found.mean_duration) / 1'000;
  demand.seconds_per_job_of = ended_;
  demand.arrivals_per_second_10m = double(arrivals_.size()) / 600;
  demand.arrivals_per_second_1m =
      double(arrivals_.end() - std::lower_bound(arrivals_.begin(), arrivals_.end(), now - 60'000)) / 60;
  to.unmanaged = settings_.other_slots > 0;
  return to;
}

scaler::FromHub<void> Fleet::record(const std::string&, std::int64_t, const scaler::Record& record) {
  for (const auto& intent : record.intents) {
    if (intent.state == scaler::Stage::issued || intent.state == scaler::Stage::unknown) {
      auto& kept = intents_[intent.request];
      const auto issued = kept.issuedAt.value_or(json::Time{now});
      kept = intent;
      kept.issuedAt = issued;
    } else {
      intents_.erase(intent.request);
    }
  }
  for (const auto& change : record.machines) {
    if (change.state == Life::gone) {
      book_.erase(change.instance);
      continue;
    }
    auto& kept = book_[change.instance];
    if (kept.instance.empty()) kept.instance = change.instance, kept.orderedAt.at = now;
    if (change.request) kept.request = *change.request;
    kept.state = host_of(change.instance) != nullptr && change.state == Life::booting ? Life::ready : change.state;
  }
  if (record.decision) {
    ++decisions_;
    const auto& changes = record.decision->changes;
    changes_ += changes.order + changes.resume + changes.drain > 0;
    wanted_ = record.decision->wanted;
  }
  sample();
  return {};
}

scaler::FromHub<void> Fleet::drain(const std::vector<std::string>& ids, std::int64_t, const std::string&) {
  for (const auto& id : ids)
    if (auto* host = host_of(id); host != nullptr && host->info->host.mode == model::HostMode::run) {
      host->info->host.mode = model::HostMode::drain;
      offer(machines_.at(id).host);
    }
  return {};
}

scaler::FromHub<void> Fleet::resume(const std::vector<std::string>& ids, std::int64_t) {
  for (const auto& id : ids)
    if (auto* host = host_of(id); host != nullptr && host->info->host.mode == model::HostMode::drain) {
      host->info->host.mode = model::HostMode::run;
      offer(machines_.at(id).host);
    }
  grant();
  return {};
}

scaler::FromHub<void> Fleet::retire(const std::string& id, std::int64_t) {
  auto* host = host_of(id);
  if (host == nullptr) return scaler::HubTrouble{scaler::HubTrouble::Kind::refused, "there is no such host"};
  if (!host->running.empty()) return scaler::HubTrouble{scaler::HubTrouble::Kind::busy, "it has a job"};
  // It hears of it and goes by itself, at once.
  auto& machine = machines_.at(id);
  leave(std::exchange(machine.host, kLeft));
  book_[id].state = Life::retiring;
  return {};
}

scaler::FromHub<std::string> Fleet::join_token(const std::string&, std::int64_t, const std::string&) {
  return std::string("none");
}

// ---- what is told afterwards --------------------------------------------------------------------------------------

void Fleet::sample() {
  const Millis at = now / sample_every_ * sample_every_;
  if (samples_.empty() || samples_.back().at != at) {
    samples_.emplace_back();
    samples_.back().at = at;
  }
  auto& sample = samples_.back();
  sample.waiting = std::max(sample.waiting, ready_);
  sample.running = std::max(sample.running, running_);
  sample.ready = std::max(sample.ready, hosts_now_);
  sample.coming = std::max(sample.coming, coming_);
  sample.wanted = wanted_;
}

void Fleet::report(Report& to) {
  for (auto& [name, machine] : machines_) {
    settle(machine);
    if (machine.host < kLeft) leave(machine.host);
  }
  machines_.clear();
  to.jobs = std::int64_t(settings_.jobs.size());
  to.ended = ended_;
  to.late = late_;
  to.from = settings_.jobs.empty() ? 0 : settings_.jobs.front().ready;
  to.to = last_end_;
  std::vector<std::int32_t> all;
  all.reserve(settings_.jobs.size());
  std::vector<const Tenant*> most;
  for (const auto& tenant : tenants_) {
    all.insert(all.end(), tenant.waits.begin(), tenant.waits.end());
    most.push_back(&tenant);
  }
  std::stable_sort(most.begin(), most.end(),
                   [](const Tenant* a, const Tenant* b) { return a->waits.size() > b->waits.size(); });
  to.waits.push_back(waits_of("", std::move(all)));
  if (most.size() > 1)
    for (std::size_t i = 0; i < std::min<std::size_t>(10, most.size()); ++i)
      to.waits.push_back(waits_of(most[i]->name, most[i]->waits));
  to.ready_seconds = ready_seconds_;
  to.booting_seconds = booting_seconds_;
  to.idle_seconds = idle_seconds_;
  to.wasted_seconds = wasted_seconds_;
  to.cost = (ready_seconds_ + booting_seconds_ + wasted_seconds_) / 3'600 * settings_.price;
  to.decisions = decisions_, to.changes = changes_;
  to.hosts_most = hosts_most_, to.ordered = ordered_, to.refused = refused_;
  to.samples = samples_;
}

}  // namespace geres::rehearsal
