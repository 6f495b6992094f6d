// SPDX-License-Identifier: Apache-2.0
// Write a scaling policy in C++: a class that says how many hosts a pool should have, made known by one macro, built as
// a shared library that needs nothing but this header.
//
//   #include <geres/policy.h>
//
//   class OnePerTenJobs : public geres::policy::Policy {
//    public:
//     geres::policy::Wanted decide(const geres::policy::Load& load) override {
//       const auto jobs = load.demand.runnable.jobs + load.demand.running.jobs;
//       return {(jobs + 9) / 10, std::to_string(jobs) + " jobs"};
//     }
//   };
//   GERES_POLICY(OnePerTenJobs)
//
//   add_library(one_per_ten_jobs MODULE one_per_ten_jobs.cpp)
//   target_link_libraries(one_per_ten_jobs PRIVATE geres::policy)
//
// A policy is asked at each evaluation and knows nothing but the load that it is given: no clock, no files, no chance,
// so that the same load always leads to the same answer and a rehearsal means something. It runs in a process of its
// own, which may take 2 seconds and 256 MiB. What it answers is kept within the pool's limits, and no policy can end a
// job that runs. A class with a constructor from `const geres::policy::Json&` gets the pool's policy settings.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "geres/policy_abi.h"
#include "geres/policy_json.h"

namespace geres::policy {

using Millis = std::int64_t;  // a duration, or a point in time as milliseconds since 1970-01-01T00:00Z

struct Runnable {
  std::int64_t jobs = 0;          // wait, and would be placed if the pool had enough hosts
  std::int64_t slots = 0;         // that they need
  std::int64_t hosts_needed = 0;  // further hosts on which the scheduler would place them
};

struct Running {
  std::int64_t jobs = 0;
  std::int64_t slots = 0;
  double rest_mean_seconds = 0;  // expected until they end
  double rest_p90_seconds = 0;
};

// What is to be done, as the scheduler sees it. Jobs that a limit holds back or that no host of the pool could run are
// not in `runnable`.
struct Demand {
  Runnable runnable;
  Running running;
  std::int64_t held_by_limits = 0;  // jobs
  std::int64_t unplaceable = 0;     // jobs that fit no pool
  Millis oldest_wait = 0;           // of the runnable
  std::int64_t due_in_1m = 0;       // jobs that become ready by then
  std::int64_t due_in_5m = 0;
  double arrivals_per_second_1m = 0;
  double arrivals_per_second_10m = 0;
  double seconds_per_job = 0;           // mean of those that ended
  double seconds_per_job_p90 = 0;       //
  std::int64_t seconds_per_job_of = 0;  // how many those are
  std::int64_t dedicated_hosts = 0;     // further hosts that dedicated batches need for themselves
};

struct HostCounts {
  std::int64_t ready = 0;      // registered, and taking jobs
  std::int64_t idle = 0;       // of these, without a job
  std::int64_t booting = 0;    // ordered, and expected to register
  std::int64_t draining = 0;   // take no further job
  std::int64_t lost = 0;       // not heard of
  std::int64_t unmanaged = 0;  // of no pool: they take jobs, and are never ordered or removed
};

struct PoolFacts {
  std::string name;
  std::int64_t slots = 1;  // of each host
  std::int64_t memory_bytes = 0;
  std::int64_t minimum = 0;
  std::int64_t maximum = 0;
  Millis boot = 0;  // usual time from the order of a host until it is ready
};

struct Moment {
  Millis at = 0;
  Demand demand;
  HostCounts hosts;
  std::int64_t wanted = 0;  // what was decided
};

struct Load {
  Millis now = 0;
  PoolFacts pool;
  Demand demand;
  HostCounts hosts;
  std::vector<Moment> past;  // the last evaluations, at most 60, newest last
};

struct Wanted {
  std::int64_t hosts = 0;  // in all, those that are ready or ordered included
  std::string reason;      // for people, at most 200 characters
};

class Policy {
 public:
  virtual ~Policy() = default;
  virtual Wanted decide(const Load& load) = 0;
};

constexpr double kSecondsAssumed = 60;
constexpr std::int64_t kSecondsCount = 5;

// Seconds that a job takes: kSecondsAssumed while fewer than kSecondsCount have ended.
inline double usual_seconds(const Demand& demand) {
  return demand.seconds_per_job_of < kSecondsCount ? kSecondsAssumed : std::max(0.001, demand.seconds_per_job);
}

// ---- the same as JSON -----------------------------------------------------------------------------------------------

// As GET /v1/scaler/demand answers it.
inline Demand read_demand(const Json& from) {
  Demand demand;
  const Json& runnable = from["runnable"];
  demand.runnable = {runnable["jobs"].integer(), runnable["slots"].integer(), runnable["hostsNeeded"].integer()};
  const Json &running = from["running"], &rest = running["restSeconds"];
  demand.running = {running["jobs"].integer(), running["slots"].integer(), rest["mean"].real(), rest["p90"].real()};
  demand.held_by_limits = from["heldByLimits"]["jobs"].integer();
  demand.unplaceable = from["unplaceable"].integer();
  demand.oldest_wait = from["oldestWaitMs"].integer();
  demand.due_in_1m = from["dueSoon"]["60s"].integer();
  demand.due_in_5m = from["dueSoon"]["300s"].integer();
  demand.arrivals_per_second_1m = from["arrivalsPerSecond"]["1m"].real();
  demand.arrivals_per_second_10m = from["arrivalsPerSecond"]["10m"].real();
  const Json& seconds = from["secondsPerJob"];
  demand.seconds_per_job = seconds["mean"].real();
  demand.seconds_per_job_p90 = seconds["p90"].real();
  demand.seconds_per_job_of = seconds["n"].integer();
  for (const Json& batch : from["dedicated"].items()) demand.dedicated_hosts += batch["hostsNeeded"].integer();
  return demand;
}

inline Json write_demand(const Demand& demand) {
  Json dedicated = Json::list();
  if (demand.dedicated_hosts > 0) dedicated.add(Json::object().set("hostsNeeded", demand.dedicated_hosts));
  return Json::object()
      .set("runnable", Json::object()
                           .set("jobs", demand.runnable.jobs)
                           .set("slots", demand.runnable.slots)
                           .set("hostsNeeded", demand.runnable.hosts_needed))
      .set("running", Json::object()
                          .set("jobs", demand.running.jobs)
                          .set("slots", demand.running.slots)
                          .set("restSeconds", Json::object()
                                                  .set("mean", demand.running.rest_mean_seconds)
                                                  .set("p90", demand.running.rest_p90_seconds)))
      .set("heldByLimits", Json::object().set("jobs", demand.held_by_limits))
      .set("unplaceable", demand.unplaceable)
      .set("oldestWaitMs", demand.oldest_wait)
      .set("dueSoon", Json::object().set("60s", demand.due_in_1m).set("300s", demand.due_in_5m))
      .set("arrivalsPerSecond",
           Json::object().set("1m", demand.arrivals_per_second_1m).set("10m", demand.arrivals_per_second_10m))
      .set("secondsPerJob", Json::object()
                                .set("mean", demand.seconds_per_job)
                                .set("p90", demand.seconds_per_job_p90)
                                .set("n", demand.seconds_per_job_of))
      .set("dedicated", std::move(dedicated));
}

inline HostCounts read_hosts(const Json& from) {
  return {from["ready"].integer(),    from["idle"].integer(), from["booting"].integer(),
          from["draining"].integer(), from["lost"].integer(), from["unmanaged"].integer()};
}

inline Json write_hosts(const HostCounts& hosts) {
  return Json::object()
      .set("ready", hosts.ready)
      .set("idle", hosts.idle)
      .set("booting", hosts.booting)
      .set("draining", hosts.draining)
      .set("lost", hosts.lost)
      .set("unmanaged", hosts.unmanaged);
}

// {"nowMs", "pool": {…}, "demand": {…}, "hosts": {…}, "past": [{"atMs", "demand", "hosts", "wanted"}]}
inline Load read_load(const Json& from) {
  Load load;
  load.now = from["nowMs"].integer();
  const Json& pool = from["pool"];
  load.pool = {pool["name"].text(),       pool["slots"].integer(1),  pool["memoryBytes"].integer(),
               pool["minimum"].integer(), pool["maximum"].integer(), pool["bootMs"].integer()};
  load.demand = read_demand(from["demand"]);
  load.hosts = read_hosts(from["hosts"]);
  for (const Json& moment : from["past"].items())
    load.past.push_back({moment["atMs"].integer(), read_demand(moment["demand"]), read_hosts(moment["hosts"]),
                         moment["wanted"].integer()});
  return load;
}

inline Json write_load(const Load& load) {
  Json past = Json::list();
  for (const auto& moment : load.past)
    past.add(Json::object()
                 .set("atMs", moment.at)
                 .set("demand", write_demand(moment.demand))
                 .set("hosts", write_hosts(moment.hosts))
                 .set("wanted", moment.wanted));
  return Json::object()
      .set("nowMs", load.now)
      .set("pool", Json::object()
                       .set("name", load.pool.name)
                       .set("slots", load.pool.slots)
                       .set("memoryBytes", load.pool.memory_bytes)
                       .set("minimum", load.pool.minimum)
                       .set("maximum", load.pool.maximum)
                       .set("bootMs", load.pool.boot))
      .set("demand", write_demand(load.demand))
      .set("hosts", write_hosts(load.hosts))
      .set("past", std::move(past));
}

inline Json write_wanted(const Wanted& wanted) {
  return Json::object().set("hosts", wanted.hosts).set("reason", wanted.reason);
}

// ---- the C interface ------------------------------------------------------------------------------------------------

namespace detail {

// Cut where it does not fit.
inline void put_line(char* to, std::size_t size, std::string_view text) {
  if (size == 0) return;
  const auto n = std::min(size - 1, text.size());
  std::copy_n(text.data(), n, to);
  to[n] = '\0';
}

template <class T>
std::unique_ptr<Policy> make(const Json& settings) {
  if constexpr (std::is_constructible_v<T, const Json&>)
    return std::make_unique<T>(settings);
  else
    return std::make_unique<T>();
}

template <class T>
void* create(const char* settings, char* error, std::size_t size) {
  try {
    return make<T>(Json::parse(settings)).release();
  } catch (const std::exception& trouble) {
    put_line(error, size, trouble.what());
  } catch (...) {
    put_line(error, size, "an exception of an unknown kind");
  }
  return nullptr;
}

inline int decide(void* policy, const char* load, char* out, std::size_t size) {
  try {
    const auto text = write_wanted(static_cast<Policy*>(policy)->decide(read_load(Json::parse(load)))).write();
    if (text.size() < size) return put_line(out, size, text), 0;
    put_line(out, size, "the reason is too long");
  } catch (const std::exception& trouble) {
    put_line(out, size, trouble.what());
  } catch (...) {
    put_line(out, size, "an exception of an unknown kind");
  }
  return 1;
}

}  // namespace detail
}  // namespace geres::policy

// Once in a library.
#define GERES_POLICY(Class)                                                                                         \
  extern "C" {                                                                                                      \
  __attribute__((visibility("default"))) int geres_policy_abi(void) {                                               \
    return GERES_POLICY_ABI;                                                                                        \
  }                                                                                                                 \
  __attribute__((visibility("default"))) void* geres_policy_create(const char* settings, char* error, size_t n) {   \
    return ::geres::policy::detail::create<Class>(settings, error, n);                                              \
  }                                                                                                                 \
  __attribute__((visibility("default"))) int geres_policy_decide(void* self, const char* in, char* out, size_t n) { \
    return ::geres::policy::detail::decide(self, in, out, n);                                                       \
  }                                                                                                                 \
  __attribute__((visibility("default"))) void geres_policy_destroy(void* self) {                                    \
    delete static_cast<::geres::policy::Policy*>(self);                                                             \
  }                                                                                                                 \
  }
