// SPDX-License-Identifier: Apache-2.0
// The long-running commands up, hub and host, as far as the command line is concerned: options, the block of addresses
// they print, and the signals that end them. What they run is given by main, the only place that knows hub and host.
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

namespace geres::cli {

struct HubSettings {
  std::filesystem::path data;         // made, and known to be writable
  std::string address = "127.0.0.1";  // numeric
  std::uint16_t port = 8080;
  std::string store;  // empty: DATA/geres.db
  std::string blobs;  // empty: DATA/blobs
  std::size_t connections = 20'000;
  Millis client_patience = 0;  // 0: the server's own
  Millis lease = 30'000;
  bool new_admin_token = false;
  double calls_per_token = 0, calls_per_tenant = 0, calls_per_address = 0;  // a second; 0: no limit
  Millis report_every = 0;                                                  // 0: as the lease wants it
  std::vector<std::string> cors_origins;                                    // whose web pages may call the hub
  std::size_t metrics_tenants = 20;                                         // with series of their own at /metrics
  std::vector<std::string> webhook_allow;
  std::string webhook_ca;  // empty: the system's certificates alone
  Millis webhook_retry = 10'000;
  int webhook_attempts = 12;
  std::string amqp;                      // amqp[s]://host[:port]/ADDRESS; empty: none
  std::string amqp_user, amqp_password;  // never in a log
  std::string amqp_ca;
  bool amqp_from_start = false;
  int amqp_tries = 0;  // 0: a message is never left out
};

struct HostSettings {
  std::filesystem::path data;  // its own directory
  std::string hub;             // empty for `up`, which has its own
  std::string token;
  std::string ca_file;
  std::string name;  // empty: the machine's
  int slots = 1;
  std::int64_t memory = 0;
  std::map<std::string, std::string> labels;
  std::vector<std::string> tenants;  // empty: all
  Millis drain = 10'000;
  std::int64_t scratch_limit = 10LL << 30;     // bytes that one attempt's files may take up; 0: any
  std::int64_t process_limit = 4'096;          // that one attempt may have; 0: any
  std::optional<std::int64_t> default_memory;  // bytes, of a job that asks for none; 0: any; absent: the host's rule
  bool out_of_memory_ends = true;
  std::string fence;                      // on or off; empty: as the host does by itself
  std::vector<std::string> writable;      // directories
  std::string isolation;                  // none, user or sandbox; empty: user for root, else none
  bool allow_root = false;                // isolation none as root
  std::optional<std::int64_t> uid_block;  // where the jobs' user ids begin
  std::optional<std::pair<std::string, std::uint16_t>> metrics;  // where its figures are to be had; absent: nowhere
  std::string containment;  // cgroup2, freezer, pidns or bestEffort; empty: the best that works
};

struct LogSettings {
  std::string level;   // "info"
  bool quiet = false;  // no start-up block
};

// What the commands below look at and change: the files of a hub that runs or does not.
struct StoreSettings {
  std::filesystem::path data;
  std::string store;  // as in HubSettings
  std::string blobs;  // likewise
};

// Each of the first three returns the exit code. They run until a signal ends them.
struct Services {
  std::function<int(const HubSettings&, const LogSettings&)> hub;
  std::function<int(const HostSettings&, const LogSettings&)> host;
  std::function<int(const HubSettings&, const HostSettings&, const LogSettings&)> up;
  // Has one attempt run as a host of this user would have it run, from a directory of its own that is made and removed
  // in `directory`. Throws the Trouble that such a host would end with.
  std::function<void(const std::filesystem::path& directory, int slots)> try_host;
  // {store, ok, jobs{state: n}, events{kept, first, last}, log, tick, rules, violations[{rule, invariant, table, row,
  // sentence}], more}
  std::function<json::object(const StoreSettings&)> check;
  // The same of the copy that was made at `file`.
  std::function<json::object(const StoreSettings&, const std::filesystem::path& file)> backup;
  // The same of the store that was made; and, if one was there and is kept, `kept`: its new name.
  std::function<json::object(const StoreSettings&, const std::filesystem::path& file, bool replace)> restore;
  // The same of all that a hub keeps and a directory, and besides blobs{files, bytes}, logs{files, bytes}, adminToken;
  // of a backup lost[] and lostCount: the blobs that the store names and that are not there.
  std::function<json::object(const StoreSettings&, const std::filesystem::path&directory)> backup_all, restore_all;
};

int machine_slots();                   // what a host has unless told otherwise
std::filesystem::path default_data();  // $XDG_DATA_HOME/geres, where everybody looks first

// "geres 0.1.0    everything on this machine", then rows of name and text, on standard output.
void print_block(const std::string& what, const std::vector<std::pair<std::string, std::string>>& rows,
                 const std::string& last);

// SIGINT and SIGTERM, held back from all threads that start later, and taken one at a time by who waits.
class StopSignals {
 public:
  StopSignals();  // from main, before the first thread
  // True: one has come (or had come before); false: the time is up.
  bool wait(Millis timeout);
};

}  // namespace geres::cli
