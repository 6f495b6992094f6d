// SPDX-License-Identifier: Apache-2.0
// One round of the engine: the verbs as they run inside the transaction, and the steps that follow them. Each verb
// checks first and changes then, so that a command that fails its own checks fails alone.
//
// A Tick lives for one transaction. In-memory state is changed as it goes; when the commit fails the whole State is
// dropped and read again. What goes out (answers, events) is kept until the commit.
#pragma once

#include "hub/engine/command.h"
#include "hub/engine/desk.h"
#include "hub/engine/engine.h"
#include "hub/engine/state.h"
#include "model/job_transitions.h"

namespace geres::hub::engine {

struct Now {
  Millis monotonic = 0;
  Millis wall = 0;
  Millis engine = 0;  // monotonic, anchored at the wall clock when the state was loaded: for stored durations
  Millis lease = 0;   // monotonic less the engine's own pauses: for lease deadlines
  Millis ages = 0;    // wall, as far as it is to be believed: for what is purged by its age
};

class Tick {
 public:
  Tick(State& state, Desk& desk, store::Store& store, IdSource& ids, Random& random, const Options& options,
       Stats& stats, const Now& now)
      : state_(state),
        desk_(desk),
        store_(store),
        ids_(ids),
        random_(random),
        options_(options),
        stats_(stats),
        now_(now) {}

  // ---- verbs: submit.cpp
  Result<Submitted> submit(const Submit& submit);
  // waiting.cpp
  Result<model::Job> patch_job(const Caller& caller, Uuid id, const JobPatch& patch);
  Result<model::Job> cancel_job(const Caller& caller, Uuid id, const CancelWhat& what);
  Result<model::Job> redrive_job(const Caller& caller, Uuid id);
  Result<model::Job> dismiss_job(const Caller& caller, Uuid id);
  // operations.cpp
  Result<Uuid> start_operation(const Caller& caller, store::OperationKind kind, const store::JobFilter& filter,
                               const CancelWhat& what);
  // catalogue.cpp
  Result<model::Batch> create_batch(const Caller& caller, const NewBatch& batch);
  Result<model::Batch> close_batch(const Caller& caller, const std::string& batch);
  Result<model::Batch> cancel_batch(const Caller& caller, const std::string& batch, const CancelWhat& what);
  Result<model::Batch> pause_batch(const Caller& caller, const std::string& batch, bool paused);
  Result<Uuid> delete_batch(const Caller& caller, const std::string& batch);  // an operation
  Result<model::Tenant> put_tenant(const std::string& tenant, const TenantSettings& settings);
  Result<KeptPackage> put_package(const model::PackageVersion& package);
  Result<std::int64_t> delete_package(const std::string& tenant, const std::string& name, const std::string& sha256);
  Result<model::Token> create_token(const model::Token& token);
  Result<bool> delete_token(Uuid id);
  // webhooks.cpp
  Result<model::Webhook> create_webhook(const Caller& caller, model::Webhook webhook);
  Result<model::Webhook> patch_webhook(const Caller& caller, Uuid id, const WebhookPatch& patch);
  Result<bool> delete_webhook(const Caller& caller, Uuid id);
  Result<std::int64_t> replay_webhook(const Caller& caller, Uuid id, const ReplayWhat& what);
  Result<Uuid> replay_dead(const Caller& caller, Uuid id);  // all its dead letters: an operation
  Result<bool> settle_deliveries(const DeliveryNews& news);
  Result<bool> store_cursor(const store::CursorRow& cursor);
  // hosts.cpp
  Result<model::Host> register_host(const RegisterHost& host);
  Result<HostInfo> set_host_mode(const std::string& host, model::HostMode mode);
  SnapshotPtr snapshot();  // engine_readers.cpp
  // An open fetch is parked on the desk by its command; this takes note of it.
  Result<std::optional<FetchAnswer>> fetch_opened(const FetchCall& call);  // an answer: nothing is to be waited for
  // report.cpp
  Result<ReportAnswer> report(const ReportCall& call);

  // ---- steps, in this order after the verbs
  void expire_leases();               // report.cpp
  void watch_hosts();                 // hosts.cpp
  void write_progress();              // report.cpp
  void promote_due();                 // waiting.cpp
  void expire_queued();               // waiting.cpp
  void run_operations(bool growing);  // operations.cpp
  void sweep();                       // operations.cpp: retention, a slice
  void grant();                       // claim.cpp: scheduler → leases
  void answer_fetches();              // hosts.cpp: those with something to say, or whose time is over
  void flush();                       // applies what has gathered

  bool wrote() const { return wrote_; }
  std::size_t written() const { return flushed_ + changes_.size(); }  // rows so far

  // ---- what goes out after the commit
  struct FetchReply {
    Uuid host;
    std::string fetch_id;
    FetchAnswer answer;
  };
  std::vector<FetchReply> fetch_replies;
  std::vector<OpenFetch> replaced_fetches;  // by a newer fetch: answered empty
  std::vector<OpenFetch> repeated_fetches;  // by a newer copy of the same: refused
  std::vector<store::EventRow> events;
  std::vector<Uuid> hosts_forgotten;  // their open fetches end with hostGone
  std::vector<Uuid> purged, batches_gone;
  WebhookNews webhook_news;
  struct SliceDone {
    Uuid operation;
    BulkDone done;  // by this slice
    bool last = false;
  };
  std::vector<SliceDone> slices_done;
  std::vector<std::pair<Uuid, LeaseInfo>> leases_added;
  std::vector<Uuid> leases_gone;
  std::vector<Observed> observed;
  bool more = false;  // there is work left for another tick at once

  const Now& now() const { return now_; }
  State& state() { return state_; }
  Desk& desk() { return desk_; }

 private:
  friend class FetchCommand;

  // ---- shared by the verbs: tick.cpp
  std::optional<model::Job> visible_job(const Caller& caller, Uuid id);  // as of this very moment
  LeaseState* current_lease(Uuid name);
  TenantState& tenant(const std::string& name);  // made on first use
  Result<void> has_room(const std::string& tenant, const std::set<store::LaneKey>& lanes) const;
  void make_room(const TenantState& owner, std::size_t lanes);
  void note_use(LaneState& lane);
  Result<LaneState*> lane(const store::LaneKey& key);  // likewise; tooManyLanes
  Result<LaneState*> lane_of(model::Job& job);         // likewise; the job may have to avoid nobody for it
  void move(model::Job& job, model::Trigger trigger);  // state, version, counters; asserts that the move is legal
  void count_dead_letter(const model::Job& job, std::int64_t by);
  void count(BatchState& batch, const std::string& tenant, model::JobState state, std::int64_t by);
  void emit(store::EventType type, const model::Job& job, std::string extra = {});
  void emit(store::EventType type, Uuid subject, const std::string& tenant, std::string data);
  void emit_if_completed(BatchState& batch);
  void update(const model::Job& job);

  // Puts a job that is in no hot table into one. `lane` may be given when known.
  void make_ready(model::Job& job, LaneState& lane);
  void make_scheduled(const model::Job& job, Millis due, bool by_wall, Millis duration);
  // Takes a waiting job out of its hot table (its state must be ready or scheduled).
  void take_out(const model::Job& job);
  void lane_gained(LaneState& lane, const store::ReadyRow& row);
  void lane_lost(LaneState& lane, const store::ReadyRow& row);

  // ---- submit.cpp
  struct Prepared;
  Result<void> prepare(const Submit& submit, std::size_t index, Prepared& prepared);
  Result<void> check_room(const std::string& tenant, std::int64_t jobs) const;
  Result<void> check_lanes(const std::vector<Prepared>& prepared, const Submit& submit);
  Result<void> check_queue_limits(const std::vector<Prepared>& prepared, const Submit& submit);
  model::Job insert(const model::JobSpec& spec, LaneState& lane, std::optional<Uuid> redrive_of);

  // ---- catalogue.cpp
  BatchState* find_batch(const std::string& tenant, const std::string& text);  // as seen by a job of that tenant
  Result<BatchState*> batch_for(const Caller& caller, const std::string& text, bool change);
  bool forget_if_empty(const BatchState& batch);

  // ---- waiting.cpp
  void cancel_waiting(model::Job& job, const CancelWhat& what);
  void request_cancel(LeaseState& lease, const CancelWhat& what);
  bool cancel_any(model::Job& job, const CancelWhat& what);
  Result<model::Job> redrive(model::Job job, const std::string& by);
  bool settle(model::Job& job);
  void settle_redriven(Uuid id);

  // ---- operations.cpp
  void cancel_leased(const store::OperationRow& operation);
  void add_retention_rules(model::JobState job_state);
  bool run_slice(store::OperationRow& operation);
  bool settle_slice(store::OperationRow& operation, SliceDone done);
  void purge(const model::Job& job);
  void forget_empty_batches();
  void drop_lanes(const std::function<bool(const LaneState&)>& wanted);  // of those that are idle
  std::map<store::LaneKey, LaneState>::iterator drop_lane(std::map<store::LaneKey, LaneState>::iterator lane);

  // ---- webhooks.cpp
  Result<model::Webhook*> webhook_for(const Caller& caller, Uuid id);
  void put_webhook(const model::Webhook& webhook);
  void deliver(const model::Job& job, const store::EventRow& event);  // to the job's own address
  bool replay_slice(store::OperationRow& operation);
  void revive(store::DeliveryRow row);
  bool sweep_webhooks();  // false: there is more

  // ---- claim.cpp
  struct Views;
  Views views(bool all_lanes);
  bool has_unstarted(const HostState& host) const;
  bool has_host(LaneState& lane);
  void let_in(Views& views);
  void note_service(const Views& views, const Schedule& plan);
  FetchReply& reply_to(HostState& host);
  void lease_out(model::Job job, LaneState& lane, HostState& host, FetchAnswer& answer);
  void end_lease(LeaseState& lease);

  // ---- hosts.cpp
  HostState* seen_host(Uuid id);
  void confirm_answers(HostState& host, const std::function<bool(const std::string& fetch_id)>& heard);
  void emit_host(store::EventType type, const HostState& host);
  void forget_host(Uuid id);
  HostInfo info(const HostState& host) const;
  std::vector<CancelOrder> cancels_for(HostState& host, bool in_fetch);
  std::vector<Granted> leases_of_fetch(const HostState& host, const std::string& fetch_id);
  std::vector<CancelOrder> cancels_of_fetch(const HostState& host, const std::string& fetch_id);

  // ---- report.cpp
  enum class Verdict { accepted, stale, conflict, filesMissing };
  Verdict complete(const Uuid& host, const Completion& item);
  Verdict completed_before(const Completion& item);
  void start(LeaseState& lease);
  void take_progress(LeaseState& lease, const model::Progress& progress);
  void store_progress(LeaseState& lease);
  // How every attempt ends. Takes the lease away.
  void end_attempt(LeaseState& lease, model::Outcome outcome, const Completion* item);
  void learn_duration(LaneState& lane, Millis took);
  void settle_job(model::Job& job, LaneState& lane, model::Outcome outcome, bool cancel_requested, bool unstarted);
  void fail_for_good(model::Job& job, model::Reason reason);
  void ready_again(model::Job& job, LaneState& lane);
  void pause(model::Job& job, Millis pause);
  void release_unheard(HostState& host, const ReportCall& call);

  // ---- host_trouble.cpp
  static bool was_not_started(const LeaseState& lease, model::Outcome outcome, const Completion* item);
  void book_trouble(model::Job& job, const LeaseState& lease, model::Outcome outcome, const Completion* item);
  void book_health(const LeaseState& lease, model::Outcome outcome, const Completion* item);
  bool is_poison(const model::Job& job, const LaneState& lane) const;
  void settle_unstarted(model::Job& job);
  bool another_fits(const LaneState& lane, const std::string& avoided) const;

  State& state_;
  Desk& desk_;
  store::Store& store_;
  IdSource& ids_;
  Random& random_;
  const Options& options_;
  Stats& stats_;
  const Now now_;
  store::Changes changes_;
  std::map<std::pair<Uuid, std::string>, model::StateCounts> deltas_;
  std::map<std::pair<std::string, std::string>, std::pair<Uuid, std::string>>
      fresh_keys_;                                  // (tenant, key) → id, digest
  std::set<Uuid> fetched_now_;                      // hosts whose fetch was opened in this tick
  bool newcomers_ = false;                          // a tenant may want something that wanted nothing before
  std::unordered_map<Uuid, std::size_t> reply_of_;  // by host: its place among the replies
  std::size_t flushed_ = 0;
  bool wrote_ = false;
};

// "host tiny: no space left; host old: …"
std::string reasons_text(const model::HostTrouble& trouble);

// Builds the whole state from the store.
std::unique_ptr<State> load_state(store::Store& store, const Now& now, IdSource& ids);

}  // namespace geres::hub::engine
