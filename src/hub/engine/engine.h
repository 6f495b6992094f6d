// SPDX-License-Identifier: Apache-2.0
// The heart: a single-threaded state machine. Commands come in from any thread and wait in a queue; tick() takes them,
// applies them in one store transaction together with whatever is due, commits, and only then answers. Time, chance
// and the store come in as arguments. It owns no durable state: what it keeps in memory is built from committed rows
// and is dropped and read again whenever a commit fails.
//
// The verbs below may be called from any thread; each answers once, on the thread that runs tick(). Everything else
// is for that thread alone. What can go wrong: the Error that the verb's comment names; notDone (nothing has happened:
// try again), unknown (it may have happened: repeat with the key), storageFull, unavailable (stopping).
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

  // ---- jobs
  // unknownBatch, batchClosed, unknownPackage, unknownType, unknownFile, keyReused, tooManyQueued, tooManyLanes
  void submit(Submit submit, Answer<Submitted> answer);
  void patch_job(Caller caller, Uuid job, JobPatch patch, Answer<model::Job> answer);    // unknownJob, notWaiting
  void cancel_job(Caller caller, Uuid job, CancelWhat what, Answer<model::Job> answer);  // unknownJob
  void redrive_job(Caller caller, Uuid job, Answer<model::Job> answer);  // unknownJob, notEnded, batchClosed
  void dismiss_job(Caller caller, Uuid job, Answer<model::Job> answer);  // unknownJob, notEnded, conflict
  // The answer comes after the last slice: which jobs were changed.
  void cancel_where(Caller caller, store::JobFilter filter, CancelWhat what, Answer<BulkDone> answer);
  void redrive_where(Caller caller, store::JobFilter filter, Answer<BulkDone> answer);
  void dismiss_where(Caller caller, store::JobFilter filter, Answer<BulkDone> answer);

  // ---- batches: `batch` is an id or a name
  void create_batch(Caller caller, NewBatch batch, Answer<model::Batch> answer);    // nameTaken, forbidden
  void close_batch(Caller caller, std::string batch, Answer<model::Batch> answer);  // unknownBatch, batchFixed
  void cancel_batch(Caller caller, std::string batch, CancelWhat what, Answer<model::Batch> answer);
  void pause_batch(Caller caller, std::string batch, bool paused, Answer<model::Batch> answer);
  // With its jobs, which must have ended: answers how many there were. batchOpen, notEnded
  void delete_batch(Caller caller, std::string batch, Answer<BulkDone> answer);

  // ---- tenants, packages, tokens
  void put_tenant(std::string tenant, TenantSettings settings, Answer<model::Tenant> answer);
  // The blob must be stored already. Pushing the newest version's digest again changes nothing.
  void put_package(model::PackageVersion package, Answer<KeptPackage> answer);
  // All versions, or the one with this digest. unknownPackage, packageInUse
  void delete_package(std::string tenant, std::string name, std::string sha256, Answer<std::int64_t> answer);
  void create_token(model::Token token, Answer<model::Token> answer);  // id and created_at are filled in; nameTaken
  void delete_token(Uuid token, Answer<bool> answer);                  // notFound

  // ---- webhooks: the caller has checked addresses, types and batches
  // id, created_at and cursor are filled in. tooMany, nameTaken, conflict
  void create_webhook(Caller caller, model::Webhook webhook, Answer<model::Webhook> answer);
  void patch_webhook(Caller caller, Uuid webhook, WebhookPatch patch, Answer<model::Webhook> answer);  // notFound
  void delete_webhook(Caller caller, Uuid webhook, Answer<bool> answer);                               // notFound
  void replay_webhook(Caller caller, Uuid webhook, ReplayWhat what, Answer<std::int64_t> answer);      // notFound
  void settle_deliveries(DeliveryNews news, Answer<bool> answer);
  // Of another reader of the log. True once it is on disk.
  void store_cursor(store::CursorRow cursor, Answer<bool> answer);

  // ---- hosts
  void register_host(RegisterHost host, Answer<model::Host> answer);  // hostAlive
  // Answers when there is something to say, when `wait` is over, or when another fetch of this host takes its place.
  // hostGone: register again.
  void fetch(FetchCall call, Answer<FetchAnswer> answer);
  // Its caller has gone; nothing more is granted to it. A repeat of the same fetch, received later, is another call.
  void abandon_fetch(Uuid host, std::string fetch_id, Millis received_at);
  void report(ReportCall call, Answer<ReportAnswer> answer);                            // hostGone
  void set_host_mode(std::string host, model::HostMode mode, Answer<HostInfo> answer);  // id or name; notFound
  void snapshot(Answer<SnapshotPtr> answer);  // as it is after all that was asked for before; unavailable

  // ---- between ticks, any thread
  std::optional<LeaseInfo> lease(Uuid name) const;  // nullopt: not current
  const Stats& stats() const { return stats_; }
  std::string log() const;  // names the event log; after the first load

  // ---- the thread that ticks
  void on_events(EventSink sink) { event_sink_ = std::move(sink); }  // before the first tick
  void on_webhooks(WebhookSink sink) { webhook_sink_ = std::move(sink); }
  void on_purged(PurgeSink sink) { purge_sink_ = std::move(sink); }
  void on_batches_gone(PurgeSink sink) { batches_gone_sink_ = std::move(sink); }
  void load();                        // reads the store; the first tick does it if need be
  store::EventNo last_event() const;  // the newest in the log; after load()
  void tick();                        // one round; throws StoreFailed{fatal} when the hub must stop
  // How long until something is due: 0 when there is work now. At most a quarter of a second.
  Millis until_next() const;
  bool anything_queued() const;        // commands, or readers
  void wait_for_work(Millis at_most);  // returns at once when a command waits
  void wake();
  // Refuses new commands with unavailable and ends all open fetches with mode run; what is queued is still done.
  void stop_accepting();
  void abort();                       // after a fatal failure: what is queued fails with notDone
  State& state() { return *state_; }  // tests and checks only

 private:
  struct Clockwork;
  template <class Out, class F>
  void call(F verb, Answer<Out> answer, bool grows = false, std::size_t weight = 1);
  void post(std::unique_ptr<Command> command);
  Now now() const;
  void advance_ages();
  std::deque<std::unique_ptr<Command>> take_commands();
  void run(std::deque<std::unique_ptr<Command>> commands);
  void run_one_by_one(std::deque<std::unique_ptr<Command>> commands, bool growing);
  enum class Ran { committed, refused, half_done, full };
  Ran attempt(std::deque<std::unique_ptr<Command>>& commands, bool growing);
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
  PurgeSink purge_sink_, batches_gone_sink_;
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
