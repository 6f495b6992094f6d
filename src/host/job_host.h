// SPDX-License-Identifier: Apache-2.0
// A worker machine's agent: registers with the hub, fetches leases, has the runner execute them, and reports the
// outcome. See ARCHITECTURE.md, "Leases and fences" and "Hosts and the runner".
//
//   host::Options options = …;
//   auto prepared = host::JobHost::prepare(options);      // first thing in main: before any thread is started
//   …                                                     // logs, signals; `up`: the hub; then options.token, .hub_url
//   host::JobHost host(options, std::move(*prepared));
//   host.start();
//   …                                                     // a signal: host.request_stop(options.drain_ms); a second
//                                                         // one: host.request_stop(0)
//   auto ended = host.wait();                             // an error: why it could not go on
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "host/disk_watch.h"
#include "host/job_users.h"
#include "host/own_secret.h"
#include "host/runner_client/runner_client.h"
#include "package/archive.h"
#include "tls/trust.h"

namespace geres::host {

// How jobs are separated from each other and from the host. user: each running attempt has a user of its own (needs
// root).
enum class Isolation { none, user, sandbox };

struct Options {
  std::string hub_url;                           // "http://127.0.0.1:8080"
  std::string token;                             // with the role host; not needed with what follows
  transport::TokenSourcePtr tokens;              // set: in its place
  std::optional<JoinToken> join;                 // while there is no secret in `data`, or the hub refuses it
  Millis renew_secret_every = 7 * 86'400'000LL;  // of its own
  tls::Trust trust;                              // for https
  std::string name;                              // unique among the hub's hosts; empty: the machine's
  int slots = 1;
  std::map<std::string, std::string> labels;
  std::int64_t memory = 0;  // bytes that jobs may use; 0: what the machine has
  // Whose jobs it takes; absent: those of all tenants that the token allows.
  std::optional<std::vector<std::string>> tenants;
  std::string pool, instance;  // the machine that this is, where a scaler makes those; empty: nobody does
  std::filesystem::path data;  // its own directory, which it locks
  Millis drain_ms = 10'000;    // how long jobs may go on when the hub asks the host to stop
  Isolation isolation = Isolation::none;
  bool allow_root = false;                 // with isolation none as root: jobs run as root
  std::optional<std::uint32_t> uid_block;  // insist on the block of user ids that begins here (host/uid_block.h)
  std::filesystem::path runner_path;       // geres-runner
  std::filesystem::path loader_path;       // geres-job, for library jobs

  Millis grace_ms = 10'000;  // between TERM and KILL at timeout, drain and end of lease
  // For the lock on the data directory, since an earlier agent's runner may be ending.
  Millis lock_wait_ms = 3'000;
  std::int64_t log_bytes_max = 128 << 20;         // per attempt and stream
  std::int64_t artifacts_max = 10'000;            // files of one attempt …
  std::int64_t artifact_bytes_max = 10LL << 30;   // … and their sum
  std::int64_t package_cache_bytes = 10LL << 30;  // unused packages beyond it are removed
  std::int64_t input_cache_bytes = 5LL << 30;     // unused inputs, likewise
  std::int64_t download_bytes_max = 10LL << 30;   // one package or input file
  ScratchLimits scratch;                          // what one attempt's directory may hold
  std::int64_t processes_max = 4'096;             // of one attempt; 0: no limit
  // Of a job that asks for none; 0: no limit; absent: see default_memory().
  std::optional<std::int64_t> default_memory;
  // End the attempt when the kernel has killed any of its processes for lack of memory.
  bool out_of_memory_ends = true;
  std::optional<bool> fence;          // Landlock confines jobs to their own files; absent: where it can, unless as root
  std::vector<std::string> writable;  // directories that fenced jobs may write to besides their own
  std::vector<std::string> hidden;    // from fenced jobs, besides `data` and the user's secrets
  package::Limits package_limits;
  wire::RunLimits run_limits;
  std::optional<wire::Containment> containment;  // insist on this kind
  bool own_pid_namespace = true;                 // for the runner; false: as on a machine without namespaces
};

class JobHost {
 public:
  // The lock on the data directory and a runner that runs.
  struct Prepared {
    Fd lock;
    std::optional<JobUsers> users;  // isolation user
    std::unique_ptr<RunnerClient> runner;
  };

  // Checks the options that it needs (data, slots, isolation, runner_path, loader_path; not hub_url and token), takes
  // the lock, runs one attempt as any job would run (trial.h), and starts the runner. Call it before the process has a
  // second thread. The error says what to change.
  static Result<Prepared> prepare(const Options& options);

  JobHost(Options options, Prepared prepared);
  ~JobHost();  // stop(0)
  JobHost(const JobHost&) = delete;
  JobHost& operator=(const JobHost&) = delete;

  // Begins to register, in the background, until the hub answers. Call it once.
  void start();

  // Takes no more jobs, lets running ones go on for `drain_ms`, then stops them and gives them back, says goodbye to
  // the hub and ends. If the hub cannot be reached for 3 s it ends anyway. Returns at once; any thread; a later call
  // can only shorten the time.
  void request_stop(Millis drain_ms);

  // Waits until the host has ended. An error if it could not go on: the hub refused the token or the name, or the
  // runner died and no new one could be started.
  Result<void> wait();

  // request_stop and wait; afterwards nothing of the host runs. Safe to repeat.
  void stop(Millis drain_ms);

  struct Status {
    std::string id;  // its id at the hub; empty: not registered yet
    bool connected = false;
    int slots_busy = 0;
    wire::RunnerHello runner;  // containment and its explanation
  };
  Status status() const;        // any thread
  std::string metrics() const;  // any thread: its figures, in the text format of Prometheus

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

std::int64_t machine_memory();  // in bytes

// Whether jobs are fenced by a runner that reported `runner`.
bool fences_jobs(const Options& options, const wire::RunnerHello& runner);

// The memory of a job that asks for none: as the option says, else twice its share of what jobs may use, at least 256
// MiB.
std::int64_t default_memory(const Options& options);

// `user` where this process is root, else `none`.
Isolation default_isolation();

}  // namespace geres::host
