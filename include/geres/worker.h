// SPDX-License-Identifier: Apache-2.0
// Run jobs in your own program: handlers for job types, fed by a hub.
//
//   #include <geres/worker.h>
//
//   geres::worker::Worker worker;                          // GERES_HUB and GERES_TOKEN, or Options
//   worker.handle("Thumbnail", [](geres::worker::Job& job) {
//     job.progress(50, "resizing");
//     if (job.stop_token().stop_requested()) return geres::worker::Result::failure("stopped");
//     return geres::worker::Result::success("done: " + job.parameter_or("picture", "?"));
//   });
//   worker.run_until_signal();                             // SIGINT or SIGTERM ends it in good order
//
//   find_package(geres REQUIRED COMPONENTS worker)         # or pkg-config geres-worker
//   target_link_libraries(app PRIVATE geres::worker)
//
// A worker takes jobs that were submitted without a package and whose type it has a handler for. To the hub it is a
// host like any other: `geres hosts` shows it, drains it, and its jobs have leases, attempts, retries, limits and `why`
// as all jobs have. The token needs the role `host`.
//
// What is promised. Each step is on the hub's disk before it counts: a job is leased before its handler starts, and has
// ended when the hub has taken in its end. A worker that dies is not heard of, so after the lease (30 s,
// JobSpec::lease) its jobs run again elsewhere; with Options::state_file a restart gives them back at once. So a
// handler may run more than once for a job, one after the other, and should be idempotent; Job::id and Job::attempt
// tell which run it is. Leases are renewed while handlers run, however long. When the hub cannot be reached for three
// quarters of a lease the stop token is set, and what the handler does after the lease's end counts no more: another
// worker may have the job by then. A handler cannot be killed: one that does not look at its stop token goes on, and
// its worker waits for it.
//
// Threads: handlers run on Options::concurrency threads of the worker's own. One more thread talks to the hub, so a
// handler may compute or block as long as it likes. All of Worker and Job may be used from any thread. A handler ends
// by returning or throwing: pthread_exit() in it fails its job. A child of fork() has none of these threads: there a
// worker from before may only be destroyed.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#define GERES_WORKER_API __attribute__((visibility("default")))

namespace geres::worker {

using std::chrono::milliseconds;

// The worker cannot work, and trying again would not help: a token that is not valid or lacks the role, a name that
// another host has, an address that is none, a state file that another worker holds.
class GERES_WORKER_API Error : public std::runtime_error {
 public:
  Error(const std::string& message, std::string code, std::string hint);
  ~Error() override;
  const std::string& code() const noexcept { return code_; }  // docs/errors.md
  const std::string& hint() const noexcept { return hint_; }  // what to do

 private:
  std::string code_, hint_;
};

// How an attempt ended, and what the job has to say about it.
class Result {
 public:
  // The text is the job's result (up to 64 KiB, the rest is cut off).
  static Result success(std::string text = {}) { return Result(Kind::success, std::move(text)); }
  // Something went wrong that may go right the next time: the job is tried again, as often as it is allowed.
  static Result failure(std::string text) { return Result(Kind::failure, std::move(text)); }
  // Something is wrong that stays wrong, such as bad parameters: the job fails at once.
  static Result abort(std::string text) { return Result(Kind::abort, std::move(text)); }

  enum class Kind { success, failure, abort };
  Kind kind() const { return kind_; }
  const std::string& text() const { return text_; }

 private:
  Result(Kind kind, std::string text) : kind_(kind), text_(std::move(text)) {}
  Kind kind_;
  std::string text_;
};

// Thrown from anywhere below a handler: as if it had returned Result::abort(what()). Any other exception is a failure
// with its what() as the reason.
class GERES_WORKER_API Abort : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~Abort() override;
};

enum class StopReason {
  none,
  cancel,   // the job was cancelled; whatever the handler returns, that is how it ends
  timeout,  // JobSpec::timeout is over; the attempt has failed, whatever the handler returns
  leaving,  // the worker stops; unless the handler returns success, the job goes back to the queue and nothing counts
  lease,    // the hub was not reached, or has given the job to another worker; nothing counts
};

struct Attempt;  // private

// The job in hand. Valid until its handler returns.
class GERES_WORKER_API Job {
 public:
  explicit Job(Attempt& attempt) noexcept : attempt_(attempt) {}
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  const std::string& id() const noexcept;
  const std::string& type() const noexcept;
  const std::string& tenant() const noexcept;
  int attempt() const noexcept;                    // 1 for the first
  const std::string& parameters() const noexcept;  // JSON text, any kind of value; "null" if there are none
  std::string json() const;                        // the whole job, as GET /v1/jobs/{id} shows it

  // A top-level parameter that is a string, number, true or false, as text.
  std::optional<std::string> parameter(std::string_view name) const;
  std::string parameter_or(std::string_view name, std::string otherwise) const;
  std::string required_parameter(std::string_view name) const;  // throws Abort with a clear reason

  // Never blocks. The hub keeps and tells the first at once, then the newest, at most once a second per job.
  void progress(int percent, std::string_view message = {});  // 0 to 100
  void progress(std::string_view message);

  // Set on cancel, timeout, stop of the worker and loss of the lease. Its callbacks run one after the other on a thread
  // of the worker's.
  std::stop_token stop_token() const noexcept;
  StopReason stop_reason() const noexcept;

 private:
  Attempt& attempt_;
};

using Handler = std::function<Result(Job&)>;

struct Options {
  std::string hub = {};                   // "https://geres.example.org"; empty: $GERES_HUB, else http://127.0.0.1:8080
  std::string token = {};                 // empty: the file, else $GERES_TOKEN
  std::filesystem::path token_file = {};  // read again whenever the worker registers
  std::filesystem::path ca_file = {};     // certificates to trust, PEM; empty: by ca_pin
  std::string ca_pin =
      {};  // of the hub's key or its authority's, "sha256:HEX"; empty: $GERES_CA or $GERES_CA_PIN, else the system's

  // What the hub knows it by, unique among the hosts that live. Empty: drawn, <machine>-<pid>-<random>.
  std::string name = {};
  std::vector<std::string> tenants = {};           // whose jobs it takes; empty: all that the token allows
  std::map<std::string, std::string> labels = {};  // as JobSpec::needs may ask for

  int concurrency = 0;  // handlers at a time; 0: one per processor
  // Jobs held beside those that run, so that the next one starts without a round trip. They are leased, and given back
  // when the worker stops. 0: as many as `concurrency`. For very many very short jobs, hundreds. At most 4,096 in all.
  int prefetch = 0;

  milliseconds drain{10'000};  // stop(): how long handlers may go on before their stop tokens are set

  // A file in which the worker remembers who it was, kept locked while it lives: after a crash its jobs are given back
  // when it starts again, and not only when their leases end. Not shared by workers; a copy of it (an image of the
  // machine) is a new worker's. Empty: none.
  std::filesystem::path state_file = {};

  // What is worth a line in a log, such as a hub that cannot be reached. On the worker's thread; must be quick and not
  // throw. Empty: lines on standard error.
  std::function<void(const std::string& line)> log = {};
};

struct Stats {                                       // since start()
  std::int64_t taken = 0, finished = 0, failed = 0;  // failed: all that ended otherwise
  int running = 0, waiting = 0;                      // handlers under way; jobs held for the next free one
  bool connected = false;                            // registered, and the hub answers
};

class GERES_WORKER_API Worker {
 public:
  // Throws Error for options that cannot be right. Nothing is sent yet.
  explicit Worker(Options options = {});
  ~Worker();  // stop({}) and wait()
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Before start(). Throws Error for a name that is none or has a handler already.
  Worker& handle(std::string type, Handler handler);

  void start();  // returns at once; while the hub is away it is tried again. Throws Error without handlers, or twice
  // Takes nothing new, gives back what has not started, lets handlers finish for Options::drain (or `drain`), then sets
  // their stop tokens. Returns at once.
  void stop();
  void stop(milliseconds drain);
  // Until the worker has ended: all handlers have returned and the hub has been told. Throws Error when the hub refuses
  // it for good, std::logic_error in a handler (it would wait for itself) and in a forked child.
  void wait();

  void run() { start(), wait(); }
  // run(), with SIGINT and SIGTERM as stop(); a second one sets the stop tokens at once. Puts the earlier signal
  // handlers back. For one worker at a time.
  void run_until_signal();

  Stats stats() const;
  const std::string& name() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace geres::worker
