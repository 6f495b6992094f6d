// SPDX-License-Identifier: Apache-2.0
// What everybody saw, and whether it fits the promises: clients' questions and answers, the events of the hub, the
// hosts' runners with the times at which jobs really ran. Each entry is checked against those before it as it comes;
// what can only be judged at the end is in final_checks.h. The first contradiction ends the run.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "hub/engine/engine.h"
#include "hub/engine/with_jobs.h"
#include "hub/store/reads.h"
#include "hub/store/with_jobs.h"
#include "model/job_transitions.h"
#include "simulation/fair_shares.h"
#include "simulation/hungry_jobs.h"
#include "simulation/paths.h"
#include "simulation/sick_hosts.h"

namespace geres::simulation {

namespace store = hub::store;

struct Violation {
  std::string invariant;  // "I1"
  std::string text;
};

// A job as its events tell of it.
struct JobRecord {
  model::Job row;  // as it was when its first event was read; fixed parts only
  store::EventNo first_event = 0;
  int op = -1;  // the submit that made it, and its place there; -1: made by a redrive
  int index = 0;
  model::JobState state = model::JobState::ready;
  model::Reason reason = model::Reason::none;
  std::int64_t version = 0;  // of the newest event
  std::int64_t told = 0;     // the highest that anybody was answered
  int attempt = 0;
  store::EventNo cancelled_after = 0;  // a cancel was acknowledged: no attempt starts after this event; 0: none was
  bool cancel_asked = false;
  int executing = 0;     // runs of it, right now
  int held_attempt = 0;  // what a host holds a lease for, and until when, in true time
  Millis held_until = 0;
  Millis ended_at = 0;  // wall clock of the hub
  bool purged = false;
  bool avoids = false;          // a host, while it is ready: then it may be passed over there
  bool cancelled_held = false;  // an attempt's end, not while it waited
};

// A submit, over all its repeats.
struct SubmitRecord {
  std::string tenant;
  int jobs = 0;
  bool keyed = false;  // repeats must find the same jobs
  int received = 0;    // by a living hub
  int done = 0, refused = 0;
  std::vector<Uuid> ids;
  std::vector<std::vector<Uuid>> made;  // by place: what came to be
  int unknown() const { return received - done - refused; }
};

struct LeaseRecord {
  Uuid job;
  int attempt = 0;
  bool started_said = false;  // its host has reported a start or an end
  std::optional<model::Outcome> accepted;
  std::optional<model::Exit> exit;
  bool seen_in_store = false;
};

class Ledger {
 public:
  PathCounts paths{};
  void hit(Path path) { ++paths[std::size_t(path)]; }

  void violate(const char* invariant, std::string text) {
    if (!violation) violation = Violation{invariant, std::move(text)};
  }
  std::optional<Violation> violation;

  // ---- what is fixed
  struct TenantRecord {
    double weight = 1;
    int max_running = 0;
    std::int64_t running = 0;            // leases, by the events
    int executing = 0;                   // by the runners
    std::set<std::string> cancel_asked;  // types of its jobs
  };
  std::map<std::string, TenantRecord> tenants;
  struct BatchRecord {
    std::string tenant;
    std::string name;
    int max_running = 0;
    std::int64_t running = 0;
    int executing = 0;
    store::EventNo cancelled_after = 0;
    bool cancel_asked = false;
    bool delete_asked = false;
  };
  std::map<Uuid, BatchRecord> batches;
  FairShares fair{paths, [this](std::string text) { violate("I14", std::move(text)); }};
  SickHosts sick{paths, [this](std::string text) { violate("unstarted", std::move(text)); }};

  HungryJobs memory{paths, [this](std::string text) { violate("memory", std::move(text)); },
                    [this](Uuid job) { return jobs.at(job).row.spec.tenant; }};

  // ---- the hub's events
  void take_event(const store::EventRow& event, store::Reads& reads, Millis now);
  store::EventNo last_event() const { return last_event_; }
  const std::vector<std::uint64_t>& event_prints() const { return prints_; }
  static std::uint64_t print_of(const store::EventRow& event);

  // ---- answers, at the moment when the hub gave them
  void answered(const model::Job& job);  // I12: nobody may be told less later
  void read(Uuid id, const std::optional<model::Job>& job);
  int new_submit(std::string tenant, int jobs, bool keyed);
  void cancel_acknowledged(const model::Job& job, store::EventNo told);
  bool cancel_asked(const JobRecord& job);
  void submitted(int op, const hub::engine::Submitted& answer);
  bool kept(Uuid job);  // known, and not purged: its key must answer
  std::deque<SubmitRecord> submits;

  // ---- the hosts
  void lease_heard(Uuid lease, Uuid job, int attempt);
  // The answer to a repeat of a fetch has all that the first one granted and that still holds.
  void fetch_answered(Uuid host, const std::string& id, const hub::engine::FetchAnswer& answer,
                      const hub::engine::State& state);
  void start_said(Uuid lease);

  // ---- a fleet that sizes itself
  struct Scaling {
    std::int64_t epoch = 0;                // the newest that was given to a scaler
    std::set<std::string> removed;         // machines: to be removed, by a commit that was told
    std::map<Uuid, std::string> machines;  // by host
    std::set<Uuid> drained_by_operator;    // hosts
    int resumes = 0;                       // that operators have asked for
    std::set<std::string> drained_names;   // of hosts that come back drained
    bool names_stay = true;                // else a machine of another name may be the same host
  } scaling;
  struct JoinTokenRecord {
    int uses = 0;
    std::set<std::string> joined;  // random ids of hosts
  };
  std::map<Uuid, JoinTokenRecord> join_tokens;
  // No lease is current on it then, nor ever again.
  void machine_removed(const std::string& instance, const hub::engine::State& state);
  void holds(Uuid job, int attempt, Millis until);  // a host believes so
  void lets_go(Uuid job, int attempt);
  void accepted(const hub::engine::Completion& item);
  void began(Uuid job, int attempt);  // the runner's log
  void over(Uuid job);
  std::unordered_map<Uuid, LeaseRecord> leases;

  // ---- jobs
  JobRecord* find(Uuid id) {
    const auto found = jobs.find(id);
    return found == jobs.end() ? nullptr : &found->second;
  }
  std::map<Uuid, JobRecord> jobs;
  std::int64_t live = 0;

 private:
  void take_job_event(const store::EventRow& event, store::Reads& reads);
  void tell_sick_hosts(const JobRecord& job, const store::EventRow& event, const store::JobEvent& told,
                       store::Reads& reads);
  void made(const store::EventRow& event, store::Reads& reads);
  void moved(JobRecord& job, const store::EventRow& event, const store::JobEvent& told, store::Reads& reads);
  void granted(JobRecord& job, store::EventNo no);
  void count(const JobRecord& job, model::JobState state, int by);

  store::EventNo last_event_ = 0;
  Millis now_ = 0;  // of the tick whose events these are
  std::vector<std::uint64_t> prints_;
  std::map<std::pair<Uuid, std::string>, std::map<Uuid, Uuid>> fetches_;  // by host and call: leases and their jobs
  std::set<std::pair<Uuid, int>> attempts_heard_;
  std::set<std::pair<Uuid, int>> starts_said_;
};

}  // namespace geres::simulation
