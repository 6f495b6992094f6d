// SPDX-License-Identifier: Apache-2.0
// A worker machine's agent: registers with the hub, fetches leases, has the runner execute them, and reports what came
// of it. See ARCHITECTURE.md, "Leases and fences" and "Hosts and the runner".
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
#include "host/runner_client/runner_client.h"
#include "package/archive.h"

namespace geres::host {

// How jobs are kept from each other and from the host. user: each attempt that runs has a user of its own (needs root).
enum class Isolation { none, user, sandbox };

struct Options {
  std::string hub_url;  // "http://127.0.0.1:8080"
  std::string token;    // with the role host
  std::string ca_file;  // https: instead of the system's authorities
  std::string name;     // unique among the hub's hosts; empty: the machine's
  int slots = 1;
  std::map<std::string, std::string> labels;
  std::int64_t memory = 0;                          // bytes that jobs may use; 0: what the machine has
  std::optional<std::vector<std::string>> tenants;  // whose jobs it takes; absent: all that the token allows
  std::filesystem::path data;                       // its own directory, locked
  Millis drain_ms = 10'000;                         // when the hub asks it to stop: how long jobs may go on
  Isolation isolation = Isolation::none;
  bool allow_root = false;                 // isolation none as root: its jobs run as root
  std::optional<std::uint32_t> uid_block;  // insist on the block of user ids that begins here (host/uid_block.h)
  std::filesystem::path runner_path;       // geres-runner
  std::filesystem::path loader_path;       // geres-job, for library jobs

  Millis grace_ms = 10'000;                       // between TERM and KILL at timeout, drain and end of lease
  Millis lock_wait_ms = 3'000;                    // for the data directory: an earlier agent's runner may be ending
  std::int64_t log_bytes_max = 128 << 20;         // per attempt and stream
  std::int64_t artifacts_max = 10'000;            // files of one attempt …
  std::int64_t artifact_bytes_max = 10LL << 30;   // … and their sum
  std::int64_t package_cache_bytes = 10LL << 30;  // unused packages beyond it are removed
  std::int64_t input_cache_bytes = 5LL << 30;     // likewise
  std::int64_t download_bytes_max = 10LL << 30;   // one package or input file
  ScratchLimits scratch;                          // what one attempt's directory may hold
  std::int64_t processes_max = 4'096;             // of one attempt; 0: no limit
  std::optional<std::int64_t> default_memory;     // of a job that asks for none; 0: no limit; absent: default_memory()
  bool out_of_memory_ends = true;                 // the attempt, when any of its processes was killed for want of it
  std::optional<bool> fence;          // Landlock keeps jobs to their own files; absent: where it can, if not as root
  std::vector<std::string> writable;  // directories that fenced jobs may write to besides their own
  std::vector<std::string> hidden;    // from fenced jobs, besides `data` and what the user keeps secret
  package::Limits package_limits;
  wire::RunLimits run_limits;
  std::optional<wire::Containment> containment;  // insist on this kind
  bool own_pid_namespace = true;                 // for the runner; false: as on a machine that allows none
};

class JobHost {
 public:
  // The lock on the data directory and a runner that runs.
  struct Prepared {
    Fd lock;
    std::optional<JobUsers> users;  // isolation user
    std::unique_ptr<RunnerClient> runner;
  };

  // Checks the options it needs (data, slots, isolation, runner_path, loader_path; not hub_url and token), takes the
  // lock, has one attempt run as any job's would (trial.h), and starts the runner. Call it before the process has a
  // second thread. The error says what to change.
  static Result<Prepared> prepare(const Options& options);

  JobHost(Options options, Prepared prepared);
  ~JobHost();  // stop(0)
  JobHost(const JobHost&) = delete;
  JobHost& operator=(const JobHost&) = delete;

  // Begins to register, in the background, until the hub answers. Once.
  void start();

  // Takes no more jobs, lets those that run go on for `drain_ms`, then stops them and gives them back, says goodbye to
  // the hub and ends; when the hub cannot be reached for 3 s it ends anyway. Returns at once; any thread; a later call
  // can only hasten.
  void request_stop(Millis drain_ms);

  // Waits until the host has ended. An error if it could not go on: the hub refused the token or the name, or the
  // runner died and no new one could be started.
  Result<void> wait();

  // request_stop and wait; afterwards nothing of the host runs. Safe to repeat.
  void stop(Millis drain_ms);

  struct Status {
    std::string id;  // as the hub calls it; empty: not registered yet
    bool connected = false;
    int slots_busy = 0;
    wire::RunnerHello runner;  // containment and its explanation
  };
  Status status() const;        // any thread
  std::string metrics() const;  // likewise: its figures, in the text format of Prometheus

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

std::int64_t machine_memory();  // in bytes

// Whether jobs are fenced in, by a runner that said `runner`.
bool fences_jobs(const Options& options, const wire::RunnerHello& runner);

// What a job may have that asks for no memory: as said, else twice its share of what jobs may use, at least 256 MiB.
std::int64_t default_memory(const Options& options);

// `user` where this process is root, else `none`.
Isolation default_isolation();

}  // namespace geres::host
