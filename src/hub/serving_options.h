// SPDX-License-Identifier: Apache-2.0
// How a hub answers its callers. The defaults are those of `geres hub`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/public_url.h"
#include "http/options.h"
#include "hub/host_auth.h"

namespace geres::hub::api {
struct PageFile;
}

namespace geres::hub {

struct ServingOptions {
  http::Options http;                          // threads 0: as many as the machine has cores, at most 4
  std::filesystem::path auth_config;           // which identity providers are trusted; empty: none
  std::filesystem::path data_dir;              // logs of attempts are in it
  std::string store_kind;                      // as shown: "sqlite"
  std::string store_address;                   // likewise: where it is
  std::filesystem::path store_file;            // something on the disk that is watched
  std::uint64_t disk_low = 512ULL << 20;       // bytes free below which the log says so
  unsigned read_threads = 4;                   // for database reads and file work
  std::int64_t spec_bytes_max = 1 << 20;       // one job spec, and every other JSON body but a list
  std::int64_t list_bytes_max = 64 << 20;      // a list of job specs, and a host's report
  std::int64_t package_bytes_max = 1LL << 30;  // a package's ZIP
  std::int64_t file_bytes_max = 16LL << 30;    // an input or artifact
  std::int64_t log_bytes_max = 128 << 20;      // of one attempt's stdout or stderr
  std::string default_tenant;                  // whose a job is that names none; empty: that is refused
  double guesses_per_address = 10;  // calls a second with tokens that are not known; a burst of five times as many
  double calls_per_token = 0, calls_per_tenant = 0, calls_per_address = 0;  // a second; 0: as many as they like
  Millis report_every = 0;                // how often hosts report at least; 0: 5 s, a quarter of a short lease
  std::size_t metrics_tenants = 20;       // with series of their own at /metrics, those with the most open jobs
  std::vector<std::string> cors_origins;  // whose web pages may call this hub, as browsers name them
  Millis logs_rest = 60'000;              // after a job's end its log goes to the store of objects, if there is one
  PublicUrl public_url;                   // where browsers find this hub, if not at its own address
  HostAuth host_auth = HostAuth::secret;
  std::string ca_pin;  // of the hub's own authority, which signed its certificate; empty: none did
  std::optional<std::span<const api::PageFile>> page;  // instead of the one that was compiled in
  bool access_log = false;                             // log every request; else only those that were refused or failed
};

}  // namespace geres::hub
