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

#include "base/error.h"
#include "hub/amqp/options.h"
#include "hub/cannot_start.h"
#include "hub/engine/options.h"
#include "hub/serving_options.h"
#include "hub/tls_upkeep.h"
#include "hub/webhooks/options.h"

namespace geres::hub {

struct HubOptions {
  std::filesystem::path data_dir;         // made if absent
  std::string store;                      // "sqlite:FILE", "postgresql://…"; empty: DATA/geres.db
  std::string blobs;                      // "dir:DIRECTORY", "s3:…", "azure:…"; empty: DATA/blobs
  std::uint64_t blob_cache = 1ULL << 30;  // bytes of a store elsewhere that are kept here for readers
  // Where others put packages under readable names: "azure:ACCOUNT/jobprocessorfiles/{tenant}/{package}.zip"; empty:
  // nowhere
  std::string import_layout;
  Millis import_every = 30'000;               // how often it is looked into
  bool new_admin_token = false;               // make one if the data directory has none that is good
  std::uint64_t disk_reserve = 256ULL << 20;  // uploads are refused as long as the disk has less than this free
  Millis keep_unnamed = 24 * 3'600'000LL;     // uploads that nothing came to name are swept after this
  Millis sweep_every = 3'600'000;             // when that is looked at

  engine::Options engine;  // host_lost_after follows from the lease and serving.report_every
  webhooks::Options webhooks;
  std::vector<std::string> webhook_allow;  // networks and hosts that webhooks may call though they are not public
  amqp::Options amqp;                      // of no address: events are published to none
  // data_dir, store_kind, store_address, store_file, disk_low and what is about TLS follow from the above and the next.
  ServingOptions serving;
  TlsOptions tls;  // for what serving.http.listen has with TLS

  // Called once, on the engine's thread, when the store cannot be trusted any more: say so, stop, exit non-zero.
  std::function<void(const std::string&)> on_fatal;

  // Asked while another hub leads on the store and this one waits; true: start() gives up.
  std::function<bool()> stopping;

  HubOptions() { serving.http.listen.front().port = 8080, serving.http.threads = 0; }
};

class Hub {
 public:
  explicit Hub(HubOptions options);
  ~Hub();  // stop(0)
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // The address it listens on. Throws CannotStart or another std::runtime_error: the data directory is in use by
  // another hub or cannot be written, the store is broken, the port is taken.
  std::string start();
  void stop(Millis deadline = 1'500);  // may be repeated; any thread but the hub's own
  std::string url() const;
  std::vector<std::string> urls() const;  // of all that it listens at
  std::string ca_pin() const;             // of the hub's own authority; empty: it has none
  std::filesystem::path ca_file() const;  // its certificate, if there is a pin
  // Takes up what has changed in files that may change while it runs: certificates. All or nothing; the log says which.
  void reload();
  bool has_page() const;       // a web page was compiled in
  std::string sign_in_code();  // signs one browser in as the admin, once, soon; empty: its token is not here
  // Has a change of the file of identity providers count; what is wrong with it leaves all as it was.
  Result<void> reread_auth_config();
  std::string store() const;  // where its state is kept, in words
  bool has_pools() const;     // whether there is something for a scaler to do; false where the store does not answer

  std::filesystem::path admin_token_file() const;

 private:
  struct Parts;
  HubOptions options_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace geres::hub
