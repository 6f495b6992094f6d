// SPDX-License-Identifier: Apache-2.0
#include "simulation/hub.h"

#include <fmt/format.h>

#include "hub/engine/state.h"
#include "hub/store/sqlite/sqlite_store.h"

namespace geres::simulation {

using Fault = MemoryDisk::Fault;
using Act = MemoryDisk::Act;

namespace {

constexpr const char* kFile = "/hub.db";
constexpr Millis kKeepEnded = 3'000;

store::SqliteOptions store_options(const MemoryDisk& disk, const Plan& plan) {
  store::SqliteOptions options;
  options.vfs = disk.vfs();
  options.lock_file = false;
  options.single_connection = true;
  options.check_limit = 0;
  options.writer_cache_kib = 2'048;
  options.checkpoint_pages = plan.checkpoint_pages;
  return options;
}

hub::engine::Options engine_options(const Plan& plan) {
  hub::engine::Options options;
  options.check_passes = Plan::check_passes;
  options.lease = plan.lease;
  options.slice = plan.slice;
  options.progress_pause = 300;
  options.host_forgotten_after = 20'000;
  options.unstarted_max = plan.unstarted_max;
  options.lanes_per_tenant_max = plan.lanes_max;
  options.duration_guess = plan.duration_guess;
  if (plan.retention) {
    options.keep_finished = options.keep_failed = kKeepEnded;
    options.keep_key_min = 4'000;
    options.keep_events = 6'000;
    options.sweep_pause = 2'000;
  }
  return options;
}

// A fresh store is made once; every seed starts from a copy.
const MemoryDisk::Files& fresh_disk() {
  static const MemoryDisk::Files kFiles = [] {
    MemoryDisk disk;
    store::SqliteOptions options;
    options.vfs = disk.vfs();
    options.lock_file = false;
    options.single_connection = true;
    store::open_sqlite(kFile, options).reset();
    return disk.files();
  }();
  return kFiles;
}

}  // namespace

Hub::Hub(Timeline& timeline, Dice& dice, const Plan& plan, Ledger& ledger, Trace& trace)
    : timeline_(timeline),
      dice_(dice),
      plan_(plan),
      ledger_(ledger),
      trace_(trace),
      clock_(timeline, plan.hub_rate),
      disk_(fresh_disk()),
      random_(dice.random().next()) {}

Hub::~Hub() = default;

// ---- lives ----------------------------------------------------------------------------------------------------------

void Hub::start() {
  if (alive()) return;
  if (timeline_.now() < over_at_) return come_back(over_at_ - timeline_.now());
  try {
    store_ = std::make_unique<hub::engine::FaultyStore>(store::open_sqlite(kFile, store_options(disk_, plan_)));
    take_up_unheard();
    auto engine = std::make_unique<Engine>(*store_, clock_, random_, engine_options(plan_));
    // Booked as they are told, not after the tick: one tick of the engine may commit more than once, answer, and die
    // in the next transaction. What it told by then is told.
    engine->on_events([this](const auto& rows) {
      for (const auto& row : rows) ledger_.take_event(row, store_->reads(), free_at());
    });
    engine->on_purged([this](const auto& ids) { book_purged(ids); });
    engine_ = std::move(engine);
  } catch (const std::exception& failed) {
    trace_("hub cannot start: {}", failed.what());
    store_.reset();
    disk_.kill();
    return come_back(500);
  }
  ++life_;
  ledger_.sick.forget();
  ledger_.fair.restart(clock_.monotonic());
  trace_("hub starts, life {}", life_);
  if (had_operations_ && life_ > 1) ledger_.hit(Path::slices_resumed_after_crash);
  waiting_requests_ = 0;
  busy_until_ = frozen_until_ = 0;
  disk_.set_plan([this](Act act, std::string_view file) {
    if (act != Act::sync) return Fault::none;
    if (std::exchange(fail_sync_, false)) {
      sync_failed_ = true;
      return Fault::io_error;
    }
    if (!file.ends_with("-wal")) ledger_.hit(Path::log_checkpointed);
    if (each_sync_ > 0) {
      clock_.wait(each_sync_);
      held_up_ += each_sync_;
    }
    return Fault::none;
  });
  schedule_tick(timeline_.now());
}

// What the store holds beyond what was told: ticks whose outcome nobody heard.
void Hub::take_up_unheard() {
  auto& reads = store_->reads();
  const auto last = store_->load().last_event;  // also when all of them were purged
  if (last < ledger_.last_event())
    return ledger_.violate("I11", fmt::format("the log ends with event {}, {} was told", last, ledger_.last_event()));
  while (ledger_.last_event() < last) {
    const auto rows = reads.events(ledger_.last_event(), 1'000);
    if (rows.empty()) return ledger_.violate("I11", fmt::format("no event after {}", ledger_.last_event()));
    for (const auto& row : rows) ledger_.take_event(row, reads, timeline_.now());
    if (ledger_.violation) return;
  }
  // A purge tells no event.
  std::vector<Uuid> gone;
  for (const auto& [id, job] : ledger_.jobs)
    if (plan_.retention && !job.purged && model::ended(job.state) && !reads.job(id)) {
      if (!may_be_purged(job)) return ledger_.violate("I1", fmt::format("job {} is gone before its time", id.str()));
      gone.push_back(id);
    }
  book_purged(gone);
}

bool Hub::may_be_purged(const JobRecord& job) {
  return plan_.retention && model::ended(job.state) &&
         (clock_.wall() - job.ended_at >= kKeepEnded || ledger_.batches[job.row.spec.batch].delete_asked);
}

bool Hub::may_have_purged(Uuid id) {
  const auto* job = ledger_.find(id);
  return engine_->waits_for_store() && job != nullptr && may_be_purged(*job);
}

void Hub::end_life(const char* how, bool power) {
  trace_("hub dies: {}{}", how, power ? ", power lost" : "");
  if (power) {
    disk_.power_loss(dice_.random());
    ledger_.hit(Path::power_lost);
  } else {
    disk_.kill();
  }
  engine_.reset();
  store_.reset();
  dying_.reset();
  doubt_.reset();
  sync_failed_ = fail_sync_ = false;
  over_at_ = std::max(free_at(), busy_until_);
  at_the_door_.clear();
  held_up_ = 0;
  clock_.take_waited();
  ++life_token_;
  if (power && dice_.percent(70)) {
    clock_.reboot();
    ledger_.hit(Path::hub_rebooted);
  }
  // What it had written and not synced is all there for the next life, which must not rely on it.
  if (!power && plan_.power_losses && !healed_ && dice_.percent(50))
    timeline_.after(dice_.between(60, 3'000), [this] {
      if (!healed_) die(true);
    });
  come_back(healed_ ? 50 : dice_.percent(70) ? dice_.between(50, 1'500) : dice_.between(1'500, 9'000));
}

void Hub::come_back(Millis delay) {
  timeline_.after(delay, [this] { start(); });
}

void Hub::receive(std::function<void(Engine&)> request) {
  if (!alive()) return;
  if (timeline_.now() < frozen_until_) return at_the_door_.push_back(std::move(request));
  ++waiting_requests_;
  try {
    request(*engine_);
  } catch (const store::StoreFailed&) {
    return;  // a read that failed: no answer
  }
  schedule_tick(timeline_.now() + Millis(dice_.draw(8)));
}

// What came while it was frozen is taken in the order in which it came.
void Hub::thaw() {
  if (timeline_.now() < frozen_until_) return;
  for (auto& request : std::exchange(at_the_door_, {})) receive(std::move(request));
}

// ---- ticks ----------------------------------------------------------------------------------------------------------

void Hub::schedule_tick(Millis at) {
  at = std::max({at, frozen_until_, busy_until_});
  if (next_tick_ >= timeline_.now() && next_tick_ <= at) return;
  next_tick_ = at;
  timeline_.at(at, [this, at, token = life_token_] {
    if (token != life_token_ || at != next_tick_ || !alive()) return;
    if (timeline_.now() < frozen_until_) return next_tick_ = -1, schedule_tick(frozen_until_);
    next_tick_ = -1;
    tick();
  });
}

void Hub::tick() {
  const auto& stats = engine_->stats();
  const auto refused_before = stats.refused_ticks.load(), expired_before = stats.expired.load();
  const int life = life_token_;
  ledger_.fair.tick(clock_.monotonic());
  try {
    engine_->tick();
  } catch (const std::exception& failed) {
    if (disk_.cut() && dying_) {
      const bool power = *dying_;
      ledger_.hit(power ? Path::power_lost_inside_commit : Path::hub_killed_inside_commit);
      return end_life("inside a tick", power);
    }
    // The hub stops by itself. After a failed sync its machine may go on, and then nobody knows what the disk holds.
    trace_("hub fails: {}", failed.what());
    if (sync_failed_)
      ledger_.hit(Path::sync_failed);
    else
      ledger_.hit(Path::write_failed);
    return end_life("its store failed", dice_.percent(sync_failed_ ? 50 : 30));
  }
  if (engine_->stats().ticks.load() > 0) ledger_.fair.has_read(clock_.monotonic());
  if (engine_->stats().passes_wrong.load() > 0) ledger_.violate("pass", "a pass is not what its rules say");
  if (engine_->stats().undone.load() > 0) ledger_.violate("refusal", "a refused command had changed something");
  if (disk_.cut()) return end_life("after a tick", dying_.value_or(false));
  if (life == life_token_) count_paths(refused_before, expired_before), after_tick();
}

void Hub::count_paths(std::int64_t refused_before, std::int64_t expired_before) {
  if (engine_->stats().expired.load() > expired_before) ledger_.hit(Path::lease_expired);
  if (engine_->stats().refused_ticks.load() > refused_before) {
    ledger_.hit(Path::tick_refused);
    ledger_.sick.forget();
    if (waiting_requests_ > 1) ledger_.hit(Path::tick_run_one_by_one);
  }
  if (engine_->waits_for_store()) ledger_.hit(Path::store_away);
  if (doubt_ && !store_->next_commit) {
    ledger_.hit(*doubt_ ? Path::unknown_had_happened : Path::unknown_had_not);
    doubt_.reset();
  }
  waiting_requests_ = 0;
}

void Hub::after_tick() {
  if (!engine_->waits_for_store()) had_operations_ = !engine_->state().operations.empty();
  if (plan_.audit_every > 0 && ++ticks_ % std::uint64_t(plan_.audit_every) == 0) audit();
  busy_until_ = free_at();
  held_up_ = 0;
  if (clock_.take_waited() > 0) ledger_.hit(Path::commit_slow);
  schedule_tick(timeline_.now() + std::max<Millis>(engine_->until_next(), 1));
}

void Hub::book_purged(const std::vector<Uuid>& ids) {
  for (const auto id : ids) {
    auto* job = ledger_.find(id);
    if (job == nullptr) continue;
    if (!model::ended(job->state)) ledger_.violate("I1", fmt::format("job {} was purged before it ended", id.str()));
    job->purged = true;
    ledger_.hit(Path::job_purged);
  }
}

// What the engine counts is what the store holds.
void Hub::audit() {
  if (store_->away > 0 || engine_->waits_for_store()) return;
  const auto image = store_->load();
  auto& state = engine_->state();
  const auto wrong = [&](std::string what) { ledger_.violate("counters", std::move(what)); };
  for (const auto& lane : image.lanes) {
    const auto own = state.lanes_by_no.find(lane.lane.no);
    if (own == state.lanes_by_no.end()) return wrong("a lane is missing");
    if (own->second->ready != lane.ready)
      return wrong(fmt::format("lane {} has {} ready, counted {}", lane.lane.no, lane.ready, own->second->ready));
    if (own->second->head && own->second->head != lane.head) return wrong("a lane's head is wrong");
  }
  if (image.leases.size() != state.leases.size()) return wrong("the leases differ");
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> running;  // leases, slots
  std::map<Uuid, std::int64_t> of_batch;
  std::map<Uuid, int> of_host;
  for (const auto& lease : image.leases) {
    auto& [leases, slots] = running[lease.job.spec.tenant];
    ++leases, slots += lease.job.spec.requirements.slots;
    ++of_batch[lease.job.spec.batch];
    of_host[lease.lease.host] += lease.job.spec.requirements.slots;
  }
  for (const auto& [name, tenant] : state.tenants)
    if (tenant.running != running[name].first || tenant.slots != running[name].second)
      return wrong(fmt::format("tenant {} has {} leases, counted {}", name, running[name].first, tenant.running));
  for (const auto& [id, batch] : state.batches)
    if (batch.running != of_batch[id])
      return wrong(fmt::format("batch {} has {} leases, counted {}", batch.row.name, of_batch[id], batch.running));
  for (const auto& [id, host] : state.hosts)
    if (host.slots_used != of_host[id]) return wrong(fmt::format("host {}'s slots are miscounted", host.row.name));
  for (const auto& row : image.counts)
    if (state.batches.at(row.batch).counts[row.tenant] != row.counts) return wrong("a batch's counts differ");
  if (image.last_event != state.last_event) return wrong("the last event differs");
}

// ---- trouble --------------------------------------------------------------------------------------------------------

// A tick is run at once, and lasts as long as its syncs: whatever comes meanwhile finds all of it done, as if it had
// come when it was over. (What comes in its middle is die_inside.)
void Hub::when_free(std::function<void()> act) {
  timeline_.at(busy_until_, [this, token = life_token_, act = std::move(act)] {
    if (token == life_token_) act();
  });
}

void Hub::die(bool power) {
  if (!alive()) return;
  if (busy()) return when_free([this, power] { die(power); });
  ledger_.hit(Path::hub_killed);
  end_life("between ticks", power);
}

void Hub::die_inside(bool power) {
  if (!alive()) return;
  dying_ = power;
  disk_.fail_nth(dice_.between(1, 40), Fault::cut);
}

void Hub::fail_disk(bool sync) {
  if (!alive()) return;
  if (!sync) return disk_.fail_nth(dice_.between(1, 30), dice_.percent(60) ? Fault::io_error : Fault::short_write);
  fail_sync_ = true;
}

void Hub::freeze(Millis time) {
  if (!alive()) return;
  if (busy()) return when_free([this, time] { freeze(time); });
  trace_("hub freezes for {}", time);
  ledger_.hit(Path::hub_frozen);
  frozen_until_ = timeline_.now() + time;
  timeline_.at(frozen_until_, [this, token = life_token_] {
    if (token == life_token_) thaw();
  });
}

// It refuses what comes, finishes what is queued, and closes its store.
void Hub::stop() {
  if (!alive() || timeline_.now() < frozen_until_) return;
  if (busy()) return when_free([this] { stop(); });
  trace_("hub stops");
  engine_->stop_accepting();
  const int token = life_token_;
  for (int i = 0; i < 50 && (i == 0 || engine_->until_next() == 0); ++i) {
    tick();
    if (token != life_token_) return;
  }
  ledger_.hit(Path::hub_stopped);
  engine_.reset();
  store_.reset();
  ++life_token_;
  come_back(dice_.between(20, 1'500));
}

void Hub::refuse_commit() {
  if (alive())
    store_->next_commit = hub::engine::FaultyStore::CommitFault{store::Failure::refused, false, calls_away()};
}

void Hub::doubt_commit(bool happened) {
  if (!alive()) return;
  doubt_ = happened;
  store_->next_commit = hub::engine::FaultyStore::CommitFault{store::Failure::unknown, happened, calls_away()};
}

// In a third of the cases the store does not answer for a while. By the time and not by a die, so that older seeds keep
// their histories up to there.
int Hub::calls_away() const {
  return timeline_.now() % 3 == 0 ? 1 + int(timeline_.now() % 11) : 0;
}

void Hub::fill_disk(Millis time) {
  trace_("disk is full for {}", time);
  ledger_.hit(Path::disk_full);
  disk_.set_capacity(disk_.used() + dice_.between(0, 60'000));
  timeline_.after(time, [this] { disk_.set_capacity(0); });
}

void Hub::slow_disk(Millis time, Millis each_sync) {
  trace_("each sync takes {} for {}", each_sync, time);
  each_sync_ = each_sync;
  timeline_.after(time, [this] { each_sync_ = 0; });
}

void Hub::heal() {
  healed_ = true;
  disk_.set_capacity(0);
  each_sync_ = 0;
  frozen_until_ = std::min(frozen_until_, timeline_.now());
  if (!alive()) return start();
  disk_.fail_nth(0, Fault::none);  // what was to come comes no more
  dying_.reset();
  fail_sync_ = false;
  thaw();
  store_->next_commit.reset();
  store_->away = 0;
  store_->poisoned_name.reset();
  schedule_tick(timeline_.now());
}

}  // namespace geres::simulation
