// SPDX-License-Identifier: Apache-2.0
// What a pool would have done: jobs that were, or are imagined, run again in simulated time. Scheduler, demand, policy,
// planner, reconciler and keeper are those of the real hub and the real scaler; only the provider and the hosts are
// simulated. The same settings and seed always have the same report.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "scaler/keeper.h"
#include "scaler/pool.h"

namespace geres::rehearsal {

struct Job {
  Millis ready = 0;   // when it could begin
  Millis length = 0;  // so long it runs
  int slots = 1;
  std::string tenant = "default", type = "job";
};

struct Settings {
  scaler::Pool pool;
  scaler::MakeDecider make_decider;
  std::vector<Job> jobs;
  std::vector<Millis> boots;  // one is drawn for each machine; empty: boot, give or take boot_spread
  Millis boot = 45'000, boot_spread = 10'000;
  Millis call_time = 500;        // that the provider takes to answer
  double provider_fails = 0;     // so many of its calls, 0 to 1
  std::int64_t quota = 0;        // machines that it makes at most; 0: no limit
  double price = 0;              // of a machine for an hour
  std::optional<Millis> within;  // jobs that end later after they were ready are late
  int other_slots = 0;           // of hosts that are there anyway
  std::uint32_t seed = 1;
};

struct Waits {
  std::string tenant;  // empty: all
  std::int64_t jobs = 0;
  Millis p50 = 0, p95 = 0, p99 = 0, most = 0;
};

struct Sample {  // the most in a part of the time, but `wanted`: the last
  Millis at = 0;
  std::int64_t waiting = 0, running = 0, ready = 0, coming = 0, wanted = 0;
};

struct Report {
  std::int64_t jobs = 0, ended = 0, late = 0;
  Millis from = 0, to = 0;   // the first that is ready, the last end
  std::vector<Waits> waits;  // all, then the ten tenants with the most jobs
  double ready_seconds = 0, booting_seconds = 0, idle_seconds = 0,
         wasted_seconds = 0;  // of hosts; wasted: never joined
  double cost = 0;
  std::int64_t decisions = 0, changes = 0, hosts_most = 0, ordered = 0, refused = 0;
  std::vector<Sample> samples;
};

Report rehearse(const Settings& settings);

// Jobs and hosts over time, as a picture of some kilobytes.
std::string chart(const Report& report, const std::string& title);

}  // namespace geres::rehearsal
