// SPDX-License-Identifier: Apache-2.0
// The rows that pass between the engine and a store. Dumb data: the engine decides, a store keeps.
//
// Hot things (who waits, who has a lease) live in small tables of their own from which rows are deleted; the wide job
// row is written at submit, when an attempt ends or a pause is over, and not in between. A job's place is therefore:
//   lease row          leased or running (the lease row then has the newest attempt, version, progress, …)
//   ready row          ready
//   scheduled row      scheduled
//   none of them       ended
// A job read while it has a lease shows the lease's attempt, version, host, started_at, progress and cancel request;
// reason, error, result, exit and usage are those of the attempt before, if there was one.
// Jobs are numbered by Uuid::seq(), which grows with the order of submission.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hub/store/event_row.h"
#include "model/attempt.h"
#include "model/batch.h"
#include "model/mean_duration.h"
#include "model/pool.h"
#include "model/requirements.h"
#include "model/webhook.h"

namespace geres::model {
struct HostTrouble;
struct Job;
struct JobSpec;
}  // namespace geres::model

namespace geres::hub::store {

using Seq = std::int64_t;     // Uuid::seq() of a job
using LaneNo = std::int64_t;  // rows of the lane table, from 1

// Everything that decides where and whether a job may run. One lane each.
struct LaneKey {
  Uuid batch;
  std::string tenant;
  std::string type;
  bool packaged = true;
  model::Requirements requirements;
  std::string avoid;  // HostTrouble::avoid of its jobs
  auto operator<=>(const LaneKey&) const = default;
};

LaneKey lane_key(const model::JobSpec& spec);  // of a new job
LaneKey lane_key(const model::Job& job);

struct LaneRow {
  LaneNo no = 0;
  LaneKey key;
  model::MeanDuration duration;
};

struct LaneDuration {
  LaneNo no = 0;
  model::MeanDuration duration;
};

// Served in the order (priority, seq) within its lane.
struct ReadyRow {
  LaneNo lane = 0;
  std::int64_t priority = 0;
  Seq seq = 0;
  auto operator<=>(const ReadyRow&) const = default;
};

// Becomes ready at `due`: by the wall clock (`by_wall`, from notBefore) or by the engine's own clock. `duration` is
// the full pause, so that after a restart it is due at min(due, start + duration).
struct ScheduledRow {
  Seq seq = 0;
  Millis due = 0;
  bool by_wall = false;
  Millis duration = 0;
  auto operator<=>(const ScheduledRow&) const = default;
};

// A ready job that fails with queueTimeout at `due` (engine clock).
struct QueueDeadlineRow {
  Seq seq = 0;
  Millis due = 0;
  auto operator<=>(const QueueDeadlineRow&) const = default;
};

// A grant. Written at grant, start, progress (at most once a second) and cancel request; deleted when it ends.
struct LeaseRow {
  Uuid name;  // the fencing token: first half the job's seq, second half random
  Uuid job;
  LaneNo lane = 0;
  Uuid host;
  std::string host_name;
  int attempt = 0;
  std::int64_t version = 0;  // of the job, while leased
  Millis ttl = 0;
  Millis granted_at = 0;  // wall
  std::optional<Millis> started_at;
  std::optional<model::Progress> progress;
  std::optional<Millis> cancel_requested_at;
  Millis cancel_grace = 0;
  std::string cancel_reason;
  std::string fetch_id;  // the fetch call whose answer carries it
};

struct JobUpdate;  // with_jobs.h

// What a PATCH may change.
struct JobEdit {
  Uuid id;
  std::int64_t priority = 0;
  std::optional<Millis> not_before;
  std::map<std::string, std::string> tags;
};

struct AttemptRow {
  Uuid job;
  Uuid lease;  // its name; the first half is the job's seq, so that a late report finds the row without an index
  model::Attempt attempt;
};

struct JobFileRow {
  Uuid job;
  std::string tenant;
  model::JobFile file;
};

struct CountDelta {
  Uuid batch;
  std::string tenant;
  model::JobState state = model::JobState::ready;
  std::int64_t by = 0;
};

// How many open dead letters there are.
struct DeadLetterDelta {
  std::string tenant;
  model::Reason reason = model::Reason::none;
  std::int64_t by = 0;
};

// Idempotency: a job's key is in its own row (unique per tenant). This is a list's key.
struct ListKeyRow {
  std::string scope;  // the tenant, or the token for a list over several tenants
  std::string key;
  std::string digest;  // of the parsed list
  std::vector<Uuid> ids;
  Millis at = 0;
};

// Which jobs a bulk verb means. All given conditions must hold.
struct JobFilter {
  std::vector<std::string> tenants;  // empty: all (what the caller may see)
  std::optional<Uuid> batch;
  std::vector<model::JobState> states;  // empty: all
  std::string type;
  std::string name;
  std::string host;
  std::map<std::string, std::string> tags;
  std::optional<Millis> submitted_after;   // at this moment or later
  std::optional<Millis> submitted_before;  // before this moment
  std::vector<Uuid> ids;                   // empty: all
  std::optional<model::Reason> reason;
  // Of reads, not kept with an operation:
  bool open = false;        // no dead letters that are settled
  bool redrivable = false;  // only jobs that a redrive of many would run again
};

// A host that an operator has drained: it comes back drained until somebody resumes it. By its name and whose jobs it
// runs (in order; none: all).
struct HostDrain {
  std::string name;
  std::optional<std::vector<std::string>> tenants;
  Millis at = 0;
  bool operator==(const HostDrain&) const = default;
};

// Whether a job in memory matches. Means the same as the filter does in the store.
bool matches(const JobFilter& filter, const model::Job& job);

// About what a job takes in memory, and in JSON.
std::size_t held_bytes(const model::Job& job);

enum class OperationKind { cancel_batch, cancel_filter, redrive_filter, delete_batch, dismiss_filter, replay_dead };

// Work on many rows, done a slice per tick and resumed after a crash.
struct OperationRow {
  Uuid id;
  OperationKind kind = OperationKind::cancel_filter;
  JobFilter filter;
  Seq cursor = 0;         // the last job looked at; of a replay: event
  Seq bound = 0;          // those up to this one are meant
  std::int64_t done = 0;  // jobs changed so far
  Millis grace = -1;      // cancel
  std::string text;       // reason given for a cancel; who redrives; the webhook of a replay
};

// A delivery of an event to a webhook that has failed so far, or to a job's own webhook. The row is deleted when the
// delivery succeeds; after too many tries it stays as a dead letter.
enum class DeliveryState { pending, dead };

struct DeliveryKey {
  Uuid webhook;
  EventNo event = 0;
  auto operator<=>(const DeliveryKey&) const = default;
};

struct DeliveryRow {
  DeliveryKey key;
  std::string url;  // of a job's own webhook; empty: the webhook's
  DeliveryState state = DeliveryState::pending;
  int attempts = 0;
  Millis due = 0;  // wall clock: not tried before
  Millis at = 0;   // when the row was made
  std::optional<Millis> tried_at;
  int status = 0;     // of the last answer; 0: there was none
  std::string error;  // one sentence about the last try
  bool operator==(const DeliveryRow&) const = default;
};

// How far a reader of the event log other than a webhook has read.
struct CursorRow {
  std::string name;
  std::string log;  // the log's name; another than the store's: it was restored from a backup since
  EventNo at = 0;   // the last event that is done with
  bool operator==(const CursorRow&) const = default;
};

// A machine of a pool. Which hosts run on it stands in their rows.
struct MachineRow {
  std::string pool;
  std::string instance;  // as its provider names it; one of its pool
  model::MachineState state = model::MachineState::ordered;
  std::string request;  // the order that it comes from; empty: not known
  std::string zone;
  Millis ordered_at = 0;  // wall, as the next two
  std::optional<Millis> ready_at;
  std::optional<Millis> gone_at;  // while it is gone
  std::string reason;
  bool operator==(const MachineRow&) const = default;
};

// What the scaler asks a provider for, written before it asks.
struct IntentRow {
  std::string request;  // its name, unique
  std::string pool;
  model::ScalerVerb verb = model::ScalerVerb::order;
  std::int64_t count = 0;              // of an order
  std::vector<std::string> instances;  // of the others
  model::IntentState state = model::IntentState::issued;
  std::string refusal;  // JSON object: why the provider would not; empty: it did not say
  Millis issued_at = 0;
  bool operator==(const IntentRow&) const = default;
};

// What the scaler decided. Consecutive equal decisions to do nothing share one row.
struct DecisionRow {
  std::int64_t id = 0;  // grows
  std::string pool;
  Millis at = 0, last_at = 0;  // the first and the last of them
  std::int64_t times = 1;
  std::string input;  // JSON object, as `changes`
  std::string policy;
  std::int64_t raw = 0, wanted = 0, actual = 0;
  std::string changes;  // empty: nothing to do
  std::string reason;
  std::string outcome;
  bool operator==(const DecisionRow&) const = default;
};

// How much there was to do for a pool, from then on until the next sample.
struct LoadSample {
  std::string pool;
  Millis at = 0;                            // wall
  std::int64_t ready = 0, ready_slots = 0;  // jobs that its hosts would run, were there enough
  std::int64_t running = 0, running_slots = 0;
  std::int64_t arrived = 0;  // jobs that became ready for the first time, since the sample before
  std::int64_t hosts = 0;    // that take jobs
  std::int64_t booting = 0;  // machines
  bool operator==(const LoadSample&) const = default;
};

// Jobs of one kind that become ready soon.
struct DueJobs {
  LaneKey key;
  std::int64_t near = 0, far = 0;  // the far ones include the near ones
};

// Absent members mean all.
struct DecisionFilter {
  std::string pool;
  std::optional<Millis> from, to;  // some of it at `from` or later, and before `to`
  bool changed = false;            // only those in which something was to be done
};

// The one scaler that may act, of several. Its expiry is not stored: the holder may go on after a restart of the hub.
struct ScalerRow {
  std::string holder;  // empty: nobody ever
  std::int64_t epoch = 0;
  bool operator==(const ScalerRow&) const = default;
};

// A blob in a store that cannot remove by condition (object stores ignore it), so that this row decides:
//   arriving → there → fading → removing → (no row)
// A blob may be named while it is there. What nobody names fades; one that is named or comes again while it fades is
// there again, and one that is being removed has to be uploaded again once it is gone.
enum class BlobState : int { arriving, there, fading, removing };

struct BlobKey {
  std::string tenant;
  std::string sha256;
  auto operator<=>(const BlobKey&) const = default;
};

struct BlobRow {
  BlobKey key;
  std::int64_t size = 0;
  BlobState state = BlobState::arriving;
  Millis at = 0;  // wall: in this state since, or committed again
  bool operator==(const BlobRow&) const = default;
};

// One tick's writes, applied in this order within the open transaction.
struct Changes {
  std::vector<model::Tenant> tenants;        // insert or replace
  std::vector<model::Batch> batches;         // insert or replace
  std::vector<Uuid> batches_removed;         // with their counts; last but for the events
  std::vector<LaneRow> lanes;                // insert
  std::vector<LaneDuration> lane_durations;  // of lanes that are there
  std::vector<LaneNo> lanes_removed;
  std::vector<model::Host> hosts;  // insert or replace
  std::vector<Uuid> hosts_removed;
  std::vector<HostDrain> host_drains_removed;
  std::vector<HostDrain> host_drains;           // insert or replace
  std::vector<model::PackageVersion> packages;  // insert or replace
  std::vector<model::PackageVersion> packages_removed;
  std::vector<model::JoinToken> join_tokens;  // insert or replace
  std::vector<Uuid> join_tokens_removed;
  std::vector<model::Enrolment> enrolments;  // insert or replace
  std::vector<Uuid> enrolments_removed;
  std::vector<model::Token> tokens;  // insert or replace
  std::vector<Uuid> tokens_removed;
  std::vector<model::Job> jobs;  // insert
  std::vector<JobUpdate> updates;
  std::vector<JobEdit> edits;
  std::vector<ReadyRow> ready_removed;
  std::vector<ReadyRow> ready;  // insert
  std::vector<Seq> scheduled_removed;
  std::vector<ScheduledRow> scheduled;  // insert or replace
  std::vector<Seq> deadlines_removed;
  std::vector<QueueDeadlineRow> deadlines;    // insert or replace
  std::vector<Uuid> leases_removed;           // by job id
  std::vector<LeaseRow> leases;               // insert or replace
  std::vector<AttemptRow> attempts;           // insert
  std::vector<JobFileRow> files;              // insert or replace
  std::vector<CountDelta> counts;             // summed up by the store
  std::vector<DeadLetterDelta> dead_letters;  // likewise
  std::vector<ListKeyRow> list_keys;          // insert
  std::vector<OperationRow> operations;       // insert or replace
  std::vector<Uuid> operations_removed;
  std::vector<model::Webhook> webhooks;  // insert or replace
  std::vector<Uuid> webhooks_removed;
  std::vector<DeliveryKey> deliveries_removed;
  std::vector<DeliveryRow> deliveries;  // insert or replace
  std::vector<CursorRow> cursors;       // insert or replace
  std::vector<model::Pool> pools;       // insert or replace
  std::vector<std::string> pools_removed;
  std::vector<MachineRow> machines;      // insert or replace
  std::vector<IntentRow> intents;        // insert or replace
  std::vector<DecisionRow> decisions;    // insert or replace
  std::vector<LoadSample> load_samples;  // insert or replace
  std::vector<ScalerRow> scaler;         // the last one counts
  std::vector<BlobRow> blobs;            // insert or replace
  std::vector<BlobKey> blobs_removed;    // none of `blobs`
  std::vector<Uuid> jobs_purged;         // with attempts, files, keys
  std::vector<EventRow> events;          // insert; last, so that readers see them only with their state
  std::size_t size() const;              // rows
  bool empty() const { return size() == 0; }
  void clear();
};

}  // namespace geres::hub::store
