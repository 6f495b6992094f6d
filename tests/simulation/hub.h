// SPDX-License-Identifier: Apache-2.0
// The hub's machine: the real engine on the real SQLite store, on a disk in memory, through one life after the other.
// It is killed, loses its power, freezes, is stopped; its disk fails, fills and slows down; its commits are refused or
// end in doubt. Whatever it answers is booked at the moment when it says so, provided that it still lives then.
#pragma once

#include <memory>
#include <optional>

#include "hub/engine/engine.h"
#include "hub/engine/faulty_store.h"
#include "hub/engine/with_jobs.h"
#include "hub/store/sqlite/memory_vfs.h"
#include "hub/store/with_jobs.h"
#include "simulation/ledger.h"
#include "simulation/plan.h"
#include "simulation/timeline.h"
#include "simulation/trace.h"

namespace geres::simulation {

using hub::engine::Answer;
using hub::engine::Engine;
using store::sqlite::MemoryDisk;

class Hub {
 public:
  Hub(Timeline& timeline, Dice& dice, const Plan& plan, Ledger& ledger, Trace& trace);
  ~Hub();

  void start();
  bool alive() const { return engine_ != nullptr; }
  Engine& engine() { return *engine_; }
  hub::engine::FaultyStore& store() { return *store_; }
  HubClock& clock() { return clock_; }
  bool busy() const { return timeline_.now() < busy_until_; }  // with a tick, in true time
  int life() const { return life_; }
  Millis held_up() const { return held_up_; }  // by the disk, in this very tick

  // A request that has arrived: taken now, when the hub wakes up, or never if it is dead.
  void receive(std::function<void(Engine&)> request);
  // An answer of the engine: taken once, unless the machine died before it was given.
  template <class T>
  Answer<T> answer(std::function<void(Result<T>&)> take) {
    return [this, take = std::move(take), given = std::make_shared<bool>(false)](Result<T> result) {
      if (disk_.cut()) return;
      if (std::exchange(*given, true)) return ledger_.violate("answer", "a request was answered twice");
      take(result);
    };
  }
  // A purge whose commit is in doubt has been told to nobody, but readers of the store see that the job is gone.
  bool may_have_purged(Uuid job);
  // The newest event that the hub has told anybody.
  store::EventNo told() const { return ledger_.last_event(); }

  // ---- trouble
  void die(bool power);         // between two ticks
  void die_inside(bool power);  // at some operation of the disk that is to come
  void fail_disk(bool sync);    // one that is to come
  void freeze(Millis time);
  void stop();           // in order
  void refuse_commit();  // the next one
  void doubt_commit(bool happened);
  void refuse_job(std::string name) { store_->poisoned_name = std::move(name); }
  void fill_disk(Millis time);
  void slow_disk(Millis time, Millis each_sync);
  void heal();

 private:
  int calls_away() const;
  void schedule_tick(Millis at);
  void tick();
  void after_tick();
  bool may_be_purged(const JobRecord& job);  // its time is over
  void book_purged(const std::vector<Uuid>& ids);
  void audit();
  void count_paths(std::int64_t refused_before, std::int64_t expired_before);
  void end_life(const char* how, bool power);
  void come_back(Millis delay);
  void thaw();
  void when_free(std::function<void()> act);
  void take_up_unheard();

  Timeline& timeline_;
  Dice& dice_;
  const Plan& plan_;
  Ledger& ledger_;
  Trace& trace_;
  HubClock clock_;
  MemoryDisk disk_;
  SeededRandom random_;
  std::unique_ptr<hub::engine::FaultyStore> store_;
  std::unique_ptr<Engine> engine_;
  // When the commit that is just over was over, in true time.
  Millis free_at() const { return timeline_.now() + Millis(double(held_up_) / 0.98); }
  int life_ = 0;
  int life_token_ = 0;  // raised when a life ends, so that what was meant for it is dropped
  Millis next_tick_ = -1;
  Millis frozen_until_ = 0, busy_until_ = 0;
  std::vector<std::function<void(Engine&)>> at_the_door_;  // of a frozen one
  Millis over_at_ = 0;                                     // when the last life ended, in true time
  Millis held_up_ = 0;
  Millis each_sync_ = 0;
  std::optional<bool> dying_;  // power
  bool fail_sync_ = false, sync_failed_ = false;
  std::optional<bool> doubt_;
  int waiting_requests_ = 0;
  std::uint64_t ticks_ = 0;
  bool healed_ = false;
  bool had_operations_ = false;
};

}  // namespace geres::simulation
