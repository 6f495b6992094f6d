// SPDX-License-Identifier: Apache-2.0
// The things that <geres/client.h> takes and gives, as plain structs. What may be absent is an optional or an empty
// string. `json` is the hub's whole answer as text, for what these structs do not name. Parameters are JSON text in
// both directions; a job's result is text, as the job wrote it.
//
// Durations are std::chrono::milliseconds; times are UTC with milliseconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "geres/client_error.h"

namespace geres::client {

using std::chrono::milliseconds;
using Time = std::chrono::system_clock::time_point;

enum class State {
  scheduled,  // its time has not come, or it pauses before another attempt
  blocked,    // waits for other jobs
  ready,
  leased,  // given to a host, not started yet
  running,
  finished,
  failed,
  cancelled,
  other,  // a state that this version does not know; see Job::json
};
GERES_CLIENT_API std::string_view name_of(State state);
constexpr bool ended(State state) {
  return state == State::finished || state == State::failed || state == State::cancelled;
}

// ---- jobs -----------------------------------------------------------------------------------------------------------

// A file that lies in the job's working directory when it starts: one that was uploaded (sha256), or one that an ended
// job of the same tenant left (job and file).
struct Input {
  std::string path;
  std::string sha256 = {};
  std::string job = {};
  std::string file = {};
};

struct Backoff {                             // the pause after a failure: initial · factor^n up to max, with jitter
  std::optional<milliseconds> initial = {};  // 1 s
  std::optional<double> factor = {};         // 2
  std::optional<milliseconds> max = {};      // 10 min
};

struct Requirements {  // of the host
  std::optional<int> slots = {};
  std::optional<std::int64_t> memory_bytes = {};
  std::map<std::string, std::string> labels = {};
};

// Where a job's own events are told, signed with the secret of the tenant's webhook for jobs, which must be there
// first.
struct JobWebhook {
  std::string url;                      // http or https, of an address that the hub's operator allows
  std::vector<std::string> types = {};  // geres.job.started, geres.job.*; empty: its end, however it comes
};

// A job to hand in. Only `type` must be given, and `tenant` unless the token has exactly one.
struct JobSpec {
  std::string tenant = {};
  std::string type = {};
  std::string package = {};     // name, or name@sha256; empty: a handler in an application's own worker
  std::string name = {};        // for people
  std::string parameters = {};  // JSON text up to 64 KiB; empty: none
  std::vector<Input> inputs = {};
  std::string batch = {};                          // id or name; empty: the default batch
  std::optional<int> priority = {};                // lower first within the batch; 0
  std::optional<Time> not_before = {};             // not together with delay
  std::optional<milliseconds> delay = {};          //
  std::optional<milliseconds> timeout = {};        // of each attempt; none
  std::optional<milliseconds> queue_timeout = {};  // while ready; none
  std::optional<milliseconds> lease = {};          // how long its host may be silent; 30 s
  std::optional<int> max_attempts = {};            // 5
  std::optional<Backoff> backoff = {};
  std::optional<Requirements> needs = {};
  std::optional<JobWebhook> webhook = {};
  std::map<std::string, std::string> tags = {};
  std::string key = {};  // idempotency key, unique per tenant; empty: one is drawn for this call
  std::string ref = {};
};

struct Progress {
  std::optional<int> percent = {};  // 0 to 100
  std::string message = {};
};

struct Exit {
  std::optional<int> code = {};
  std::optional<int> signal = {};
};

struct Usage {
  double cpu_seconds = 0;
  std::int64_t max_rss_bytes = 0;
};

// Something in a job's output directory that was not kept with it.
struct LeftOutFile {
  std::string path = {};  // bytes that are no UTF-8 stand as \xHH
  std::string why = {};
};

// A job as it stands. Events carry it without parameters and inputs.
struct Job {
  std::string id = {};
  State state = State::other;
  std::string reason = {};  // why it failed: error, aborted, maxAttempts, timeout, …
  std::string error = {};   // one sentence
  std::string tenant = {};
  std::string type = {};
  std::string package = {};
  std::string package_sha256 = {};
  std::string name = {};
  std::string parameters = {};  // JSON text
  std::string batch = {};       // id
  std::string batch_name = {};
  int priority = 0;
  int max_attempts = 0;
  std::optional<JobWebhook> webhook = {};
  std::map<std::string, std::string> tags = {};
  std::string key = {};
  std::string ref = {};
  std::string submitted_by = {};
  int attempt = 0;  // grants so far
  int failures = 0;
  int host_losses = 0;
  std::optional<Progress> progress = {};
  std::string result = {};  // up to 64 KiB
  bool result_truncated = false;
  Exit exit = {};
  std::string cause = {};  // outOfMemory, or empty: nothing that a program could go by
  std::optional<Usage> usage = {};
  std::vector<LeftOutFile> files_left_out = {};  // what it left and could not be kept, the first 100 …
  std::int64_t files_left_out_count = 0;         // … of so many
  std::string host = {};                         // of the newest attempt
  std::optional<Time> submitted_at = {};
  std::optional<Time> ready_at = {};
  std::optional<Time> due_at = {};
  std::optional<Time> started_at = {};
  std::optional<Time> finished_at = {};
  std::optional<Time> cancel_requested_at = {};
  std::int64_t version = 0;  // grows with every change
  std::string redrive_of = {};
  std::string redriven_as = {};
  std::optional<Time> settled_at = {};  // of a dead letter: dismissed, or run again with success
  std::int64_t memory = 0;  // bytes for it instead of what it asked for, since it ran out of memory; 0: as asked
  std::string json = {};

  bool ended() const { return client::ended(state); }
  bool finished() const { return state == State::finished; }
};

// Which jobs; all conditions that are given must hold.
struct JobFilter {
  std::string tenant = {};
  std::string batch = {};  // id or name
  std::vector<State> states = {};
  std::string type = {};
  std::string name = {};
  std::string host = {};
  std::string reason = {};  // not for cancel
  std::map<std::string, std::string> tags = {};
  std::optional<Time> submitted_after = {};
  std::optional<Time> submitted_before = {};
  std::vector<std::string> ids = {};  // up to 1,000; only for cancel and redrive
};

struct JobListing {
  bool oldest_first = false;
  std::vector<std::string> fields = {};  // only these members (their names in JSON); empty: all
  int page_size = 500;                   // 1 to 1,000
};

struct CancelOptions {
  std::optional<milliseconds> grace = {};  // between SIGTERM and SIGKILL; 10 s
  std::string reason = {};
};

// What a bulk verb did, or would do.
struct Affected {
  std::int64_t count = 0;
  std::map<std::string, std::int64_t> by_reason = {};
  std::vector<std::string> ids = {};  // the first 1,000: the jobs cancelled, or the new jobs of a redrive
};

// A change to a job that waits; what is not given stays.
struct JobChange {
  std::optional<int> priority = {};
  std::optional<Time> not_before = {};  // a time that is past: now
  std::optional<std::map<std::string, std::string>> tags = {};
};

struct Attempt {
  int attempt = 0;
  std::string host = {};
  std::optional<Time> leased_at = {};
  std::optional<Time> started_at = {};
  std::optional<Time> ended_at = {};
  std::string outcome = {};  // finished, failed, aborted, cancelled, timeout, lost, expired, …; empty: under way
  std::string error = {};
  Exit exit = {};
  std::string cause = {};  // as of a job
  std::optional<Usage> usage = {};
  std::int64_t memory = 0;  // bytes that it asked of its host; 0: none in particular
  std::string json = {};
};

struct Why {
  struct Reason {
    std::string kind = {};  // slots, labels, limit, batch, time, …
    std::string message = {};
    int hosts = 0;  // how many hosts it rules out
  };
  std::string summary = {};  // one sentence for people
  std::vector<Reason> reasons = {};
  std::int64_t ahead = 0;  // jobs of the same kind before it
  std::string json = {};
};

struct File {
  std::string path = {};
  std::int64_t size = 0;
  std::string sha256 = {};
};

enum class Stream { out, err };  // what a job writes to stdout, to stderr

struct LogOptions {
  std::optional<int> attempt = {};  // the newest
  Stream stream = Stream::out;
  std::optional<std::int64_t> tail = {};    // only the last lines
  std::optional<std::int64_t> offset = {};  // skip so many bytes
};

// ---- batches, packages, tenants, hosts
// -------------------------------------------------------------------------------

struct BatchSpec {
  std::string name = {};
  std::string tenant = {};              // empty: the token's only one; for an operator of all: shared by all
  std::optional<int> priority = {};     // lower first, within the tenant; an operator's: over all. 500
  bool dedicated = false;               // a host that runs it runs nothing else meanwhile
  std::optional<int> max_running = {};  // no limit
};

struct Batch {
  std::string id = {};
  std::string name = {};
  std::string tenant = {};    // empty: shared by all
  int priority = 0;           // lower first
  bool over_tenants = false;  // an operator has made it: its priority ranks over all tenants, else within its own
  bool dedicated = false;
  int max_running = 0;     // 0: no limit
  std::string state = {};  // open, closed, cancelled
  bool paused = false;
  std::optional<Time> created_at = {};
  std::map<std::string, std::int64_t> counts = {};  // jobs by state: counts["running"]
  std::string json = {};

  std::int64_t count(State state) const {
    const auto found = counts.find(std::string(name_of(state)));
    return found == counts.end() ? 0 : found->second;
  }
};

struct BatchFilter {
  std::string tenant = {};
  std::string state = {};  // open, closed, cancelled
  std::string name = {};
};

struct Package {
  std::string tenant = {};
  std::string name = {};
  int version = 0;
  std::string sha256 = {};
  std::int64_t size = 0;
  std::vector<std::string> types = {};  // job types known without loading anything
  std::optional<Time> created_at = {};
  std::string json = {};
};

struct Stored {
  std::string sha256 = {};
  std::int64_t size = 0;
};

struct TenantSettings {  // what is not given stays
  std::optional<double> weight = {};
  std::optional<int> max_running = {};                  // 0: no limit
  std::optional<int> max_queued = {};                   // 0: no limit
  std::optional<std::int64_t> max_memory_per_job = {};  // bytes that one may ask for; 0: no limit
};

struct Tenant {
  std::string name = {};
  double weight = 1;
  int max_running = 0;
  int max_queued = 0;
  std::int64_t max_memory_per_job = 0;
  std::string json = {};
};

struct Host {
  std::string id = {};
  std::string name = {};
  std::string state = {};  // live, lost
  std::string mode = {};   // run, drain, stop
  int slots = 0;
  int busy = 0;
  std::map<std::string, std::string> labels = {};
  std::vector<std::string> running = {};  // ids of jobs that you may see
  std::string json = {};
};

struct Info {
  std::string version = {};             // of the hub
  std::string caller = {};              // the token's name
  std::vector<std::string> roles = {};  // and what it may do
  std::vector<std::string> tenants = {};
  std::string json = {};
};

// ---- events ---------------------------------------------------------------------------------------------------------

// A CloudEvent of the hub's log.
struct Event {
  std::string id = {};       // where it is in the log; keep it to go on there later (EventFilter::after)
  std::string type = {};     // geres.job.finished, geres.batch.closed, …
  std::string subject = {};  // the id of what it is about
  std::string tenant = {};
  std::optional<Time> time = {};
  std::string data = {};  // JSON text: the job, batch or host
  std::string json = {};  // the whole event
};

// Events that are no longer kept: `until` is the last one that is missing.
struct Gap {
  std::string after = {};  // the last one before the gap; empty: unknown
  std::string until = {};
};

// Which events; all conditions that are given must hold, of a list one entry. Nothing given: all that you may see.
struct EventFilter {
  std::vector<std::string> jobs = {};     // ids, up to 100
  std::vector<std::string> batches = {};  // ids or names
  std::vector<std::string> tenants = {};
  std::vector<std::string> types = {};  // geres.job.finished, geres.job.*; empty: all that the handlers need
  std::string after = {};               // an event's id: from there on; "start": all that is kept; empty: from now on
};

}  // namespace geres::client
