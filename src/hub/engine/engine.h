// SPDX-License-Identifier: Apache-2.0
// The heart: a single-threaded state machine. Commands come in from any thread and wait in a queue; tick() takes them,
// applies them in one store transaction together with whatever is due, commits, and only then answers. Time, chance
// and the store come in as arguments. It owns no durable state: what it keeps in memory is built from committed rows
// and is dropped and read again whenever a commit fails.
//
// Verbs may be asked from any thread; each is answered once, on the thread that runs tick().
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "base/clock.h"
#include "base/uuid.h"
#include "hub/engine/options.h"
#include "hub/engine/registry_news.h"
#include "hub/engine/stats.h"
#include "hub/engine/verbs.h"
#include "hub/store/store.h"

namespace geres::hub::engine {

struct State;
struct Tick;
class Command;
struct Now;
struct Round;

class Engine {
 public:
  Engine(store::Store& store, const Clock& clock, Random& random, Options options = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // ---- any thread
  // Any of the verbs in verbs.h.
  template <class Verb>
  void ask(Verb verb, Answer<typename Verb::Out> answer);
  // Its caller has gone; nothing more is granted to it. A repeat of the same fetch, received later, is another call.
  void abandon_fetch(Uuid host, std::string fetch_id, Millis received_at);
  void snapshot(Answer<SnapshotPtr> answer);  // as it is after all that was asked for before; unavailable

  // Between ticks:
  std::optional<LeaseInfo> lease(Uuid name) const;  // nullopt: not current
  const Stats& stats() const { return stats_; }
  std::string log() const;  // names the event log; after the first load

  // ---- the thread that ticks
  void on_events(EventSink sink) { event_sink_ = std::move(sink); }  // before the first tick
  void on_webhooks(WebhookSink sink) { webhook_sink_ = std::move(sink); }
  void on_purged(PurgeSink sink) { purge_sink_ = std::move(sink); }
  void on_registry(RegistrySink sink) { registry_sink_ = std::move(sink); }
  void load();                        // reads the store; the first tick does it if need be. Throws StoreFailed
  store::EventNo last_event() const;  // the newest in the log; after load()
  void tick();                        // one round; throws StoreFailed{fatal or deposed} when the hub must stop
  // How long until something is due: 0 when there is work now. At most a quarter of a second.
  Millis until_next() const;
  bool anything_queued() const;        // commands, or readers
  void wait_for_work(Millis at_most);  // returns at once when a command waits
  void wake();
  // Refuses new commands with unavailable and ends all open fetches with mode run; what is queued is still done.
  void stop_accepting();
  void abort();  // after a fatal failure: what is queued fails with notDone
  // Tests and checks only:
  State& state() { return *state_; }
  bool waits_for_store() const;  // then the state may differ from what is stored

 private:
  struct Clockwork;
  void post(std::unique_ptr<Command> command);
  Now now() const;
  void advance_ages();
  std::deque<std::unique_ptr<Command>> take_commands();
  void run(std::deque<std::unique_ptr<Command>> commands);
  void run_one_by_one(std::deque<std::unique_ptr<Command>> commands, bool growing);
  bool in_step();
  void wait_for_store();
  enum class Ran { committed, refused, half_done, full, in_doubt };
  Ran attempt(std::deque<std::unique_ptr<Command>>& commands, bool growing);
  std::optional<store::Committed> outcome_of(std::int64_t number);
  bool resolve_doubt();
  Ran settle_doubt(store::Committed became, Tick& tick, std::deque<std::unique_ptr<Command>>& commands);
  void finish(Tick& tick, std::deque<std::unique_ptr<Command>>& commands);
  void end_doubt();
  void close_desk(const Error& error);
  void publish(Tick& tick);
  void answer_replaced(Tick& tick);
  void settle(Tick& tick);
  void take_up_fetches();
  Round new_round();
  SnapshotPtr make_snapshot();
  bool readers_due() const;
  bool only_readers() const;
  void answer_readers();
  Millis until_due() const;

  store::Store& store_;
  const Clock& clock_;
  Random& random_;
  const Options options_;
  Stats stats_;
  EventSink event_sink_;
  PurgeSink purge_sink_;
  RegistrySink registry_sink_;
  WebhookSink webhook_sink_;
  std::unique_ptr<State> state_;
  std::unique_ptr<Clockwork> clockwork_;

  mutable std::mutex queue_mutex_;
  std::condition_variable queue_filled_;
  std::deque<std::unique_ptr<Command>> queue_;
  std::vector<Answer<SnapshotPtr>> readers_;
  std::chrono::steady_clock::time_point next_snapshot_{};
  bool accepting_ = true;
  bool woken_ = false;

  mutable std::shared_mutex leases_mutex_;
  std::unordered_map<Uuid, LeaseInfo> lease_index_;
  std::string log_;
};

// Runs an engine's ticks on a thread of its own. On a fatal store failure calls `on_fatal` once and ends.
class EngineThread {
 public:
  EngineThread(Engine& engine, std::function<void(const std::string&)> on_fatal);
  ~EngineThread();
  void start();
  void stop();  // finishes what is queued

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace geres::hub::engine
