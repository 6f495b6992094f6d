// SPDX-License-Identifier: Apache-2.0
// The engine and its store: reading the state at a start, and anew where memory may differ; a store that does not
// answer, and a commit of which nobody knows whether it happened.
#include <algorithm>

#include "base/duration.h"
#include "base/log.h"
#include "hub/engine/charging.h"
#include "hub/engine/clockwork.h"
#include "hub/engine/load.h"

namespace geres::hub::engine {

namespace {

constexpr Millis kAwayPauseMin = 100, kAwayPauseMax = 1'000;  // before a store that does not answer is asked again
constexpr Millis kDoubtMax = 10'000;                          // so long callers wait to hear what became of a commit

}  // namespace

// ---- loading --------------------------------------------------------------------------------------------------------

void Engine::load() {
  auto& work = *clockwork_;
  if (!work.loaded) {
    work.anchor_wall = clock_.wall();
    work.anchor_monotonic = work.last_tick = clock_.monotonic();
    try {
      store_.lead(work.anchor_wall);
    } catch (const store::StoreFailed& failed) {
      if (failed.failure != store::Failure::full) throw;
      store_.rollback();
      store_.lead(work.anchor_wall);  // the room that is kept back for a full disk is there now
    }
  }
  auto before = std::exchange(state_, load_state(store_, now(), work.ids));
  // What was seen of hosts stands in no row, and is as true as before.
  if (before) {
    for (auto& [id, host] : state_->hosts)
      if (const auto known = before->hosts.find(id); known != before->hosts.end()) {
        host.health = known->second.health;
        host.last_took = known->second.last_took;
        host.has_done = known->second.has_done;
      }
    for (auto& [name, pool] : state_->pools)
      if (const auto known = before->pools.find(name); known != before->pools.end()) {
        pool.arrivals = known->second.arrivals;
        pool.arrived = known->second.arrived;
      }
  }
  open_accounts(*state_, before.get(), now().monotonic, options_.duration_guess);
  work.loaded = true;
  work.stale = false;
  take_up_fetches();
  const std::lock_guard lock(leases_mutex_);
  log_ = state_->log;
  lease_index_.clear();
  for (const auto& [seq, lease] : state_->leases)
    lease_index_[lease.row.name] = {lease.row.job, lease.row.host, lease.lane->row.key.tenant, lease.row.attempt};
}

// Fetches stay open while the state is read anew: each is its host's newest.
void Engine::take_up_fetches() {
  auto& desk = clockwork_->desk;
  std::vector<Uuid> gone;
  for (const auto& [id, fetch] : desk.fetches) {
    const auto found = state_->hosts.find(id);
    if (found == state_->hosts.end()) {
      gone.push_back(id);
      continue;
    }
    auto& host = found->second;
    host.fetch_id = fetch.call.fetch_id;
    host.fetch_answered = true;
    host.remember_fetch(host.fetch_id);
    state_->news.insert(id);
  }
  for (const auto id : gone) desk.close(id)->answer(host_gone());
}

// ---- a store that does not answer -----------------------------------------------------------------------------------

// Whether memory is what the store holds; it is read anew where it may not be. False: the store does not answer. That
// is no reason to stop: it is asked again in a moment.
bool Engine::in_step() {
  auto& work = *clockwork_;
  if (state_ && !work.stale) return true;
  if (clock_.monotonic() < work.load_at) return false;
  try {
    load();
  } catch (const store::StoreFailed& failed) {
    if (failed.failure == store::Failure::fatal || failed.failure == store::Failure::deposed) throw;
    if (work.load_pause == 0) {
      log::event(log::Level::err, "the store does not answer", {{"error", failed.what()}});
      stats_.store_away_at = clock_.monotonic();
    }
    work.load_pause = std::clamp(work.load_pause * 2, kAwayPauseMin, kAwayPauseMax);
    work.load_at = clock_.monotonic() + work.load_pause;
    return false;
  }
  if (std::exchange(work.load_pause, 0) > 0) {
    log::event(log::Level::info, "the store answers again", {});
    stats_.store_away_at = 0;
    work.last_tick = clock_.monotonic();  // all leases have just been given their full time
  }
  return true;
}

bool Engine::waits_for_store() const {
  return !state_ || clockwork_->stale || clockwork_->doubt;
}

// Nobody is kept waiting but those whose command may have been done.
void Engine::wait_for_store() {
  auto& work = *clockwork_;
  for (auto& command : take_commands()) command->fail(not_done());
  bool accepting = true;
  {
    const std::lock_guard lock(queue_mutex_);
    accepting = accepting_;
  }
  if (work.doubt && (!accepting || clock_.monotonic() - work.doubt->since >= kDoubtMax)) end_doubt();
  if (!accepting) return close_desk(fail(Code::unavailable, "the hub is stopping"));
  while (!work.desk.fetch_ends.empty() && work.desk.fetch_ends.begin()->first <= clock_.monotonic())
    work.desk.close(work.desk.fetch_ends.begin()->second)
        ->answer(fail(Code::unavailable, "the hub's store does not answer"));
}

// For those who wait; the tick itself is kept, because its events are told once it is known to be done.
void Engine::end_doubt() {
  if (!clockwork_->doubt) return;
  for (auto& command : std::exchange(clockwork_->doubt->commands, {}))
    command->fail(fail(Code::unknown, "the hub's store does not answer", {}, "repeat with the same key"));
}

void Engine::close_desk(const Error& error) {
  auto& desk = clockwork_->desk;
  while (!desk.fetches.empty()) desk.close(desk.fetches.begin()->first)->answer(error);
  for (auto& [id, waiter] : std::exchange(desk.operations, {})) waiter.answer(error);
}

// What became of the commit of this tick; only the store can tell. nullopt: it does not answer.
std::optional<store::Committed> Engine::outcome_of(std::int64_t number) {
  try {
    if (!in_step()) return std::nullopt;
    return store_.committed(number);
  } catch (const store::StoreFailed& failed) {
    if (failed.failure == store::Failure::deposed) return store::Committed::deposed;
    if (failed.failure == store::Failure::fatal) throw;
    clockwork_->stale = true;
    return std::nullopt;
  }
}

// False: there is still nobody who knows.
bool Engine::resolve_doubt() {
  auto& work = *clockwork_;
  const auto became = outcome_of(work.doubt->number);
  if (!became) return false;
  auto doubt = std::move(*work.doubt);
  work.doubt.reset();
  settle_doubt(*became, *doubt.tick, doubt.commands);
  for (auto& command : doubt.commands) command->fail(not_done());
  return true;
}

// Leaves the commands of a tick that was not done to the caller.
Engine::Ran Engine::settle_doubt(store::Committed became, Tick& tick, std::deque<std::unique_ptr<Command>>& commands) {
  if (became == store::Committed::done) {
    finish(tick, commands);
    commands.clear();
    return Ran::committed;
  }
  answer_replaced(tick);
  if (became == store::Committed::not_done) return Ran::refused;
  for (auto& command : commands)
    command->fail(fail(Code::unknown, "another hub leads now", {}, "repeat with the same key"));
  commands.clear();
  throw store::StoreFailed(store::Failure::deposed, "another hub leads on this store");
}

}  // namespace geres::hub::engine
