// SPDX-License-Identifier: Apache-2.0
// A job: what was asked for (JobSpec, fixed at submit but for priority, notBefore and tags) and how it stands
// (JobStatus). No JSON, no I/O.
//
// A new member of a job rebuilds all that includes this; who needs a state, what an attempt was or what a host must
// offer includes the headers below instead, and headers name a job by its declaration.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/uuid.h"
#include "model/attempt.h"
#include "model/batch.h"
#include "model/job_state.h"
#include "model/requirements.h"
#include "model/webhook.h"

namespace geres::model {

struct Backoff {
  Millis initial = 1'000;
  double factor = 2;
  Millis max = 600'000;
  bool operator==(const Backoff&) const = default;
};

// An input file that lies at `path` in the working directory when the job starts: a stored file by digest, or an
// artifact of an ended job of the same tenant.
struct Input {
  std::string path;
  std::string sha256;
  Uuid job{};
  std::string file;
  bool operator==(const Input&) const = default;
};

struct JobSpec {
  std::string tenant;
  std::string type;
  std::string package;         // name; empty: a handler in an application's own worker
  std::string package_sha256;  // the version, fixed at submit
  std::string name;
  std::string parameters;  // JSON text; empty: null
  std::vector<Input> inputs;
  Uuid batch = kDefaultBatch;
  std::int64_t priority = 0;
  std::optional<Millis> not_before;  // wall clock
  Millis delay = 0;                  // from submit, monotonic while the hub lives
  Millis timeout = 0;                // per attempt; 0: none
  Millis queue_timeout = 0;          // while ready; 0: none
  Millis lease = 0;                  // 0: the hub's default
  int max_attempts = 5;
  Backoff backoff;
  Requirements requirements;
  std::map<std::string, std::string> tags;
  JobWebhook webhook;
  std::string key;         // idempotency key, unique per tenant; empty: none
  std::string key_digest;  // of the spec as it was submitted, so that a repeat can be told from a misuse
  std::string ref;
  std::string submitted_by;  // the token's name
};

// What hosts have cost a job: those that could not start it, and those that were lost with it. Few jobs have any.
struct HostTrouble {
  static constexpr std::size_t kReasonsMax = 8;

  std::string avoid;                           // hosts by name, a space between: not granted to while another one fits
  int unstarted = 0;                           // times in a row that it was given back before it started
  Millis since = 0;                            // hub's engine clock: the first of them
  std::map<std::string, std::string> reasons;  // of them, by host: why
  std::vector<std::string> lost_on;            // hosts that were lost with it, each once
  bool operator==(const HostTrouble&) const = default;
};

// Counters over all attempts, and how the newest one stands or ended.
struct JobStatus {
  JobState state = JobState::ready;
  Reason reason = Reason::none;
  std::string error;  // one sentence
  int attempt = 0;    // grants so far; only grows
  int failures = 0;
  int host_losses = 0;
  std::int64_t version = 1;  // grows with every change
  std::optional<Progress> progress;
  std::optional<std::string> result;
  bool result_truncated = false;
  std::optional<Exit> exit;
  std::optional<Cause> cause;  // of the newest attempt's failure
  std::optional<Usage> usage;
  FilesLeftOut files_left_out;
  std::string host;  // name of the host of the newest attempt
  Millis submitted_at = 0;
  Millis ready_at = 0;           // since when it waits
  std::optional<Millis> due_at;  // while scheduled: when it becomes ready, as far as known
  std::optional<Millis> started_at;
  std::optional<Millis> finished_at;
  std::optional<Millis> cancel_requested_at;
  std::optional<Uuid> redrive_of;
  std::optional<Uuid> redriven_as;
  std::optional<Millis> settled_at;  // of a dead letter: dismissed, or run again with success. Unset: open
  HostTrouble trouble;
  std::int64_t memory = 0;  // bytes for it instead of what it asked for, since it ran out of memory; 0: as asked
};

struct Job {
  Uuid id;
  JobSpec spec;
  JobStatus status;
};

// Bytes that its next or current attempt asks of a host; 0: none in particular.
inline std::int64_t memory_of(const Job& job) {
  return std::max(job.spec.requirements.memory, job.status.memory);
}

// A dead letter that somebody should still look at.
inline bool is_open_dead_letter(const JobStatus& status) {
  return status.state == JobState::failed && !status.settled_at;
}

}  // namespace geres::model
