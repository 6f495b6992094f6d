// SPDX-License-Identifier: Apache-2.0
// Whether slots go to tenants by their weights: a second book of who has had what, kept from the hub's events alone.
//
// What a tenant has had is known but for one thing: a tenant that begins to want something is put where the others
// stand, and the events do not say where that is. So each has two books: `least`, as if that had never happened, and
// `most`, as if it had been put where the one stands that has had most. While a tenant waits without a break neither
// changes but by what runs. Then nobody may be served before it whose least is more than its most.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/uuid.h"
#include "simulation/paths.h"

namespace geres::simulation {

class FairShares {
 public:
  using Violate = std::function<void(std::string)>;
  explicit FairShares(PathCounts& paths, Violate violate) : paths_(paths), violate_(std::move(violate)) {}

  bool judged = false;        // only where all jobs fit all hosts
  Millis duration_guess = 0;  // of jobs when none of their tenant has ended
  int slots = 0;              // of the fleet
  void add_tenant(const std::string& name, double weight, int max_running) {
    tenants_[name] = {.weight = weight, .max_running = max_running};
  }

  void tick(Millis now) { now_ = now; }  // by the hub's own clock; the events of this tick follow
  void restart(Millis now);              // the hub knows nothing of before
  void has_read(Millis now);             // … and counts what runs from some time between these two
  void host_joined();                    // while there was none, nobody contended

  // Ready jobs. For one that avoids a host its tenant may be passed over there; but the hub puts it where others stand
  // when that is all it begins to want.
  void waiting(const std::string& tenant, int by, bool avoids);
  void leased(const std::string& tenant, Uuid job);
  void ended(const std::string& tenant, Uuid job);

 private:
  // Since when a job is counted.
  struct Begun {
    Millis earliest = 0;
    std::optional<Millis> latest;  // none: not before the hub has read its store
  };
  struct Tenant {
    double weight = 1;
    int max_running = 0;
    std::int64_t ready = 0;
    std::map<Uuid, Begun> running;
    double least = 0, most = 0;  // ms of slot time / weight, of what has ended
    Millis longest = 0;          // of its jobs
    bool contends = false;
    std::int64_t passed_over = 0;  // grants to others since it contends, or since its own last one
  };
  Millis least_of(const Begun& begun) const { return now_ - begun.latest.value_or(now_); }
  Millis most_of(const Begun& begun) const { return now_ - begun.earliest; }
  double least(const Tenant& tenant) const;
  double most(const Tenant& tenant) const;
  void look(Tenant& tenant);
  void put_where_most_stand(Tenant& tenant);
  void compare(const std::string& name, const Tenant& served);

  PathCounts& paths_;
  Violate violate_;
  std::map<std::string, Tenant> tenants_;
  Millis now_ = 0;
  bool has_read_ = true;
  bool all_expected_alike_ = true;  // nothing has ended yet
};

}  // namespace geres::simulation
