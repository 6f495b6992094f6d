// SPDX-License-Identifier: Apache-2.0
// The loop around ticks: what waits, the transaction, the ways it can end, and what goes out afterwards.
#include "hub/engine/engine.h"

#include <algorithm>
#include <chrono>

#include "base/duration.h"
#include "base/log.h"
#include "hub/engine/clockwork.h"

namespace geres::hub::engine {

namespace {

constexpr Millis kIdle = 250;  // the longest sleep, so that a gap between ticks tells of a pause
constexpr Millis kFullPause = 1'000;
constexpr Millis kFailedPause = 100;  // before what is due is tried again; each failure reads the store anew
constexpr Millis kPauseMin = 1'000;   // a longer gap moves all lease deadlines

Error storage_full() {
  return fail(Code::storageFull, "the hub's disk is full; nothing has happened");
}
void refuse_growing(std::deque<std::unique_ptr<Command>>& commands) {
  for (auto& command : commands)
    if (command->grows()) command->fail(storage_full());
  std::erase_if(commands, [](const auto& command) { return command->grows(); });
}

}  // namespace

Error not_done() {
  return fail(Code::notDone, "the store refused this change; nothing has happened", {}, "try again");
}

Engine::Engine(store::Store& store, const Clock& clock, Random& random, Options options)
    : store_(store),
      clock_(clock),
      random_(random),
      options_(options),
      clockwork_(std::make_unique<Clockwork>(random)) {}
Engine::~Engine() = default;

std::optional<LeaseInfo> Engine::lease(Uuid name) const {
  const std::shared_lock lock(leases_mutex_);
  const auto found = lease_index_.find(name);
  return found != lease_index_.end() ? std::optional(found->second) : std::nullopt;
}

std::string Engine::log() const {
  const std::shared_lock lock(leases_mutex_);
  return log_;
}

store::EventNo Engine::last_event() const {
  return state_->last_event;
}

Now Engine::now() const {
  const Millis monotonic = clock_.monotonic();
  return {monotonic, clock_.wall(), clockwork_->anchor_wall + (monotonic - clockwork_->anchor_monotonic),
          monotonic - clockwork_->paused, clockwork_->ages};
}

// What is purged is gone for good, so a clock that jumps ahead is not believed at once: a machine that starts with a
// bad one, or a wrong time server. Ages follow the wall clock, but no faster than a day an hour. At a start, a
// month after the newest event is believed: machines are switched off that long, and bad clocks are off by years.
void Engine::advance_ages() {
  auto& work = *clockwork_;
  constexpr Millis kDay = 86'400'000, kSwitchedOff = 31 * kDay, kFaster = 24;
  const Millis wall = clock_.wall(), monotonic = clock_.monotonic();
  if (work.ages_at == 0) {
    const Millis newest = state_->newest_time;
    work.ages = newest > 0 && wall - newest > kSwitchedOff ? newest + kDay : wall;
    if (work.ages < wall)
      log::warn(
          "the clock is {} after the newest event: what is purged by its age is judged more slowly, a day an hour",
          format_duration(wall - newest));
  } else {
    work.ages = std::min(wall, work.ages + (monotonic - work.ages_at) * kFaster);
  }
  work.ages_at = monotonic;
}

// ---- ticking --------------------------------------------------------------------------------------------------------

std::deque<std::unique_ptr<Command>> Engine::take_commands() {
  std::deque<std::unique_ptr<Command>> taken;
  const std::lock_guard lock(queue_mutex_);
  std::size_t jobs = 0;
  while (!queue_.empty() && taken.size() < options_.commands_per_tick_max) {
    if (!taken.empty() && jobs + queue_.front()->weight() > options_.jobs_per_tick_max) break;
    jobs += queue_.front()->weight();
    taken.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  stats_.queue_length = std::int64_t(queue_.size());
  woken_ = false;
  return taken;
}

void Engine::tick() {
  auto& work = *clockwork_;
  if (!in_step() || (work.doubt && !resolve_doubt())) {
    wait_for_store();
    answer_readers();
    return;
  }
  // A stopped hub must not shoot its fleet: the time it was away does not count against leases.
  const Millis gap = clock_.monotonic() - work.last_tick;
  if (gap > kPauseMin) work.paused += gap;
  if (clock_.monotonic() >= work.next_sweep) {
    work.next_sweep = clock_.monotonic() + options_.sweep_pause;
    state_->sweeping = true;
    advance_ages();
  }
  auto commands = take_commands();
  stats_.commands += std::int64_t(commands.size());
  // Readers alone cost no round; but what is looked at now and then must not wait for as long as somebody reads.
  if (!commands.empty() || until_due() == 0 || !only_readers() || clock_.monotonic() - work.last_run >= kIdle) {
    run(std::move(commands));
    ++stats_.ticks;
    work.last_run = clock_.monotonic();
  }
  work.last_tick = clock_.monotonic();
  answer_readers();
}

void Engine::run(std::deque<std::unique_ptr<Command>> commands) {
  const bool growing = clock_.monotonic() >= clockwork_->full_until;
  if (!growing) refuse_growing(commands);
  const auto submitted = stats_.jobs_submitted.load();
  switch (attempt(commands, growing)) {
    case Ran::committed:
      if (stats_.jobs_submitted.load() != submitted) stats_.full_at = 0;
      return;
    case Ran::full:
      // Completions and cancels still go through; what would make the store larger is refused, and not tried again
      // for a second.
      clockwork_->full_until = clock_.monotonic() + kFullPause;
      stats_.full_at = clock_.monotonic();
      refuse_growing(commands);
      if (attempt(commands, false) == Ran::committed) return;
      clockwork_->failed_until = clock_.monotonic() + kFailedPause;
      for (auto& command : commands) command->fail(storage_full());
      return;
    case Ran::half_done:
      // A mistake of ours, and nobody's loss: what the refused command changed is undone, the others are done.
      log::error("a command was refused after it had changed something: undone");
      ++stats_.undone;
      run_one_by_one(std::move(commands), growing);
      return;
    case Ran::in_doubt:
      return;
    case Ran::refused:
      break;
  }
  ++stats_.refused_ticks;
  clockwork_->failed_until = clock_.monotonic() + kFailedPause;
  if (commands.size() == 1)
    commands.front()->fail(not_done());
  else  // one of them may be to blame, and fails alone
    run_one_by_one(std::move(commands), growing);
}

void Engine::run_one_by_one(std::deque<std::unique_ptr<Command>> commands, bool growing) {
  for (auto& command : commands) {
    std::deque<std::unique_ptr<Command>> one;
    one.push_back(std::move(command));
    const auto ran = clockwork_->doubt ? Ran::refused : attempt(one, growing);
    if (ran == Ran::half_done)
      one.front()->fail(*one.front()->refusal());
    else if (ran != Ran::committed && ran != Ran::in_doubt)
      one.front()->fail(not_done());
  }
}

Engine::Ran Engine::attempt(std::deque<std::unique_ptr<Command>>& commands, bool growing) {
  auto& work = *clockwork_;
  if (!in_step()) return Ran::refused;
  auto tick = std::make_unique<Tick>(new_round());
  auto& store = tick->round.store;
  const auto number = state_->tick + 1;
  bool committing = false;
  const auto start = std::chrono::steady_clock::now();
  const auto since = [](std::chrono::steady_clock::time_point then) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
  };
  try {
    store::Wanted wanted;
    for (const auto& command : commands) command->want(*state_, wanted);
    store.begin(wanted);
    for (auto& command : commands) {
      const auto before = store.written();
      command->apply(*tick);
      if (command->refusal() && store.written() != before) {
        store_.rollback();
        work.stale = true;
        in_step();
        return Ran::half_done;
      }
    }
    tick->run_steps(growing);
    if (store.wrote()) {
      const auto before = std::chrono::steady_clock::now();
      committing = true;
      store_.commit(number);
      const double took = since(before);
      stats_.commit_micros += std::int64_t(took * 1'000'000);
      ++stats_.commits;
      stats_.commit_seconds.observe(took);
      stats_.round_seconds.observe(since(start));
      state_->tick = number;
    } else {
      store_.rollback();
    }
  } catch (const store::StoreFailed& failed) {
    if (failed.failure == store::Failure::fatal || failed.failure == store::Failure::deposed) {
      answer_replaced(*tick);
      const bool deposed = failed.failure == store::Failure::deposed;
      for (auto& command : commands)
        command->fail(
            deposed ? fail(Code::notDone, "another hub leads on this store; nothing has happened", {}, "ask that one")
                    : fail(Code::unknown, "the hub's store has failed", {}, "repeat with the same key"));
      commands.clear();
      throw;
    }
    // A full disk is said once, by who looks at disks; here it would be a line for each job that is refused.
    const bool full = failed.failure == store::Failure::full;
    log::event(full ? log::Level::debug : log::Level::warn, "round failed",
               {{"round", number}, {"error", failed.what()}});
    store_.rollback();
    work.stale = true;
    if (failed.failure == store::Failure::unknown && committing) {
      if (const auto became = outcome_of(number)) return settle_doubt(*became, *tick, commands);
      work.doubt = Doubt{std::move(tick), std::move(commands), number, clock_.monotonic()};
      commands.clear();
      return Ran::in_doubt;
    }
    answer_replaced(*tick);
    in_step();
    return full ? Ran::full : Ran::refused;
  }
  finish(*tick, commands);
  return Ran::committed;
}

// It is on disk: told, then answered.
void Engine::finish(Tick& tick, std::deque<std::unique_ptr<Command>>& commands) {
  clockwork_->more = tick.round.more;
  publish(tick);
  for (auto& command : commands) command->settle(tick);
  settle(tick);
}

// Before the answers, so that a caller who has its answer can read the events that it caused, and use the token.
void Engine::publish(Tick& tick) {
  auto& out = tick.round.out;
  stats_.outcomes.add(out.observed);
  stats_.scaler.add(out.scaler_seen);
  if (const auto& news = tick.round.store.registry_news(); registry_sink_ && !news.empty()) registry_sink_(news);
  if (event_sink_ && !out.events.empty()) event_sink_(std::move(out.events));
  if (webhook_sink_ && !out.webhook_news.empty()) webhook_sink_(std::move(out.webhook_news));
}

// One that a newer fetch of its host has replaced was granted nothing. Of several copies of one fetch only the newest
// may say that: what it is told must not be taken for heard because another copy was told nothing.
void Engine::answer_replaced(Tick& tick) {
  auto& out = tick.round.out;
  for (auto& older : out.replaced_fetches) {
    FetchAnswer empty;
    empty.held = tick.round.now.monotonic - older.call.received_at;
    older.answer(std::move(empty));
  }
  for (auto& older : out.repeated_fetches)
    older.answer(fail(Code::unavailable, "this fetch has come again, and its newer copy is answered"));
  out.replaced_fetches.clear();
  out.repeated_fetches.clear();
}

void Engine::settle(Tick& tick) {
  auto& out = tick.round.out;
  auto& desk = clockwork_->desk;
  if (!out.leases_added.empty() || !out.leases_gone.empty()) {
    const std::lock_guard lock(leases_mutex_);
    for (auto& [name, info] : out.leases_added) lease_index_[name] = std::move(info);
    for (const auto name : out.leases_gone) lease_index_.erase(name);
  }
  answer_replaced(tick);
  const Millis monotonic = tick.round.now.monotonic;
  for (const auto id : out.hosts_forgotten)
    if (auto fetch = desk.close(id)) fetch->answer(host_gone());
  for (auto& reply : out.fetch_replies) {
    const auto open = desk.fetches.find(reply.host);
    if (open == desk.fetches.end() || open->second.call.fetch_id != reply.fetch_id) continue;
    auto fetch = desk.close(reply.host);
    // Here and not within the tick: the state may have been read anew since, when the commit's outcome was unknown.
    auto& host = state_->hosts.at(reply.host);
    host.mode_told = reply.answer.mode;
    host.fetch_answered = true;
    // Leases run from the tick's beginning, not from now: the commit may have taken long.
    reply.answer.held = std::max<Millis>(0, monotonic - fetch->call.received_at);
    fetch->answer(std::move(reply.answer));
  }
  for (const auto& slice : out.slices_done) {
    const auto waiter = desk.operations.find(slice.operation);
    if (waiter == desk.operations.end()) continue;
    waiter->second.done.add(slice.done);
    if (waiter->second.watch) waiter->second.watch(slice.operation, waiter->second.done.count);
    if (!slice.last) continue;
    waiter->second.answer(std::move(waiter->second.done));
    desk.operations.erase(waiter);
  }
  if (purge_sink_ && !out.purged.empty()) purge_sink_(out.purged);
  stats_.leases = std::int64_t(state_->leases.size());
  stats_.lanes = std::int64_t(state_->lanes.size());
}

Round Engine::new_round() {
  return {*state_, clockwork_->desk, clockwork_->ids, random_, options_, stats_, now(), BufferedStore(store_), {}};
}

SnapshotPtr Engine::make_snapshot() {
  return Tick(new_round()).granting.snapshot();
}

Millis Engine::until_next() const {
  Millis readers = kIdle;
  {
    const std::lock_guard lock(queue_mutex_);
    if (!queue_.empty() || woken_ || readers_due()) return 0;
    if (!readers_.empty())
      readers = std::chrono::ceil<std::chrono::milliseconds>(next_snapshot_ - std::chrono::steady_clock::now()).count();
  }
  return std::clamp<Millis>(readers, 0, until_due());
}

// Until something is due by itself.
Millis Engine::until_due() const {
  const auto& work = *clockwork_;
  const auto now = this->now();
  if (now.monotonic < work.failed_until) return work.failed_until - now.monotonic;
  if (work.load_pause > 0) return std::clamp<Millis>(work.load_at - now.monotonic, 0, kIdle);
  if (!state_ || work.stale || work.more) return 0;
  Millis wait = kIdle;
  const auto due = [&](Millis at, Millis clock) { wait = std::clamp<Millis>(at - clock, 0, wait); };
  if (!state_->deadlines.empty()) due(state_->deadlines.top().first, now.lease);
  if (!state_->progress_due.empty()) due(state_->progress_due.begin()->first, now.monotonic);
  if (state_->next_due_engine) due(*state_->next_due_engine, now.engine);
  if (state_->next_due_wall) due(*state_->next_due_wall, now.wall);
  if (state_->next_queue_deadline) due(*state_->next_queue_deadline, now.engine);
  if (!work.desk.fetch_ends.empty()) due(work.desk.fetch_ends.begin()->first, now.monotonic);
  return wait;
}

void Engine::wait_for_work(Millis at_most) {
  using Clock = std::chrono::steady_clock;
  std::unique_lock lock(queue_mutex_);
  const auto end = Clock::now() + std::chrono::milliseconds(at_most);
  while (queue_.empty() && !woken_ && !readers_due() && Clock::now() < end)
    queue_filled_.wait_until(lock, readers_.empty() ? end : std::min(end, next_snapshot_));
}

void Engine::wake() {
  const std::lock_guard lock(queue_mutex_);
  woken_ = true;
  queue_filled_.notify_one();
}

}  // namespace geres::hub::engine
