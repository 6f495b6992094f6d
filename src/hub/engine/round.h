// SPDX-License-Identifier: Apache-2.0
// What the classes of one tick share: the state they change, the store they write to, what time it is, and what goes
// out once the tick is on disk. Each of them names in its members what it uses of it.
#pragma once

#include "base/uuid.h"
#include "hub/engine/buffered_store.h"
#include "hub/engine/desk.h"
#include "hub/engine/options.h"
#include "hub/engine/state.h"
#include "hub/engine/stats.h"

namespace geres::hub::engine {

struct Now {
  Millis monotonic = 0;
  Millis wall = 0;
  Millis engine = 0;  // monotonic, anchored at the wall clock when the state was loaded: for stored durations
  Millis lease = 0;   // monotonic less the engine's own pauses: for lease deadlines
  Millis ages = 0;    // wall, as far as it is to be believed: for what is purged by its age
};

// Kept until the commit. Nobody hears of a tick that did not reach the disk.
struct Outbox {
  struct FetchReply {
    Uuid host;
    std::string fetch_id;
    FetchAnswer answer;
  };
  struct SliceDone {
    Uuid operation;
    BulkDone done;  // by this slice
    bool last = false;
  };
  std::vector<FetchReply> fetch_replies;
  std::vector<OpenFetch> replaced_fetches;  // by a newer fetch: answered empty
  std::vector<OpenFetch> repeated_fetches;  // by a newer copy of the same: refused
  std::vector<SliceDone> slices_done;
  std::vector<Uuid> hosts_forgotten;  // their open fetches end with hostGone
  std::vector<store::EventRow> events;
  WebhookNews webhook_news;
  std::vector<Uuid> purged;
  std::vector<std::pair<Uuid, LeaseInfo>> leases_added;
  std::vector<Uuid> leases_gone;
  std::vector<Observed> observed;
  std::vector<ScalerSeen> scaler_seen;
};

struct Round {
  State& state;
  Desk& desk;
  IdSource& ids;
  Random& random;
  const Options& options;
  Stats& stats;
  const Now now;
  BufferedStore store;
  Outbox out;
  bool newcomers = false;  // a tenant may want something that wanted nothing before
  bool more = false;       // there is work left for another tick at once
};

}  // namespace geres::hub::engine
