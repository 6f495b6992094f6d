// SPDX-License-Identifier: Apache-2.0
// Jobs that run out of memory: the next attempt gets more than the limit that the last one is known to have run into,
// up to what the tenant may ask for and the hosts have, never beyond that, and never less than the one before.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "hub/engine/verbs.h"
#include "simulation/paths.h"

namespace geres::simulation {

class HungryJobs {
 public:
  static constexpr std::int64_t kUsual = 1ll << 30;  // a host's limit of a job that asks for none
  // What it takes to end well: for some more than there is.
  static std::int64_t need_of(Uuid job) { return job.low % 3 == 0 ? std::int64_t(1 + job.low % 16) * kUsual : 0; }

  HungryJobs(PathCounts& paths, std::function<void(std::string)> violate, std::function<std::string(Uuid)> tenant_of)
      : paths_(paths), violate_(std::move(violate)), tenant_of_(std::move(tenant_of)) {}

  std::int64_t of_hosts = 0;                       // all have as much; 0: nobody says
  std::map<std::string, std::int64_t> of_tenants;  // that may ask for so much at most
  bool lanes_enough = true;                        // else a job may go back to what it asked for

  void granted(Uuid job, int attempt, std::int64_t memory);
  void ended(Uuid job, int attempt, const hub::engine::Completion& item);

 private:
  struct Job {
    int attempt = 0;          // the newest that was granted …
    std::int64_t memory = 0;  // … with so much
    int ran_out = 0;          // the newest that is known to have run out …
    std::int64_t limit = 0;   // … of so much
  };
  std::int64_t most(Uuid job) const;

  PathCounts& paths_;
  std::function<void(std::string)> violate_;
  std::function<std::string(Uuid)> tenant_of_;
  std::map<Uuid, Job> jobs_;
};

}  // namespace geres::simulation
