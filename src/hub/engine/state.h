// SPDX-License-Identifier: Apache-2.0
// What the engine keeps in memory: counters, heads, leases, hosts. Built from the store (load) and the current tick,
// never the only place where anything stands.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "hub/engine/account.h"
#include "hub/engine/arrivals.h"
#include "hub/engine/board.h"
#include "hub/engine/host_health.h"
#include "hub/engine/verbs.h"
#include "hub/store/store.h"

namespace geres::hub::engine {

// Where a tenant or batch stands in the views that are being made.
struct ViewPlace {
  std::int64_t in = -1;  // State::views
  std::size_t index = 0;
};

struct TenantState {
  model::Tenant row;
  ViewPlace view;
  std::int64_t running = 0;  // leases
  std::int64_t slots = 0;    // those leases use
  std::int64_t live = 0;     // jobs not ended
  std::size_t lanes = 0;
  std::size_t busy_lanes = 0;  // those in which jobs are ready or run
  Account account;
  model::MeanDuration duration;  // of its jobs in all lanes
  TenantPlace place;
};

struct BatchState {
  model::Batch row;
  ViewPlace view;
  std::map<std::string, model::StateCounts> counts;  // by tenant
  std::int64_t running = 0;                          // leases
  std::int64_t live = 0;                             // jobs not ended
  bool completed = false;                            // its completion has been told
  BatchPlace place;
};

struct PoolState;

struct LaneState {
  store::LaneRow row;
  TenantState* tenant = nullptr;
  BatchState* batch = nullptr;
  std::int64_t ready = 0;    // changed by State::set_ready alone
  std::size_t waits_at = 0;  // its place in State::waiting, while ready > 0
  std::optional<store::ReadyRow> head;
  std::optional<std::int64_t> one_priority;  // of all that is ready; none: it may have several
  std::int64_t leases = 0;
  Millis passed_over_since = 0;  // monotonic: hosts were open and it had ready jobs, and got none; 0: not so
  std::shared_ptr<const store::LaneKey> shown;  // its key, to readers; null: not shown yet
  bool busy = false;                            // ready jobs or leases: see Lanes::note_use
  Millis idle_since = 0;                        // monotonic
  double duration_written = 0;                  // the mean as it stands in the store
  Work work = 0;
  PoolState* pool = nullptr;  // pool_load.h: valid as of that version of the pools
  std::int64_t pool_as_of = 0;
  LanePlace place;
};

struct LeaseState {
  LeaseState();
  LeaseState(LeaseState&&) noexcept;
  LeaseState& operator=(LeaseState&&) noexcept;
  ~LeaseState();

  store::LeaseRow row;
  std::unique_ptr<model::Job> job;  // never null; as of now, without parameters and inputs
  LaneState* lane = nullptr;
  Account::Charge charge;
  Millis deadline = 0;  // on the lease clock
  bool held = false;    // its host has said so
  bool cancel_confirmed = false;
  std::optional<model::Progress> unwritten_progress;
  Millis progress_written = 0;  // monotonic; 0: never
};

struct HostState {
  model::Host row;       // its tenants in order
  Millis last_seen = 0;  // monotonic
  Millis last_seen_wall = 0;
  Millis last_took = 0;  // monotonic: it asked for jobs then, or had no room for more
  std::int64_t last_seq = -1;
  std::unordered_set<store::Seq> leases;
  int slots_used = 0;
  std::int64_t memory_used = 0;
  TenantState* kept_free_for = nullptr;  // a dedicated batch of this tenant waits for it to be empty
  TenantState* payer = nullptr;          // of the slots that stand idle for a dedicated batch
  int idle_slots = 0;
  bool lost = false;
  Millis idle_since = 0;  // wall: valid while it has no lease
  HostHealth health;
  RecentWork has_done{};
  bool just_registered = true;       // not heard of yet
  bool let_a_lease_run_out = false;  // since it was heard of: its open fetch is granted nothing
  std::string fetch_id;              // the newest
  bool fetch_answered = true;        // a copy of it, or one may have been in the hub's life before
  bool fetch_heard = false;          // its answer was taken in: a copy that comes now is late, and nobody awaits it
  std::deque<std::string> fetches;   // the last few, oldest first
  std::shared_ptr<const HostInfo> shown;  // to readers; null: something of it has changed since
  HostPlace place;
  model::HostMode mode_told = model::HostMode::run;
  // Not confirmed yet: in the answer to which fetch, and whether to have heard that means to know the order. It does
  // not where the host did not hold the lease: the order may overtake the grant, and is lost on it. Nor where a copy of
  // the fetch was answered before: that answer may be the one that it heard.
  struct CancelTold {
    std::string fetch_id;
    bool sure = false;
  };
  std::map<store::Seq, CancelTold> cancels_told;

  void does(Work work) {
    if (work == 0 || has_done.front() == work) return;
    const auto known = std::find(has_done.begin(), has_done.end() - 1, work);
    std::rotate(has_done.begin(), known, known + 1);
    has_done.front() = work;
  }
  bool has_fetched(const std::string& id) const {
    return std::find(fetches.begin(), fetches.end(), id) != fetches.end();
  }
  void remember_fetch(const std::string& id) {
    fetches.push_back(id);
    if (fetches.size() > 8) fetches.pop_front();
  }
};

constexpr Millis kScalerLease = 30'000;

// How the decisions of a pool went lately.
struct PoolTrouble {
  static constexpr std::int64_t kPolicyMax = 5;  // in a row: it may only be restarted

  std::int64_t policy = 0;  // decisions in a row in which the policy failed
  bool provider = false;    // in the newest one the provider was held back by failures or a quota

  void note(const std::string& outcome, std::int64_t times = 1) {
    policy = outcome == "policyFailed" ? policy + times : 0;
    provider = outcome == "providerHeld";
  }
};

struct PoolState {
  model::Pool row;
  std::set<std::string> open_intents;
  PoolTrouble trouble;
  Arrivals arrivals;
  std::int64_t arrived = 0;   // since the newest load sample …
  store::LoadSample sampled;  // … which is this one

  bool is_failing() const { return trouble.provider || trouble.policy >= PoolTrouble::kPolicyMax; }
};

struct State {
  std::string log;
  std::int64_t tick = 0;
  store::EventNo last_event = 0;
  Millis newest_time = 0;  // wall: of the newest event in the store when this was read, else of the newest id; 0: none
  store::LaneNo last_lane = 0;

  // Node-based: pointers into them stay valid.
  std::map<std::string, TenantState> tenants;
  std::map<Uuid, BatchState> batches;
  std::map<std::pair<std::string, std::string>, Uuid> batch_names;  // (owner, name)
  std::map<store::LaneKey, LaneState> lanes;
  std::unordered_map<store::LaneNo, LaneState*> lanes_by_no;
  std::vector<LaneState*> waiting;                    // lanes in which jobs are ready, in no order
  std::unordered_map<store::Seq, LeaseState> leases;  // by job
  std::map<Uuid, HostState> hosts;
  // By name and whose jobs it runs: only hosts of one set of tenants may not have the same name.
  using HostName = std::pair<std::string, std::optional<std::vector<std::string>>>;
  std::map<HostName, Uuid> host_names;
  std::map<Uuid, model::JoinToken> join_tokens;
  std::map<Uuid, model::Enrolment> enrolments;
  std::map<HostName, Uuid> enrolled_names;
  std::map<Uuid, Uuid> enrolled_hosts;     // by enrolment: its host, while there is one
  std::map<HostName, Millis> host_drains;  // by an operator, since when: also of hosts that are away
  std::map<std::pair<std::string, std::string>, std::vector<model::PackageVersion>> packages;  // oldest first
  std::map<Uuid, store::OperationRow> operations;
  Uuid last_cancel, last_redrive;  // the operation of each kind that had the last turn
  std::map<Uuid, model::Webhook> webhooks;
  std::map<std::string, Uuid> job_webhooks;  // by tenant: those that sign what jobs' own addresses are told

  // ---- a fleet that sizes itself
  using MachineKey = std::pair<std::string, std::string>;  // (pool, instance)
  std::map<std::string, PoolState> pools;
  std::int64_t pools_version = 1;                      // grows with each change
  Millis next_load_sample = 0;                         // monotonic
  std::map<MachineKey, store::MachineRow> machines;    // those that are not gone
  std::map<MachineKey, std::set<Uuid>> machine_hosts;  // also of machines that nobody knows
  store::ScalerRow scaler;
  Millis scaler_until = 0;  // monotonic: so long nobody else may take it over
  std::int64_t last_decision = 0;

  // Lease deadlines, lazily: an entry whose lease was renewed is put back when it comes up.
  using Deadline = std::pair<Millis, Uuid>;
  std::priority_queue<Deadline, std::vector<Deadline>, std::greater<>> deadlines;
  std::set<std::pair<Millis, store::Seq>> progress_due;  // monotonic

  // ---- fair shares
  struct Overrun {
    Millis at = 0;  // monotonic
    store::Seq job = 0;
    Uuid lease;
    bool operator>(const Overrun& other) const { return at > other.at; }
  };
  std::priority_queue<Overrun, std::vector<Overrun>, std::greater<>> overruns;
  std::int64_t views = 0;      // made so far
  bool fleet_changed = false;  // which hosts there are, or for whom
  std::map<std::int64_t, TenantState*>
      last_served;  // by rank: of the last pass that granted there, who had spent least
  struct Span {     // of virtual times
    double least = 0, most = 0;
  };
  std::map<std::int64_t, Span> spans;  // by rank: of the tenants that contend there, as of `spans_at`
  Millis spans_at = 0;                 // monotonic; 0: never
  std::set<Uuid> kept_free;            // hosts
  std::optional<Millis> next_due_engine, next_due_wall, next_queue_deadline;
  Board board;
  std::set<Uuid> news;  // hosts that have a cancel or a mode to hear of
  Millis next_host_check = 0;
  bool sweeping = false;  // retention has more to do
  std::size_t sweep_step = 0;
  struct Retention {
    std::string tenant;  // empty: all that have no rule of their own
    model::JobState state = model::JobState::finished;
    Millis keep = 0;
  };
  std::vector<Retention> retention;   // of this sweep, a step each
  store::Store::KeyPlace swept_keys;  // of lists; a sweep that finds few to forget goes on there the next time

  // As seen by a job of that tenant: its own batches and the shared ones; its own name wins. `text`: id or name; null:
  // there is none.
  BatchState* find_batch(const std::string& tenant, const std::string& text);
  void set_ready(LaneState& lane, std::int64_t jobs);
  void changed(HostState& host) {  // for readers and for the scheduler
    host.shown.reset();
    board.touch(host);
  }
};

}  // namespace geres::hub::engine
