// SPDX-License-Identifier: Apache-2.0
// Use GeRes from a C++20 program: hand in jobs, follow them, be told what happens.
//
//   #include <geres/client.h>
//
//   geres::client::Client client;                        // GERES_HUB and GERES_TOKEN, or Options
//   auto job = client.submit({.type = "Thumbnail", .package = "thumbnails", .parameters = R"({"picture": "a.jpg"})"});
//   job = client.wait(job.id);
//   std::cout << name_of(job.state) << ": " << job.result << "\n";
//
//   find_package(geres REQUIRED COMPONENTS client)        # or pkg-config geres-client
//   target_link_libraries(app PRIVATE geres::client)
//
// Every verb exists twice: on Client, where it waits for its outcome and throws (client_error.h), and on Async
// (client.async()), where it returns at once with a Pending that becomes a std::future or calls back
// (client_pending.h).
//
// Threads: all of Client, Async and Subscription may be used from any thread at any time. A client has two threads of
// its own: one for the network, and one on which all callbacks and handlers run, one after the other. A callback may
// call any verb, also blocking ones; while it does, further callbacks wait. Callbacks must not throw, but for `Stopped`
// out of a verb that was under way when the client was ended. A child of fork() has none of these threads: a client
// from before may only be destroyed there, its verbs throw std::logic_error; make another one.
//
// Repeats: while the hub is away, stops or restarts (no connection, connection lost, 502, 503, 504), a call is repeated
// with growing, jittered pauses until Options::patience is used up. Reads always are, and so are writes that do no harm
// when they happen twice. A submit is one of them: it carries an idempotency key, yours or one drawn for the call, so
// that however often it is sent, the job is there once. Other writes (redrive, create_batch) are repeated only where it
// is certain that the hub has not done them; else they throw Unavailable with maybe_done().
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "geres/client_error.h"
#include "geres/client_pending.h"
#include "geres/client_types.h"

namespace geres::client {

// OAuth 2.0 client credentials (RFC 6749, 4.4): the client gets its tokens itself, keeps each until shortly before it
// expires, and gets a new one at once when the hub says 401.
struct OAuth {
  std::string token_url = {};
  std::string client_id = {};
  std::string client_secret = {};
  std::string scope = {};  // empty: none is asked for
};

struct Options {
  std::string hub = {};  // "https://geres.example.org"; empty: $GERES_HUB, else http://127.0.0.1:8080

  // Who you are; the first that is given counts. None: $GERES_TOKEN.
  std::optional<OAuth> oauth = {};
  std::filesystem::path token_file = {};  // read again when it changes
  std::string token = {};

  std::filesystem::path ca_file = {};  // certificates to trust, PEM; empty: by ca_pin
  // Of the hub's key or its authority's, "sha256:HEX" as a hub prints it. Empty: $GERES_CA or $GERES_CA_PIN, else the
  // system's authorities.
  std::string ca_pin = {};
  milliseconds connect_timeout{3'000};
  milliseconds answer_timeout{30'000};  // of a call that moves no file and waits for nothing
  milliseconds patience{30'000};        // how long calls are repeated while the hub is away
  int connections_max = 8;              // for short calls; a stream or a wait has one of its own

  // On the callback thread: a call will be repeated, because of this.
  std::function<void(const std::string& why)> on_retry = {};
};

// What to be told of. Leave out what does not matter. All run on the client's callback thread and must not throw. The
// jobs that are handed over are as the event has them: without parameters and inputs.
struct Handlers {
  std::function<void(const Job&)> on_started = {};                      // each attempt
  std::function<void(const Job&, const Progress&)> on_progressed = {};  // the newest, at most once a second per job
  std::function<void(const Job&)> on_completed = {};                    // finished, failed or cancelled
  std::function<void(const Event&)> on_event = {};                      // every event, raw, before those above

  std::function<void(const Gap&)> on_gap = {};                  // events are missing that are no longer kept
  std::function<void(const std::string&)> on_interrupted = {};  // the connection is lost, why; it comes back by itself
  std::function<void(const Error&)> on_ended = {};              // refused for good (token, filter): nothing more comes
};

class Core;  // private

// A stream of events. It reconnects by itself and goes on after the last event it has heard, so nothing is missed and
// what has been handed over is not handed over again; what the hub no longer keeps is told as a gap. A handler that is
// slow slows this stream alone. Ends when the object does.
class GERES_CLIENT_API Subscription {
 public:
  Subscription() noexcept;
  ~Subscription();
  Subscription(Subscription&&) noexcept;
  Subscription& operator=(Subscription&&) noexcept;

  // No handler runs after this (unless it is called from one: then none after that one).
  void stop();
  // The id of the last event whose handlers have run, or of where the stream began: EventFilter::after to go on there.
  std::string position() const;

 private:
  friend class Async;
  struct Impl;
  explicit Subscription(std::shared_ptr<Impl> impl) noexcept;
  std::shared_ptr<Impl> impl_;
};

// Every verb, without waiting. See Client for what they do.
class GERES_CLIENT_API Async {
 public:
  Pending<Job> submit(const JobSpec& spec);
  Pending<std::vector<std::string>> submit(std::span<const JobSpec> specs, std::string key = {});
  Pending<Job> cancel(std::string_view job, const CancelOptions& options = {});
  Pending<Affected> cancel(const JobFilter& filter, const CancelOptions& options = {});
  Pending<Affected> would_cancel(const JobFilter& filter);
  Pending<Job> redrive(std::string_view job);
  Pending<Affected> redrive(const JobFilter& filter);
  Pending<Affected> would_redrive(const JobFilter& filter);
  Pending<Job> dismiss(std::string_view job);
  Pending<Affected> dismiss(const JobFilter& filter);
  Pending<Job> change(std::string_view job, const JobChange& change);

  Pending<Batch> create_batch(const BatchSpec& spec);
  Pending<Batch> batch(std::string_view id_or_name, std::string_view tenant = {});
  Pending<Page<Batch>> batches_page(const BatchFilter& filter, std::string_view cursor = {}, int size = 500);
  Pending<Batch> close_batch(std::string_view id_or_name, std::string_view tenant = {});
  Pending<Batch> cancel_batch(std::string_view id_or_name, std::string_view tenant = {}, const CancelOptions& = {});
  Pending<std::int64_t> delete_batch(std::string_view id_or_name, std::string_view tenant = {});
  Pending<Batch> pause_batch(std::string_view id_or_name, std::string_view tenant = {});
  Pending<Batch> resume_batch(std::string_view id_or_name, std::string_view tenant = {});

  Pending<Package> push_package(std::string_view tenant, std::string_view name,
                                const std::filesystem::path& zip_or_directory);
  Pending<Page<Package>> packages_page(std::string_view tenant = {}, std::string_view name = {},
                                       std::string_view cursor = {}, int size = 500);
  Pending<std::int64_t> delete_package(std::string_view tenant, std::string_view name, std::optional<int> version = {});
  Pending<Stored> upload_input(std::string_view tenant, const std::filesystem::path& file);

  Pending<std::vector<Tenant>> tenants();
  Pending<Tenant> tenant(std::string_view name);
  Pending<Tenant> set_tenant(std::string_view name, const TenantSettings& settings);
  Pending<std::vector<Host>> hosts();
  Pending<Info> info();

  Pending<Job> job(std::string_view id);
  Pending<Page<Job>> jobs_page(const JobFilter& filter, const JobListing& listing = {}, std::string_view cursor = {});
  Pending<Job> wait(std::string_view job, std::optional<milliseconds> limit = {});
  Pending<std::vector<Job>> wait_all(std::vector<std::string> jobs, std::optional<milliseconds> limit = {});
  Pending<std::vector<Job>> wait_some(std::vector<std::string> jobs, std::size_t count,
                                      std::optional<milliseconds> limit = {});
  Pending<std::vector<Attempt>> attempts(std::string_view job);
  Pending<std::vector<Event>> history(std::string_view job);
  Pending<Why> why(std::string_view job);
  Pending<std::string> log(std::string_view job, const LogOptions& options = {});
  Pending<Job> follow_log(std::string_view job, const LogOptions& options,
                          std::function<void(std::string_view bytes)> take);
  Pending<std::vector<File>> files(std::string_view job);
  Pending<std::int64_t> download(std::string_view job, std::string_view path, const std::filesystem::path& to);

  Pending<std::shared_ptr<Subscription>> subscribe(const EventFilter& filter, Handlers handlers);

 private:
  friend class Client;
  explicit Async(std::shared_ptr<Core> core) noexcept;
  std::shared_ptr<Core> core_;
};

// A hub. Cheap to keep, dear to make: one per program is right. Its end ends all calls under way (`Stopped`) and all
// subscriptions, and waits for the callback that is running.
class GERES_CLIENT_API Client {
 public:
  // Nothing is sent yet. Throws std::invalid_argument for an address that is not http or https, and for a token or CA
  // file that cannot be read.
  explicit Client(Options options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Async& async() { return async_; }

  // ---- management ---------------------------------------------------------------------------------------------------

  // Hands in a job; it is on disk when this returns.
  Job submit(const JobSpec& spec) { return async_.submit(spec).get(); }
  // Hands in up to 10,000 jobs, all or none; their ids, in order. Items whose key is known yield that job's id. `key`
  // names the list as a whole; empty: one is drawn for this call.
  std::vector<std::string> submit(std::span<const JobSpec> specs, std::string key = {}) {
    return async_.submit(specs, std::move(key)).get();
  }
  // A job that waits is cancelled when this returns; one that runs is told to stop and ends soon. One that has ended
  // stays as it is.
  Job cancel(std::string_view job, const CancelOptions& options = {}) { return async_.cancel(job, options).get(); }
  // All that fit; an empty filter is Refused. Returns when all is done.
  Affected cancel(const JobFilter& filter, const CancelOptions& options = {}) {
    return async_.cancel(filter, options).get();
  }
  Affected would_cancel(const JobFilter& filter) { return async_.would_cancel(filter).get(); }
  // Runs an ended job again, as a new one that is linked to it. Conflict if it has not ended.
  Job redrive(std::string_view job) { return async_.redrive(job).get(); }
  // All that fit; without states the failed ones.
  Affected redrive(const JobFilter& filter) { return async_.redrive(filter).get(); }
  Affected would_redrive(const JobFilter& filter) { return async_.would_redrive(filter).get(); }
  // Settles dead letters: they stay failed, but nobody needs to look at them any more. Conflict for a job that has not
  // failed.
  Job dismiss(std::string_view job) { return async_.dismiss(job).get(); }
  Affected dismiss(const JobFilter& filter) { return async_.dismiss(filter).get(); }
  // Conflict once it has started.
  Job change(std::string_view job, const JobChange& change) { return async_.change(job, change).get(); }

  // Batches are named by id or name; `tenant` says whose, where several have the same name. Conflict if the name is
  // taken.
  Batch create_batch(const BatchSpec& spec) { return async_.create_batch(spec).get(); }
  Batch batch(std::string_view id_or_name, std::string_view tenant = {}) {
    return async_.batch(id_or_name, tenant).get();
  }
  Range<Batch> batches(const BatchFilter& filter = {});
  Batch close_batch(std::string_view id_or_name, std::string_view tenant = {}) {  // no new jobs; those in it still run
    return async_.close_batch(id_or_name, tenant).get();
  }
  Batch cancel_batch(std::string_view id_or_name, std::string_view tenant = {}, const CancelOptions& options = {}) {
    return async_.cancel_batch(id_or_name, tenant, options).get();
  }
  // With its jobs, whose number is returned. Conflict while it is open, or a job of it has not ended.
  std::int64_t delete_batch(std::string_view id_or_name, std::string_view tenant = {}) {
    return async_.delete_batch(id_or_name, tenant).get();
  }
  Batch pause_batch(std::string_view id_or_name, std::string_view tenant = {}) {  // nothing of it is started
    return async_.pause_batch(id_or_name, tenant).get();
  }
  Batch resume_batch(std::string_view id_or_name, std::string_view tenant = {}) {
    return async_.resume_batch(id_or_name, tenant).get();
  }

  // Programs or a library: a ZIP, or a directory, which is packed first (into the system's temporary directory, with
  // all in it; links and special files are Refused). The same tree gives the same bytes, which the hub keeps once.
  // Refused (badPackage) says what is wrong with it. Async's, too, returns only when a directory is packed.
  Package push_package(std::string_view tenant, std::string_view name, const std::filesystem::path& zip_or_directory) {
    return async_.push_package(tenant, name, zip_or_directory).get();
  }
  Range<Package> packages(std::string tenant = {}, std::string name = {});  // all versions, newest first
  // How many versions were deleted. Conflict while a job needs one.
  std::int64_t delete_package(std::string_view tenant, std::string_view name, std::optional<int> version = {}) {
    return async_.delete_package(tenant, name, version).get();
  }
  // For JobSpec::inputs. A file that no job comes to name is deleted after a day.
  Stored upload_input(std::string_view tenant, const std::filesystem::path& file) {
    return async_.upload_input(tenant, file).get();
  }

  std::vector<Tenant> tenants() { return async_.tenants().get(); }
  Tenant tenant(std::string_view name) { return async_.tenant(name).get(); }
  Tenant set_tenant(std::string_view name, const TenantSettings& settings) {  // takes an operator
    return async_.set_tenant(name, settings).get();
  }
  std::vector<Host> hosts() { return async_.hosts().get(); }
  Info info() { return async_.info().get(); }

  // ---- monitoring ---------------------------------------------------------------------------------------------------

  Job job(std::string_view id) { return async_.job(id).get(); }
  // Newest first.
  Range<Job> jobs(const JobFilter& filter = {}, const JobListing& listing = {});
  // Until it has ended; with a limit the job as it stands then: look at ended(). A hub that is away for less than
  // Options::patience does not end a wait. One that has not answered 2 s after the limit ends it: Unavailable.
  Job wait(std::string_view job, std::optional<milliseconds> limit = {}) { return async_.wait(job, limit).get(); }
  // Until all have ended, or the limit. In the order of `jobs`; with a limit, those that have not ended are as they
  // were last seen. One stream of events, however many they are.
  std::vector<Job> wait_all(std::vector<std::string> jobs, std::optional<milliseconds> limit = {}) {
    return async_.wait_all(std::move(jobs), limit).get();
  }
  // Until `count` of them have ended, or the limit: those that have ended by then, first come first.
  std::vector<Job> wait_some(std::vector<std::string> jobs, std::size_t count, std::optional<milliseconds> limit = {}) {
    return async_.wait_some(std::move(jobs), count, limit).get();
  }
  // The first to end; nullopt when the limit came first.
  std::optional<Job> wait_any(std::vector<std::string> jobs, std::optional<milliseconds> limit = {}) {
    auto first = wait_some(std::move(jobs), 1, limit);
    return first.empty() ? std::nullopt : std::optional<Job>(std::move(first.front()));
  }
  std::vector<Attempt> attempts(std::string_view job) { return async_.attempts(job).get(); }  // oldest first
  std::vector<Event> history(std::string_view job) { return async_.history(job).get(); }      // oldest first
  Why why(std::string_view job) { return async_.why(job).get(); }                             // what holds it back
  std::string log(std::string_view job, const LogOptions& options = {}) { return async_.log(job, options).get(); }
  // Hands over what the job writes, as it is written, over all further attempts, until it has ended; then the job. Each
  // byte comes once, also when the connection breaks meanwhile. `take` runs on the callback thread, so this must not be
  // called from a callback (std::logic_error).
  Job follow_log(std::string_view job, const LogOptions& options, std::function<void(std::string_view bytes)> take);
  std::vector<File> files(std::string_view job) { return async_.files(job).get(); }
  // Bytes written. `to` is there in full afterwards, or as it was before.
  std::int64_t download(std::string_view job, std::string_view path, const std::filesystem::path& to) {
    return async_.download(job, path, to).get();
  }

  // ---- notifications ------------------------------------------------------------------------------------------------

  // Returns when the stream is in place: whatever happens afterwards is told, so a job that is submitted then cannot
  // start or end unseen. A filter by job ids also tells what is so already: a job that has started or ended is told
  // so at once. Throws NotFound for a job or batch that is not there.
  Subscription subscribe(const EventFilter& filter, Handlers handlers) {
    return std::move(*async_.subscribe(filter, std::move(handlers)).get());
  }
  Subscription subscribe_to_job(std::string job, Handlers handlers) {
    return subscribe({.jobs = {std::move(job)}}, std::move(handlers));
  }
  Subscription subscribe_to_batch(std::string id_or_name, Handlers handlers) {
    return subscribe({.batches = {std::move(id_or_name)}}, std::move(handlers));
  }
  Subscription subscribe_to_tenant(std::string tenant, Handlers handlers) {
    return subscribe({.tenants = {std::move(tenant)}}, std::move(handlers));
  }

 private:
  std::shared_ptr<Core> core_;
  Async async_;
};

}  // namespace geres::client
