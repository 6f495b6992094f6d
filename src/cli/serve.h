// SPDX-License-Identifier: Apache-2.0
// The long-running commands up, hub and host, as far as the command line is concerned: options, the block of addresses
// that they print, and the signals that end them. main, the only place that knows hub and host, provides what they run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/public_url.h"
#include "tls/trust.h"
#include "transport/token_source.h"

namespace geres::cli {

struct HubSettings {
  std::filesystem::path data;  // exists, and is writable
  struct Listen {
    std::string address = "127.0.0.1";  // numeric
    std::uint16_t port = 8080;
    bool tls = false;
  };
  std::vector<Listen> listen = {Listen()};              // at least one
  std::string tls_certificate, tls_key, tls_client_ca;  // files; empty: none
  std::string host_auth = "secret";                     // secret, mtls or both
  bool tls_self_signed = false;                         // by an authority of the hub's own
  std::string store;                                    // empty: DATA/geres.db
  std::string blobs;                                    // empty: DATA/blobs
  std::int64_t blob_cache = std::int64_t(1) << 30;
  Millis logs_rest = 60'000;
  std::string import_layout;  // empty: nowhere
  std::size_t connections = 20'000;
  Millis client_patience = 0;  // 0: the server's own
  Millis lease = 30'000;
  bool new_admin_token = false;
  double calls_per_token = 0, calls_per_tenant = 0, calls_per_address = 0;  // a second; 0: no limit
  Millis report_every = 0;                                                  // 0: derived from the lease
  std::vector<std::string> cors_origins;                                    // origins whose web pages may call the hub
  PublicUrl public_url;
  std::filesystem::path auth_config;  // which identity providers are trusted; empty: none
  // How many have series of their own at /metrics.
  std::size_t metrics_tenants = 20;
  std::vector<std::string> webhook_allow;
  std::string webhook_ca;  // empty: the system's certificates alone
  Millis webhook_retry = 10'000;
  int webhook_attempts = 12;
  std::string amqp;                      // amqp[s]://host[:port]/ADDRESS; empty: none
  std::string amqp_user, amqp_password;  // never in a log
  std::string amqp_ca;
  std::string amqp_issuer, amqp_client_id, amqp_client_secret;  // the secret never in a log
  std::string amqp_scope;                                       // empty: that of Azure Service Bus
  std::string amqp_shared_key;                                  // a connection string of Azure; never in a log
  bool amqp_from_start = false;
  int amqp_tries = 0;  // 0: never leave a message out
  bool scaler = true;  // one is started as soon as there is a pool
  // Hosts of this machine that are there with the work: at least, at most. Absent: what pools there are stays.
  std::optional<std::pair<int, int>> pool;
};

struct HostSettings {
  std::filesystem::path data;        // the host's own directory
  std::string hub;                   // empty for `up`, which brings its own hub
  std::string default_hub;           // where none is named: unless its data directory knows one
  transport::TokenSourcePtr tokens;  // null, or of an empty token: none
  tls::Trust trust;
  std::string join_id, join_secret;  // of a join token; empty: none
  Millis renew_secret_every = 7 * 86'400'000LL;
  std::string name;  // empty: the machine's
  int slots = 1;
  std::int64_t memory = 0;
  std::map<std::string, std::string> labels;
  std::vector<std::string> tenants;  // empty: all
  std::string pool, instance;        // of a scaler's machine; empty: it is none
  Millis drain = 10'000;
  std::int64_t scratch_limit = 10LL << 30;  // bytes that one attempt's files may use; 0: no limit
  std::int64_t process_limit = 4'096;       // of one attempt; 0: no limit
  // Bytes, for a job that asks for none; 0: no limit; absent: the host's rule.
  std::optional<std::int64_t> default_memory;
  bool out_of_memory_ends = true;
  std::string fence;                      // on or off; empty: the host decides
  std::vector<std::string> writable;      // directories
  std::string isolation;                  // none, user or sandbox; empty: user for root, else none
  bool allow_root = false;                // isolation none as root
  std::optional<std::int64_t> uid_block;  // where the jobs' user ids begin
  std::optional<std::pair<std::string, std::uint16_t>> metrics;  // where the host serves its figures; absent: nowhere
  std::string containment;  // cgroup2, freezer, pidns or bestEffort; empty: the best that works
};

struct ScalerSettings {
  std::string hub;
  transport::TokenSourcePtr tokens;  // role operator, of no tenant
  tls::Trust trust;
  std::filesystem::path data;  // exists, and is writable; hosts that are started here have their directories there
};

struct LogSettings {
  std::string level;   // "info"
  bool quiet = false;  // no start-up block
};

struct RehearsedJob {
  Millis ready = 0, length = 0;
  int slots = 1;
  std::string tenant = "default", type = "job";
};

struct RehearsalSettings {
  json::object pool;  // as the API shows one, with the policy that is tried
  std::vector<RehearsedJob> jobs;
  std::vector<Millis> boots;  // that were; empty: the next two
  Millis boot = 45'000, boot_spread = 10'000;
  double provider_fails = 0;  // a share
  std::int64_t quota = 0;     // 0: none
  double price = 0;           // a host and hour
  int other_slots = 0;
  std::uint32_t seed = 1;
  std::string title;  // of the picture
};

struct Rehearsed {
  // {jobs, ended, late?, from, to, waits[{tenant?, jobs, p50, p95, p99, most}] in seconds, hostHours{ready, booting,
  // idle, wasted}, cost, decisions, changes, hostsMost, ordered, refused}
  json::object report;
  std::string svg;
};

// The files that the commands below read and change, of a hub that may or may not run.
struct StoreSettings {
  std::filesystem::path data;
  std::string store;  // as in HubSettings
  std::string blobs;  // likewise
};

// Each of the first three runs until a signal ends it, and returns the exit code.
struct Services {
  std::function<int(const HubSettings&, const LogSettings&)> hub;
  std::function<int(const HostSettings&, const LogSettings&)> host;
  std::function<int(const HubSettings&, const HostSettings&, const LogSettings&)> up;
  // Runs one attempt as a host of this user would, in a directory that it makes below `directory` and removes. Throws
  // the Trouble that such a host would end with.
  std::function<void(const std::filesystem::path& directory, int slots)> try_host;
  // {store, ok, jobs{state: n}, events{kept, first, last}, log, tick, rules, violations[{rule, invariant, table, row,
  // sentence}], more}
  std::function<json::object(const StoreSettings&)> check;
  // The same for the copy made at `file`.
  std::function<json::object(const StoreSettings&, const std::filesystem::path& file)> backup;
  // The same for the store that was made, and `kept`: the new name of the store that was there before, if any.
  std::function<json::object(const StoreSettings&, const std::filesystem::path& file, bool replace)> restore;
  // The same for everything that a hub keeps, and besides blobs{files, bytes}, logs{files, bytes}, adminToken,
  // blobsElsewhere (where they are, if they stay there). Of a
  // backup also lost[] and lostCount: the blobs that the store names and that are missing.
  std::function<json::object(const StoreSettings&, const std::filesystem::path&directory)> backup_all, restore_all;
  // {from, to, named, copied, bytes, there, lost[], lostCount}; `progress` hears of each blob: (done, of).
  std::function<json::object(const StoreSettings&, const std::string& from, const std::string& to,
                             const std::function<void(std::int64_t, std::int64_t)>& progress)>
      copy_blobs;
  std::function<int(const ScalerSettings&, const LogSettings&)> scaler;  // runs until a signal, like the first three
  std::function<Rehearsed(const RehearsalSettings&)> rehearse;
};

int machine_slots();                   // the default for a host
std::filesystem::path default_data();  // $XDG_DATA_HOME/geres, where every command looks first

// Prints "geres 0.1.0    everything on this machine", then rows of name and text, to standard output.
void print_block(const std::string& what, const std::vector<std::pair<std::string, std::string>>& rows,
                 const std::string& last);

// SIGINT and SIGTERM: blocked in all threads that start later, and taken one at a time by wait().
class StopSignals {
 public:
  StopSignals();  // from main, before the first thread
  // True: a signal has come, now or earlier. False: the time is up.
  bool wait(Millis timeout);
  // Called by wait() at a SIGHUP, which then is no signal to stop; but where a terminal shows our words, that was
  // closed.
  void on_hangup(std::function<void()> call) { on_hangup_ = std::move(call); }

 private:
  std::function<void()> on_hangup_;
};

}  // namespace geres::cli
