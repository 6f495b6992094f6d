// SPDX-License-Identifier: Apache-2.0
// A whole hub: store, engine, blobs, API and HTTP server, put together and run as one.
//
//   Hub hub(options);
//   std::string url = hub.start();      // everything is on disk and listening
//   …
//   hub.stop(1'500);                    // new work refused, polls ended, transactions finished, nothing runs after it
//
// The HTTP API is never open: every call but the health checks, the landing page and the contract needs a token. At
// first start an admin token is drawn and written to DATA/admin.token, readable by its user alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"

namespace geres::hub {

struct HubOptions {
  std::filesystem::path data_dir;     // made if absent
  std::string store;                  // "sqlite:FILE"; empty: DATA/geres.db
  std::string blobs;                  // "dir:DIRECTORY"; empty: DATA/blobs
  std::string address = "127.0.0.1";  // numeric
  std::uint16_t port = 8080;          // 0: the kernel picks
  unsigned http_threads = 0;          // 0: as many as the machine has cores, at most 4
  unsigned read_threads = 4;          // for database reads and file work

  std::int64_t spec_bytes_max = 1 << 20;        // one job spec, and every other JSON body but a list
  std::int64_t list_bytes_max = 64 << 20;       // a list of job specs, and a host's report
  std::int64_t package_bytes_max = 1LL << 30;   // a package's ZIP
  std::int64_t file_bytes_max = 16LL << 30;     // an input or artifact
  std::int64_t log_bytes_max = 128 << 20;       // of one attempt's stdout or stderr
  std::size_t connections_max = 20'000;         // fewer where the process may not open so many files
  Millis client_patience = 0;                   // with a client that sends or takes nothing; 0: see http::Options
  Millis blob_keep_unnamed = 24 * 3'600'000LL;  // uploads that nothing came to name are swept after this
  Millis lease = 30'000;                        // where a job asks for none: 2 s to a day
  std::string default_tenant;                   // whose a job is that names none; empty: that is refused
  bool new_admin_token = false;                 // make one if the data directory has none that is good
  double guesses_per_address = 10;  // calls a second with tokens that are not known; a burst of five times as many
  double calls_per_token = 0, calls_per_tenant = 0, calls_per_address = 0;  // a second; 0: as many as they like
  Millis report_every = 0;  // how often hosts report at least; 0: 5 s, a quarter of a short lease
  Millis keep_finished = 7 * 86'400'000LL;
  Millis keep_failed = 30 * 86'400'000LL;
  Millis keep_key_min = 86'400'000;           // a job's key answers at least so long, however short jobs are kept
  Millis sweep_every = 3'600'000;             // unnamed uploads
  std::uint64_t disk_reserve = 256ULL << 20;  // uploads are refused as long as the disk has less than this free
  std::size_t metrics_tenants = 20;           // with series of their own at /metrics, those with the most open jobs
  std::vector<std::string> webhook_allow;     // networks and hosts that webhooks may call though they are not public
  std::filesystem::path webhook_ca;           // certificates that webhooks trust beside the system's, PEM
  Millis webhook_retry = 10'000;              // before a webhook's event is told again; then three times as long each
  int webhook_attempts = 12;                  // then it is a dead letter
  std::vector<std::string> cors_origins;      // whose web pages may call this hub, as browsers name them
  std::string amqp;                           // amqp[s]://host[:port]/ADDRESS that events are published to; empty: none
  std::string amqp_user, amqp_password;       // SASL PLAIN; empty: ANONYMOUS
  std::string amqp_ca;                        // a file of authorities; empty: those of the system
  bool amqp_from_start = false;               // at the first use: all that is kept, not only what comes
  int amqp_tries = 0;                         // of a message that the broker rejects; then it is left out. 0: never
  bool access_log = false;                    // log every request; else only those that were refused or failed

  // Called once, on the engine's thread, when the store cannot be trusted any more: say so, stop, exit non-zero.
  std::function<void(const std::string&)> on_fatal;
};

class Hub {
 public:
  explicit Hub(HubOptions options);
  ~Hub();  // stop(0)
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // The address it listens on. Throws std::runtime_error with a sentence for people when it cannot run: the data
  // directory is in use by another hub or cannot be written, the store is broken, the port is taken.
  std::string start();
  void stop(Millis deadline = 1'500);  // may be repeated; any thread but the hub's own
  std::string url() const;

  std::filesystem::path admin_token_file() const;
  std::filesystem::path store_file() const;

 private:
  struct Parts;
  HubOptions options_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace geres::hub
