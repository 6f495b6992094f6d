// SPDX-License-Identifier: Apache-2.0
// Reading without the engine: lists, one job, attempts, events, the small tables. Any thread; each call borrows a read
// connection, sees one committed state and gives it back, so that the log can be checkpointed. Blocking: call it from a
// worker thread. Throws StoreFailed when the world fails.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hub/store/audit.h"
#include "hub/store/rows.h"

namespace geres::hub::store {

struct Page {
  std::size_t limit = 100;
  Seq after = 0;  // exclusive, in the chosen direction; 0: from the start
  bool ascending = false;
  // Limits at which a page ends although it is not full; 0: none. A filter that few jobs match makes a long walk, and
  // jobs with large parameters make a large page.
  std::size_t looked_max = 0;  // rows that were looked at
  std::size_t bytes_max = 0;   // of what the jobs hold; the last one may pass it
  bool slim = false;           // without parameters, result and files left out
};

struct JobPage {
  std::vector<model::Job> jobs;
  Seq next = 0;  // go on after it; 0: this was all
};

struct Counted {
  std::int64_t count = 0;
  std::map<model::Reason, std::int64_t> by_reason;  // of those that failed
  Seq next = 0;                                     // as in JobPage
};

struct StoredBatch {
  model::Batch batch;
  std::map<std::string, model::StateCounts> counts;  // by tenant
};

// Members left empty match everything. Batches shared by all tenants match any tenant.
struct BatchFilter {
  std::vector<std::string> tenants;
  std::string name;
  std::optional<model::BatchState> state;
};

struct Totals {
  std::map<std::string, model::StateCounts> by_tenant;  // whole store
};

struct EndedCount {
  std::string tenant;
  model::JobState state = model::JobState::finished;
  std::int64_t minute = 0;  // since the epoch
  std::int64_t count = 0;
};

struct ToldDelivery {
  DeliveryRow row;
  std::optional<EventType> type;
  Uuid subject;
};

struct JobAsOf;  // with_jobs.h

class Reads {
 public:
  virtual ~Reads() = default;

  virtual std::optional<model::Job> job(Uuid id) = 0;
  virtual std::optional<JobAsOf> job_as_of(Uuid id) = 0;
  virtual JobPage jobs(const JobFilter& filter, const Page& page) = 0;
  virtual Counted count(const JobFilter& filter, const Page& page = {}) = 0;  // `limit` and `bytes_max` do not count
  // Jobs whose id starts or ends with these hex digits (no dashes), newest first; at most `max`.
  virtual std::vector<Uuid> ids_like(const std::string& hex, const std::vector<std::string>& tenants,
                                     std::size_t max) = 0;
  virtual std::vector<model::Attempt> attempts(Uuid job) = 0;  // oldest first, the current one last
  virtual std::vector<model::JobFile> files(Uuid job) = 0;
  virtual std::vector<EventRow> job_events(Uuid job, EventNo after, std::size_t max) = 0;
  virtual std::vector<EventRow> events(EventNo after, std::size_t max) = 0;  // of the whole log
  virtual std::pair<EventNo, EventNo> event_range() = 0;                     // first and last kept; 0, 0 if none

  // In the order of their ids, from the one after `after`, batch0 included; at most `max`.
  virtual std::vector<StoredBatch> batches(const BatchFilter& filter, std::optional<Uuid> after, std::size_t max) = 0;
  virtual std::optional<StoredBatch> batch(Uuid id) = 0;
  virtual Totals totals() = 0;
  virtual std::vector<model::Tenant> tenants() = 0;
  virtual bool has_tenant(const std::string& name) = 0;
  virtual std::vector<model::PackageVersion> packages() = 0;
  virtual std::vector<model::Token> tokens() = 0;
  virtual std::vector<model::Host> hosts() = 0;
  virtual std::optional<model::Host> host(Uuid id) = 0;
  virtual std::vector<model::JoinToken> join_tokens() = 0;  // by id
  virtual std::vector<model::Enrolment> enrolments() = 0;   // likewise
  virtual std::vector<LeaseRow> leases() = 0;               // all current
  virtual std::vector<model::Webhook> webhooks() = 0;       // with those that are removed
  // With the type and subject of their events, where those are kept.
  virtual std::vector<ToldDelivery> deliveries(Uuid webhook, DeliveryState state, EventNo after, std::size_t max) = 0;
  // The next to try, by when they are due: (due, webhook, event) after `after`.
  virtual std::vector<DeliveryRow> pending_deliveries(const std::optional<DeliveryRow>& after, std::size_t max) = 0;
  virtual std::optional<CursorRow> cursor(const std::string& name) = 0;
  virtual std::vector<model::Pool> pools() = 0;  // by name
  virtual std::optional<model::Pool> pool(const std::string& name) = 0;
  // Ordered by pool and instance, from after (pool, instance); of one pool if it is named. Machines that are gone are
  // left out unless `gone`.
  virtual std::vector<MachineRow> machines(const std::string& pool, bool gone,
                                           const std::pair<std::string, std::string>& after, std::size_t max) = 0;
  virtual std::vector<IntentRow> open_intents(const std::string& pool) = 0;  // oldest first; no pool: of all
  // Newest first, from below `before` (0: from the newest).
  virtual std::vector<DecisionRow> decisions(const DecisionFilter& filter, std::int64_t before, std::size_t max) = 0;
  virtual ScalerRow scaler() = 0;
  // Of one pool, oldest first: the one that held at `from`, and those since and before `to`.
  virtual std::vector<LoadSample> load_samples(const std::string& pool, Millis from, Millis to, std::size_t max) = 0;
  // Scheduled jobs that are due within `near` or `far` of `engine` and `wall`; looks at `max` jobs by each clock.
  virtual std::vector<DueJobs> due_soon(Millis engine, Millis wall, Millis near, Millis far, std::size_t max) = 0;
  // Is this blob named by a package, a job's input or an artifact?
  virtual bool blob_named(const std::string& tenant, const std::string& sha256) = 0;
  virtual std::vector<std::optional<BlobRow>> blobs(std::span<const BlobKey> keys) = 0;  // in the order asked for
  // Open dead letters of these tenants (none: all) by reason. Kept as counters, so a million cost no more than one.
  virtual std::map<model::Reason, std::int64_t> dead_letters(const std::vector<std::string>& tenants) = 0;
  // The job submitted first among the rows in `first` and all ready jobs of `lanes`. Where the first row of a lane is
  // known to be its oldest, name the row rather than the lane: most lanes then need no read.
  virtual std::optional<model::Job> oldest_ready(std::vector<ReadyRow> first, std::span<const LaneNo> lanes) = 0;
  // How many ready jobs come before these rows, each within its lane; counts at most `max` in all.
  virtual std::int64_t ready_before(const std::vector<ReadyRow>& rows, std::int64_t max) = 0;
  // Jobs that ended at `from` or later, by tenant, state and minute.
  virtual std::vector<EndedCount> ended_since(Millis from) = 0;
  virtual std::string log() = 0;          // names the event log: drawn when the store was made
  virtual std::int64_t size_bytes() = 0;  // of the store on disk
  // Checks every rule that must hold between rows. Takes seconds for a million jobs.
  virtual Audit audit(const AuditOptions& options) = 0;
};

}  // namespace geres::hub::store
