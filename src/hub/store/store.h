// SPDX-License-Identifier: Apache-2.0
// The one door to durable state. A Store has one writer, the engine's thread, and a tick is one transaction:
//
//   begin (and read what is known to be needed) → reads and apply(changes), in any order → commit
//
// When several hubs share a store, the one that called lead() last is the leader: begin() throws `deposed` for any
// other. Once its transaction has begun a tick may therefore be answered, even if it writes nothing.
//
// A read inside the transaction sees what was applied before it. A store knows no rule about jobs. Everybody but the
// engine reads through reads.h. Every verb throws StoreFailed when the database or the disk fails.
#pragma once

#include <memory>
#include <span>
#include <stdexcept>

#include "hub/store/reads.h"
#include "hub/store/rows.h"

namespace geres::hub::store {

// How a failed verb leaves the transaction.
enum class Failure {
  refused,  // nothing has happened: rolled back, or surely will be
  full,     // refused for want of space; what adds no jobs may still go through (a reserve is kept for it)
  unknown,  // the commit may or may not have happened: reopen and compare the tick number
  deposed,  // another hub leads on this store: nothing that this one knows may be answered any more
  fatal,    // the store cannot be trusted any more (failed fsync, corrupt): stop the hub
};

class StoreFailed : public std::runtime_error {
 public:
  StoreFailed(Failure failure, const std::string& what) : std::runtime_error(what), failure(failure) {}
  const Failure failure;
};

struct LaneState {
  LaneRow lane;
  std::int64_t ready = 0;
  std::optional<ReadyRow> head;  // first by (priority, seq)
  bool one_priority = false;     // all that is ready has the head's priority
};

struct LeasedJob;  // with_jobs.h

struct BatchCounts {
  Uuid batch;
  std::string tenant;
  model::StateCounts counts{};
};

// All that an engine keeps in memory, as of the last commit.
struct Image {
  std::string log;        // names this event log: drawn when the store was made
  std::int64_t tick = 0;  // of the last commit
  EventNo last_event = 0;
  Millis last_event_at = 0;   // of the newest event that is kept; 0: none is
  std::uint64_t last_id = 0;  // highest first half of any id in the store
  LaneNo last_lane = 0;
  std::vector<model::Tenant> tenants;
  std::vector<model::Batch> batches;  // batch0 only if it was ever written (paused, say)
  std::vector<BatchCounts> counts;
  std::vector<LaneState> lanes;
  std::vector<LeasedJob> leases;
  std::vector<model::Host> hosts;
  std::vector<HostDrain> host_drains;
  std::vector<model::JoinToken> join_tokens;
  std::vector<model::Enrolment> enrolments;
  std::vector<model::PackageVersion> packages;
  std::vector<OperationRow> operations;
  std::vector<model::Webhook> webhooks;
  std::vector<model::Pool> pools;
  std::vector<MachineRow> machines;  // those that are not gone
  std::vector<IntentRow> intents;    // the open ones
  ScalerRow scaler;
  std::int64_t last_decision = 0;
};

// What became of a commit whose outcome was unknown.
enum class Committed { done, not_done, deposed };

struct KeyRef {
  std::string tenant;
  std::string key;
};

// The rows that a tick is known to need, gathered from all its commands before it begins. On a store across a network
// every read costs as much as a commit, so these are read in one round trip.
struct Wanted {
  std::vector<KeyRef> keys;          // of jobs
  std::vector<KeyRef> list_keys;     // the tenant being the list's scope
  std::vector<Uuid> jobs;            // by id
  std::vector<Uuid> scheduled;       // jobs that may wait for their time
  std::vector<Uuid> ended_attempts;  // by lease
};

struct Found;  // with_jobs.h: what of it there is

struct LaneTake {
  LaneNo lane = 0;
  std::size_t n = 0;
};

struct Taken {
  std::vector<ReadyRow> rows;
  std::optional<ReadyRow> next;  // the lane's new head
};

// Reads inside the transaction: they see what was applied in it before.
class TickReads {
 public:
  virtual std::vector<std::optional<model::Job>> jobs_by_key(std::span<const KeyRef> keys) = 0;
  virtual std::optional<ListKeyRow> list_key(const std::string& scope, const std::string& key) = 0;
  // Full rows, in the order asked for, with the place they have now (a leased job's status is the lease's).
  virtual std::vector<std::optional<model::Job>> jobs(std::span<const Uuid> ids) = 0;
  virtual std::vector<model::Job> jobs_by_seq(std::span<const Seq> seqs) = 0;  // absent ones left out
  // The ended attempt that ran under this lease; nullopt if there was none.
  virtual std::optional<AttemptRow> ended_attempt(Uuid lease) = 0;
  // When a job that waits for its time is due.
  virtual std::optional<ScheduledRow> scheduled_row(Uuid id) = 0;
  // The first n rows of a lane, left where they are.
  virtual std::vector<ReadyRow> peek_ready(LaneNo lane, std::size_t n) = 0;
  virtual std::vector<std::optional<ReadyRow>> heads(std::span<const LaneNo> lanes) = 0;  // in the order asked for
  // Due ones first; those by wall and those by the engine's clock have times of their own.
  virtual std::vector<ScheduledRow> due(Millis engine_now, Millis wall_now, std::size_t max) = 0;
  virtual std::optional<Millis> next_due(bool by_wall) = 0;
  virtual std::vector<QueueDeadlineRow> deadlines_due(Millis engine_now, std::size_t max) = 0;
  virtual std::optional<Millis> next_deadline() = 0;
  // Ids of jobs in (after, bound] in order that fit the filter, from at most `scan` rows looked at.
  struct Slice {
    std::vector<Uuid> ids;
    Seq cursor = 0;     // the last row looked at
    bool last = false;  // nothing left up to the bound
  };
  virtual Slice slice(const JobFilter& filter, Seq after, Seq bound, std::size_t scan) = 0;
  // Jobs that ended in `state` before `before`, for one tenant or (empty) all but `except`; oldest first.
  virtual std::vector<Uuid> ended_before(model::JobState state, Millis before, const std::string& tenant,
                                         const std::vector<std::string>& except, std::size_t max) = 0;
  virtual bool package_in_use(const std::string& tenant, const std::string& sha256) = 0;  // by a job not ended
  // Is there a token of this name for these tenants (in order; empty: all) that has not expired?
  virtual bool token_named(const std::string& name, const std::vector<std::string>& tenants, Millis now) = 0;

  virtual std::optional<MachineRow> machine(const std::string& pool, const std::string& instance) = 0;
  virtual std::optional<IntentRow> intent(const std::string& request) = 0;
  virtual std::optional<DecisionRow> last_decision(const std::string& pool) = 0;

  virtual std::optional<BlobRow> blob(const BlobKey& key) = 0;
  // In this state since before `before`, ordered by (at, tenant, sha256), from after `after`.
  virtual std::vector<BlobRow> blobs_since(BlobState state, Millis before, const BlobRow& after, std::size_t max) = 0;
  // Is it named by a package, a job's input or an artifact?
  virtual bool blob_named(const BlobKey& key) = 0;

  // In the order of their events.
  virtual std::vector<DeliveryRow> deliveries(Uuid webhook, DeliveryState state, EventNo after, std::size_t max) = 0;

 protected:
  ~TickReads() = default;
};

class Store : public TickReads {
 public:
  virtual ~Store() = default;

  // Everything as of the last commit. After a commit of unknown outcome it reads on a fresh connection.
  virtual Image load() = 0;
  // Makes this hub the leader and deposes the one before. Runs in its own transaction, before the first load(). Jobs
  // that wait for a duration become due at min(stored, engine_now + full duration), as the clock may have jumped.
  virtual void lead(Millis engine_now) = 0;

  virtual Found begin(const Wanted& wanted) = 0;
  void begin();  // and nothing is known to be needed
  // May send the changes ahead and tell only at the next read or the commit that they were refused.
  virtual void apply(const Changes& changes) = 0;
  virtual void commit(std::int64_t tick) = 0;          // stores the tick number with it; returns when it is on disk
  virtual void rollback() noexcept = 0;                // safe to call without a transaction
  virtual Committed committed(std::int64_t tick) = 0;  // asked after commit(tick) failed as unknown

  // --- inside the transaction: what a store takes away by itself
  // Removes and returns up to n first rows of each lane, in the order asked for. A lane is asked for once.
  virtual std::vector<Taken> take_ready(std::span<const LaneTake> lanes) = 0;
  // Drops events up to `keep_from` (exclusive) or older than `before`; looks at `max` rows at most; returns how many.
  // An event later than `now` was written while the clock was wrong: it is dropped together with its neighbours.
  virtual std::size_t purge_events(EventNo keep_from, Millis before, Millis now, std::size_t max) = 0;
  // Forgets keys of lists older than `before` none of whose jobs is kept any more. Looks at up to `max` rows after
  // `after`, oldest first, and at fewer where lists are long.
  struct KeyPlace {
    Millis at = 0;
    std::int64_t row = 0;
  };
  struct KeySlice {
    std::size_t seen = 0, forgotten = 0;
    KeyPlace next;      // where to go on
    bool last = false;  // nothing left that is older than `before`
  };
  virtual KeySlice purge_list_keys(Millis before, KeyPlace after, std::size_t max) = 0;
  // Drops dead letters made before `before` and those behind the newest `dead_max`; with `all`, any. At most `max`
  // rows; returns how many.
  virtual std::size_t purge_deliveries(Uuid webhook, bool all, Millis before, std::size_t dead_max,
                                       std::size_t max) = 0;

  // Forgets machines gone, intents settled and decisions superseded before `before`, at most `max` rows; returns how
  // many. The newest decision is kept, so that the numbers of decisions continue.
  virtual std::size_t purge_scaler(Millis before, std::size_t max) = 0;

  // For everybody but the engine. The object lives as long as the store.
  virtual Reads& reads() = 0;
};

// The answer of begin(), read one row after the other: for a store in this process.
Found find_each(TickReads& reads, const Wanted& wanted);

}  // namespace geres::hub::store
