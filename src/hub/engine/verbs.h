// SPDX-License-Identifier: Apache-2.0
// What the engine is asked and what it answers: plain data, no JSON. Ids and names come in as they were written;
// the engine resolves them, so that a rule about visibility stands in one place.
//
// A verb is a struct with its arguments; `Out` is its answer. Beside what its comment names, each can fail with notDone
// (nothing has happened: try again), unknown (it may have happened: repeat with the key), storageFull, unavailable (the
// hub stops).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hub/engine/scheduler.h"
#include "hub/store/rows.h"
#include "model/batch.h"

namespace geres::hub::engine {

// Called once, on the engine's thread, after the tick that did the work is on disk. Must be quick and must not throw.
template <class T>
using Answer = std::function<void(Result<T>)>;

// Who asks. What a caller may not see is absent for it.
struct Caller {
  std::string name;        // the token's name, for submittedBy and the like
  bool operator_ = false;  // operators and admins see shared batches whole and may change them
  bool all_tenants = false;
  std::vector<std::string> tenants;  // unless all_tenants
  bool sees(const std::string& tenant) const;
};

// ---- jobs ----

struct NewJob;  // with_jobs.h

struct Submitted {
  std::vector<Uuid> ids;
  std::vector<model::Job> jobs;  // of a single submit only: the job as it stands
  bool replayed = false;         // all of it was there before
};

// unknownBatch, batchClosed, unknownPackage, unknownType, unknownFile, keyReused, tooManyQueued, tooManyLanes
struct Submit {
  using Out = Submitted;
  Caller caller;
  std::vector<NewJob> jobs;  // all or nothing
  bool list = false;         // errors name /<index>/field
  std::string list_key;      // Idempotency-Key of a list
  std::string list_digest;
};

struct JobPatch {
  std::optional<std::int64_t> priority;
  std::optional<std::optional<Millis>> not_before;  // inner nullopt: now
  std::optional<std::map<std::string, std::string>> tags;
};

struct CancelWhat {
  Millis grace = 10'000;
  std::string reason;
};

// What a bulk verb did, as far as one answer can carry it.
struct BulkDone {
  static constexpr std::size_t kIdsMax = 1'000;
  std::int64_t count = 0;
  std::map<model::Reason, std::int64_t> by_reason;  // redrive: of the dead letters
  std::vector<Uuid> ids;                            // the first ones: cancelled jobs, new jobs of a redrive

  void add(Uuid id, model::Reason reason);
  void add(const BulkDone& more);
};

struct PatchJob {  // unknownJob, notWaiting
  using Out = model::Job;
  Caller caller;
  Uuid job;
  JobPatch patch;
};

struct CancelJob {  // unknownJob
  using Out = model::Job;
  Caller caller;
  Uuid job;
  CancelWhat what;
};

struct RedriveJob {  // unknownJob, notEnded, batchClosed
  using Out = model::Job;
  Caller caller;
  Uuid job;
};

struct DismissJob {  // unknownJob, notEnded, conflict
  using Out = model::Job;
  Caller caller;
  Uuid job;
};

// Hears of an operation once it is stored, so that it will be done whatever happens to the hub (`done` is 0), and after
// each of its slices. On the engine's thread: be quick.
using BulkWatch = std::function<void(Uuid operation, std::int64_t done)>;

// Of many jobs. The answer comes after the last slice.
struct CancelWhere {
  using Out = BulkDone;
  Caller caller;
  store::JobFilter filter;
  CancelWhat what;
  BulkWatch watch = {};
};

struct RedriveWhere {
  using Out = BulkDone;
  Caller caller;
  store::JobFilter filter;
  BulkWatch watch = {};
};

struct DismissWhere {
  using Out = BulkDone;
  Caller caller;
  store::JobFilter filter;
  BulkWatch watch = {};
};

// ---- batches, tenants, packages, tokens ----

struct NewBatch {
  std::string tenant;  // empty: shared, for operators
  std::string name;
  std::optional<std::int64_t> priority;
  bool dedicated = false;
  int max_running = 0;
};

struct TenantSettings {  // absent members keep what they were
  std::optional<double> weight;
  std::optional<int> max_running;
  std::optional<std::int64_t> max_queued;
  std::optional<std::optional<Millis>> keep_finished;
  std::optional<std::optional<Millis>> keep_failed;
  std::optional<std::int64_t> max_memory_per_job;
};

struct CreateBatch {  // nameTaken, forbidden
  using Out = model::Batch;
  Caller caller;
  NewBatch batch;
};

// `batch` is an id or a name. unknownBatch, batchFixed
struct CloseBatch {
  using Out = model::Batch;
  Caller caller;
  std::string batch;
};

struct CancelBatch {
  using Out = model::Batch;
  Caller caller;
  std::string batch;
  CancelWhat what;
};

struct PauseBatch {
  using Out = model::Batch;
  Caller caller;
  std::string batch;
  bool paused = true;
};

// With its jobs, which must have ended: answers how many there were. batchOpen, notEnded
struct DeleteBatch {
  using Out = BulkDone;
  Caller caller;
  std::string batch;
};

struct PutTenant {
  using Out = model::Tenant;
  std::string tenant;
  TenantSettings settings;
};

struct KeptPackage {
  model::PackageVersion version;
  bool was_there = false;  // the newest already has these bytes
};

// The blob must be stored already. Pushing the newest version's digest again changes nothing.
struct PutPackage {
  using Out = KeptPackage;
  model::PackageVersion package;
};

// All versions, or the one with this digest. unknownPackage, packageInUse
struct DeletePackage {
  using Out = std::int64_t;
  std::string tenant;
  std::string name;
  std::string sha256;
};

// ---- blobs, where an object store keeps them ----

struct BlobClaim {
  bool there = false;  // it need not be uploaded
};

// Before an upload. notDone while an old copy is being removed.
struct ClaimBlob {
  using Out = BlobClaim;
  store::BlobKey key;
  std::int64_t size = 0;
};

// After it: from now on the blob is there. notDone if the claim has been swept away meanwhile.
struct BlobArrived {
  using Out = bool;
  store::BlobKey key;
};

struct BlobSweep {
  std::vector<store::BlobKey> remove;  // from the object store; then say so
  store::BlobRow next;                 // where to go on
  bool last = false;
};

// One slice of the blobs that are in `state` since before `before`: what nobody names takes its next step.
struct SweepBlobs {
  using Out = BlobSweep;
  store::BlobState state = store::BlobState::there;
  Millis before = 0;
  store::BlobRow after;
  std::size_t max = 200;
};

struct BlobsRemoved {
  using Out = bool;
  std::vector<store::BlobKey> keys;
};

struct CreateToken {  // id and created_at are filled in; nameTaken
  using Out = model::Token;
  model::Token token;
};

struct DeleteToken {  // notFound
  using Out = bool;
  Uuid token;
};

// ---- webhooks ----

// Absent members keep what they were.
struct WebhookPatch {
  std::optional<std::string> name, url;
  std::optional<std::vector<std::string>> types;
  std::optional<std::vector<Uuid>> batches;
  std::optional<std::vector<std::string>> job_types;
  std::optional<std::map<std::string, std::string>> tags;
  std::optional<std::string> secret;  // the one before signs beside it for a day
  std::optional<bool> enabled;
};

struct ReplayWhat {
  std::optional<store::EventNo> from;  // read the log again behind this event; else the dead letters …
  std::vector<store::EventNo> events;  // … of these events; none: all
};

// The caller has checked addresses, types and batches.
struct CreateWebhook {  // id, created_at and cursor are filled in; tooMany, nameTaken, conflict
  using Out = model::Webhook;
  Caller caller;
  model::Webhook webhook;
};

struct PatchWebhook {  // notFound
  using Out = model::Webhook;
  Caller caller;
  Uuid webhook;
  WebhookPatch patch;
};

struct DeleteWebhook {  // notFound
  using Out = bool;
  Caller caller;
  Uuid webhook;
};

struct ReplayWebhook {  // answers how many; notFound
  using Out = std::int64_t;
  Caller caller;
  Uuid webhook;
  ReplayWhat what;
};

// Of another reader of the log. True once it is on disk.
struct StoreCursor {
  using Out = bool;
  store::CursorRow cursor;
};

// What the sender has to have written down. All of it is of one moment: a cursor has passed what `put` holds.
struct DeliveryNews {
  using Out = bool;
  struct Cursor {
    Uuid webhook;
    std::int64_t rewinds = 0;
    store::EventNo at = 0;
  };
  struct Disabled {
    Uuid webhook;
    std::string reason;
  };
  std::vector<store::DeliveryRow> put;
  std::vector<store::DeliveryKey> removed;
  std::vector<Cursor> cursors;
  std::vector<Disabled> disabled;
};

// After the commit: what the sender has to know.
struct WebhookNews {
  std::vector<model::Webhook> webhooks;        // made or changed (also: removed)
  std::vector<store::DeliveryRow> deliveries;  // made or revived
  bool empty() const { return webhooks.empty() && deliveries.empty(); }
};

// ---- hosts ----

// How a host proves that it may join: by a token with the role host (neither of these), a join token, or the secret
// that it got for one.
struct RegisterHost {  // hostAlive, nameTaken, joinTokenUsed, joinTokenExpired, joinTokenOtherName, unauthenticated,
                       // forbidden
  using Out = model::Host;
  model::Host host;  // id and joined_at are filled in by the engine; secret_sha256, of a new secret, by the caller
  std::optional<Uuid> replaces;
  std::optional<Uuid> join_token = {};
  std::string joining = {};  // SHA-256 of the host's own random id: who repeats it has lost the answer; empty: none
  std::int64_t change = 0;   // with it: the host's number of this call, which grows
  std::optional<Uuid> enrolment = {};  // whose secret this is, which then stays as it is
  bool by_operator = false;            // may replace a host that has enrolled
};

// A join token: lets hosts enrol. (Those of pools are ordinary tokens with the role host.)
struct Invite {  // id, uses_left and created_at are filled in; tooMany
  using Out = model::JoinToken;
  model::JoinToken token;
};

// With it no more hosts join; those that have, stay.
struct Uninvite {  // notFound
  using Out = bool;
  Uuid token;
};

// Both secrets hold until the new one is used, for an hour at most. `presented`: the digest of the one that the caller
// has now.
struct RenewHostSecret {  // hostGone, conflict (it joined with a token), unauthenticated
  using Out = bool;
  Uuid host;
  std::string presented;
  std::string sha256;
  std::int64_t change = 0;  // the host's number of this call: higher than of those before that gave it a secret
};

struct HostSecretUsed {  // the one before ends
  using Out = bool;
  Uuid enrolment;
  std::string sha256;
};

// Its secret ends at once, and what its host holds ends with its leases.
struct RemoveEnrolment {  // notFound
  using Out = bool;
  Uuid enrolment;
};

struct Granted;  // with_jobs.h

struct CancelOrder {
  Uuid lease;
  Millis grace = 10'000;
};

struct FetchAnswer {
  Millis held = 0;  // since received_at
  std::vector<Granted> leases;
  std::vector<CancelOrder> cancel;
  model::HostMode mode = model::HostMode::run;
};

// Is answered when there is something to say, when `wait` is over, or when another fetch of this host takes its place.
// hostGone: register again.
struct FetchCall {
  using Out = FetchAnswer;
  Uuid host;
  std::string fetch_id;
  int slots = 0;
  Millis wait = 20'000;
  Millis received_at = 0;  // monotonic, when the call came in
};

// What a host says of an attempt that it gives back (`released`) before it started.
enum class GivenBack {
  in_order,     // it stops, or came too late: nobody's fault
  not_started,  // it could not start it, and would fail with others, too
  no_room,      // this job is too large for it
};

struct Completion {
  Uuid lease;
  model::Outcome outcome = model::Outcome::finished;
  std::optional<std::string> result;  // cut and cleaned already
  bool result_truncated = false;
  std::optional<model::Exit> exit;
  std::optional<model::Cause> cause;
  std::int64_t memory_limit = 0;  // outOfMemory: bytes of the limit that it ran into; 0: the machine had no more
  std::optional<model::Usage> usage;
  std::string error;
  GivenBack given_back = GivenBack::in_order;
  std::string reason;  // unless in_order: why it was not started
  std::vector<model::JobFile> files;
  model::FilesLeftOut files_left_out;
  bool files_missing = false;  // a named file is not in the blob store: refuse the item
};

struct RefusedItem {
  Uuid lease;
  Code code = Code::stale;  // stale | conflict | filesMissing
};

struct ReportAnswer {
  std::vector<Uuid> accepted;
  std::vector<RefusedItem> refused;
  std::vector<Uuid> lost;
  std::vector<CancelOrder> cancel;
  model::HostMode mode = model::HostMode::run;
};

struct ReportCall {  // hostGone
  using Out = ReportAnswer;
  Uuid host;
  std::int64_t seq = 0;
  std::string fetched;  // this answer alone was taken in; of others nothing is said
  std::vector<Uuid> running;
  std::vector<Uuid> started;
  std::vector<std::pair<Uuid, model::Progress>> progress;
  std::vector<Completion> finished;
  bool leaving = false;
  model::Health health = model::Health::well;  // what the host says of itself
  std::string health_reason;
};

// A host as GET /v1/hosts shows it.
struct HostLease {
  Uuid job;
  std::string tenant;
  Millis granted_at = 0;  // wall
  Millis expected = 0;    // so long jobs like it hold their slots
  Millis expected_p90 = 0;
  store::LaneNo lane = 0;  // and so many of its lane are known of
  std::int64_t ends = 0;
};

struct HostInfo {
  model::Host host;
  bool alive = true;
  int slots_busy = 0;
  model::Health health = model::Health::well;
  std::string health_reason;               // unless well
  std::optional<Millis> health_tested_at;  // wall: when it is tried again
  std::vector<HostLease> leases;           // by job
  std::optional<Millis> idle_since;        // wall: it has run nothing since; absent: it runs something
};

// By an operator. notFound, conflict (its machine is being removed)
struct SetHostMode {
  using Out = HostInfo;
  std::string host;  // id or name
  model::HostMode mode = model::HostMode::run;
};

// The answer to who asks for one of several by a name.
Error many_hosts(const std::string& name, const std::vector<Uuid>& ids);

// ---- a fleet that sizes itself

// Where a version is given, the pool must have it: conflict. Unless it is being made, it must be there: notFound.
struct PutPool {  // version and what is done by hand are filled in by the engine; conflict
  using Out = model::Pool;
  model::Pool pool;
  std::optional<std::int64_t> version;
};

struct DeletePool {  // absent afterwards, or (with `drain`) as it is until its last machine has gone; conflict
  using Out = std::optional<model::Pool>;
  std::string pool;
  std::optional<std::int64_t> version;
  bool drain = false;
};

struct PausePool {
  using Out = model::Pool;
  std::string pool;
  std::optional<std::int64_t> version;
  bool paused = true;
};

struct ScalePool {
  using Out = model::Pool;
  std::string pool;
  std::optional<std::int64_t> version;
  std::optional<model::Pool::Scale> scale;
};

struct ScalerLease {
  std::int64_t epoch = 0;
  Millis ttl = 0;
};

struct TakeScaler {  // scalerHeld; staleScaler (of an epoch that it had)
  using Out = ScalerLease;
  std::string holder;
  std::optional<std::int64_t> epoch;
};

// What each of the following says: it is the scaler that leads. If it does not any more: staleScaler.

struct Recorded {
  std::int64_t decision = 0;          // 0: none was given
  std::vector<std::string> withheld;  // machines said to be gone whose hosts say otherwise
};

// All or nothing. notFound (no such pool), conflict (a request of another kind), hostBusy (a machine would be taken
// from a job).
struct RecordScaling {
  using Out = Recorded;
  std::int64_t epoch = 0;
  std::string pool;
  std::vector<store::IntentRow> intents;
  std::vector<store::MachineRow> machines;
  std::optional<store::DecisionRow> decision;
};

// Drain or run. Those that an operator drains, that are stopped or gone are left as they are; answers with those that
// are there. conflict (a host that is nobody's machine)
struct MoveHosts {
  using Out = std::vector<HostInfo>;
  std::int64_t epoch = 0;
  std::vector<Uuid> hosts;
  model::HostMode mode = model::HostMode::drain;
  std::string reason;
};

// A host that drains and runs nothing stops for good. notFound, hostBusy
struct RetireHost {
  using Out = HostInfo;
  std::int64_t epoch = 0;
  Uuid host;
};

struct CreateJoinToken {  // as CreateToken
  using Out = model::Token;
  std::int64_t epoch = 0;
  std::string pool;
  model::Token token;
};

struct Snapshot;  // snapshot.h
using SnapshotPtr = std::shared_ptr<const Snapshot>;

// ---- what the engine tells the rest of the hub ----

// After each commit that wrote events, in order, on the engine's thread.
using EventSink = std::function<void(std::vector<store::EventRow>)>;
using WebhookSink = std::function<void(WebhookNews)>;
// Jobs that are gone for good: their logs can be removed.
using PurgeSink = std::function<void(const std::vector<Uuid>&)>;

// A lease as handlers need to see it between ticks.
struct LeaseInfo {
  Uuid job;
  Uuid host;
  std::string tenant;
  int attempt = 0;
};

}  // namespace geres::hub::engine
