// SPDX-License-Identifier: Apache-2.0
// What a host that cannot start jobs may cost: a pause that grows, no count, and nothing at all while another host
// fits; it itself is tried less and less. Judged from the events of the hub, and from what the hosts know of
// themselves.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/uuid.h"
#include "hub/store/reads.h"
#include "simulation/paths.h"

namespace geres::simulation {

class SickHosts {
 public:
  using Violate = std::function<void(std::string)>;
  explicit SickHosts(PathCounts& paths, Violate violate) : paths_(paths), violate_(std::move(violate)) {}

  // Is there a host beside these that is surely well and fits? Asked when a job is granted to one it had avoided.
  std::function<bool(Uuid job, const std::set<std::string>& hosts)> another_fits;
  Millis unstarted_max = 0;    // for so long may a job be given back, and not much longer
  bool wall_jumps = false;     // then times are not exact over a restart
  bool slow_ticks = false;     // … nor over a tick: how long a host rests is not judged
  std::set<std::string> tiny;  // hosts that have no room for some jobs, and are well

  // A new life of the hub, or of a host, or a tick that was refused: from when they count is not known then.
  void forget() { hosts_.clear(); }
  void host_joined(const std::string& host) { hosts_.erase(host); }
  void gives_back(Uuid job, int attempt) { given_back_.emplace(job, attempt); }  // said by its host, never started

  // By the events, in their order.
  void leased(Uuid job, int attempt, const std::string& host, Millis now);
  void started(Uuid job, int attempt);
  // Retrying; `at`: when, by the hub's wall clock.
  void paused(Uuid job, int attempt, int failures, Millis now, Millis at);
  void ready_again(Uuid job, int attempt, hub::store::Reads& reads);  // from a lease
  void ended(Uuid job, int attempt, hub::store::Reads& reads);

 private:
  struct Job {
    std::string host;             // of the newest attempt
    std::set<std::string> avoid;  // could not start it
    int failures = 0;
    int unstarted = 0;
    Millis since = 0;
    bool sure = true;  // of `since`: nothing came between that the events do not tell
  };
  struct Host {
    int in_a_row = 0;
    Millis rest = 0, until = 0;
    std::optional<std::pair<Uuid, int>> trial;
    bool untold = false;  // it may rest for what no event told or told in time, since it last started something
  };
  void hit(Path path) { ++paths_[std::size_t(path)]; }
  void rests(Host& host, Millis now);
  void note_untold(Uuid job, int attempt, const std::string& host, hub::store::Reads& reads);

  PathCounts& paths_;
  Violate violate_;
  std::map<Uuid, Job> jobs_;
  std::map<std::string, Host> hosts_;
  std::set<std::pair<Uuid, int>> given_back_;
};

}  // namespace geres::simulation
