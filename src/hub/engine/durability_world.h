// SPDX-License-Identifier: Apache-2.0
// A scripted life of the real engine on the real SQLite store, on a disk in memory that fails when it is told to. What
// the engine answered is written down as facts; whatever the disk did, a store that is opened afterwards must know
// them, must know nothing of what was refused, must break no rule of the auditor, and the run must be able to go on to
// its end.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "hub/engine/engine.h"
#include "hub/engine/state.h"
#include "hub/engine/with_jobs.h"
#include "hub/store/sqlite/memory_vfs.h"
#include "hub/store/sqlite/sqlite_store.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::engine {

using store::sqlite::MemoryDisk;

class DurableWorld {
 public:
  explicit DurableWorld(MemoryDisk& disk) : disk(disk) {
    options.slice = 2;
    options.lease = 20'000;
    options.keep_finished = options.keep_failed = 3'600'000;
    options.keep_key_min = 3'600'000;
  }
  ~DurableWorld() { close(); }

  // ---- the script. Throws StoreFailed (fatal) where the hub would stop.
  using Step = std::function<void(DurableWorld&)>;
  static const std::vector<Step>& script();
  // True: all steps were done; false: the hub stopped in the middle, saying why.
  bool run();
  std::string stopped;  // the sentence

  // ---- a life
  void open() {
    store = store::open_sqlite("durable.db", {.vfs = disk.vfs(),
                                              .lock_file = false,
                                              .single_connection = true,
                                              .checkpoint_pages = 25,
                                              .check_limit = 0,
                                              .reserve_bytes = 0});
    engine = std::make_unique<Engine>(*store, clock, random, options);
    engine->on_events([this](const auto& rows) {
      if (watch) watch(true);
      told.insert(told.end(), rows.begin(), rows.end());
    });
    engine->on_purged([this](const auto& ids) { purged.insert(ids.begin(), ids.end()); });
    engine->load();
    settle();
  }
  void close() {
    engine.reset();
    store.reset();
  }
  void settle() {
    int rounds = 0;
    do engine->tick();
    while (engine->until_next() == 0 && ++rounds < 200);
  }
  void pass(Millis time) {
    for (Millis left = time; left > 0; left -= 900) {
      clock.advance(std::min<Millis>(left, 900));
      settle();
    }
  }

  // Called at each good answer, and when events are told; true: it tells of something new.
  std::function<void(bool news)> watch;

  // ---- facts
  std::map<std::string, Uuid> jobs;     // acknowledged, by name
  std::set<std::string> refused;        // names of submits that were said to have done nothing
  std::map<Uuid, std::int64_t> seen;    // the version an answer showed
  std::set<Uuid> cancelled;             // acknowledged
  std::map<Uuid, model::Outcome> done;  // accepted completions, by lease
  std::map<Uuid, Uuid> redriven;        // old → new
  std::set<std::string> batches;        // names
  std::map<Uuid, std::string> keyed;    // job → its key
  std::vector<store::EventRow> told;    // to those who follow the events
  std::set<Uuid> purged;
  int answers = 0, refusals = 0, unknowns = 0;

  // What the store has must fit the facts.
  void check();
  // A new host takes all there is until nothing is left to do.
  void finish();

  // ---- what steps do
  template <class T>
  std::optional<T> ask(const std::function<void(Answer<T>)>& post) {
    struct Slot {
      std::optional<Result<T>> result;
    };
    const auto slot = std::make_shared<Slot>();  // an engine that is gone may still answer
    last = Code::unknown;
    post([slot, this](Result<T> answer) {
      if (watch && answer) watch(std::is_same_v<T, Submitted> || std::is_same_v<T, model::Host>);
      EXPECT_FALSE(slot->result) << "answered twice";
      slot->result.emplace(std::move(answer));
    });
    try {
      for (int i = 0; i < 50 && !slot->result; ++i) engine->tick();
    } catch (...) {
      EXPECT_TRUE(!slot->result || !*slot->result) << "a hub that stops has nothing good to say";
      ++unknowns;
      throw;
    }
    if (!slot->result) return std::nullopt;  // bulk work that makes jobs waits for room
    if (!*slot->result) {
      last = slot->result->error().code;
      last == Code::unknown ? ++unknowns : ++refusals;
      EXPECT_TRUE(last == Code::storageFull || last == Code::notDone || last == Code::hostGone ||
                  last == Code::unknownPackage)
          << slot->result->error().message;
      return std::nullopt;
    }
    ++answers;
    return std::move(**slot->result);
  }
  static Caller admin() { return {"admin", true, true, {}}; }
  static NewJob job(const std::string& name);
  void submit(const std::vector<NewJob>& list, const std::string& list_key = {});
  void push();
  void join();
  void fetch(int slots);
  void report(ReportCall call);
  void end(std::size_t which, model::Outcome outcome, int attempts_left = 1);
  void cancel(const std::string& name);
  void redrive(const std::string& name);
  void batch(const std::string& name);

  struct Held {
    Uuid lease;
    Uuid job;
  };

  MemoryDisk& disk;
  ManualClock clock;
  SeededRandom random{42};
  Options options{.check_passes = true};
  std::unique_ptr<store::Store> store;
  std::unique_ptr<Engine> engine;
  Code last = Code::internal;
  Uuid host;
  std::int64_t report_seq = 0;
  int fetches = 0, host_lives = 0;
  std::vector<Held> held;
};

}  // namespace geres::hub::engine
