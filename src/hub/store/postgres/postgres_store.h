// SPDX-License-Identifier: Apache-2.0
// The store in a PostgreSQL database (14 or newer), in a schema of its own. One connection writes, over libpq's
// pipeline: a tick is a few statements with arrays, sent one behind the other. The row of table `epoch` is locked first
// in every tick, so that a hub which has been deposed, or has lost its connection in the middle, changes nothing and
// answers nothing.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "hub/store/store.h"

namespace geres::hub::store {

struct PostgresOptions {
  std::string url;                     // postgres://…, or a connection string of libpq's
  std::string schema = "geres_store";  // made if it is absent
  std::string hub;                     // names this hub in the store, for others' messages
  int readers = 6;                     // read connections at most, opened on demand
  Millis read_limit = 10'000;          // a longer read fails as `refused`
  Millis tick_limit = 10'000;          // the server's answer within a tick; later the connection counts as lost
  Millis stands_still = 3'000;         // a leader that shows no sign of life for so long may be deposed
  std::function<bool()> stopping;      // asked while lead() waits for another hub; true: it gives up
  bool unsafe_allowed = false;         // also on a server that may lose what it has acknowledged (fsync off): tests
};

// Makes the schema if it is absent, and brings an older one to the newest version. Throws StoreFailed (fatal) with a
// sentence for the operator where the server is not there, or not what a store can stand on.
std::unique_ptr<Store> open_postgres(const PostgresOptions& options);

// What may be shown of a connection URL or string: "postgresql at HOST/DATABASE", without a password. Fails with what
// libpq says if it cannot be read.
Result<std::string> shown_address(const std::string& url);
bool has_password(const std::string& url);

}  // namespace geres::hub::store
