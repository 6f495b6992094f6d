// SPDX-License-Identifier: Apache-2.0
// Tells the hub what became of the leases; when is host/link/report_line.h's matter. Everything that came while a
// report was under way goes into the next, so that they grow with the load. What a lost report carried is told again;
// an end until the hub accepts or refuses it.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "host/link/report_line.h"
#include "worker/attempt.h"

namespace geres::worker {

using Held = std::unordered_map<std::string, AttemptPtr>;  // by lease, until the hub has answered its end

// The network thread.
class Reports {
 public:
  struct Events {
    // A report was taken in: the leases in `running` are renewed as of `sent_at`, but for those the answer calls lost.
    std::function<void(const wire::Reported& answer, const std::vector<AttemptPtr>& running, Millis sent_at)> answered;
    // A report that told nothing but this attempt's end was refused as a whole.
    std::function<void(const AttemptPtr& attempt)> unspeakable;
    std::function<void(bool reached)> heard;
    std::function<void()> gone;
    std::function<void(const std::string& what)> trouble;
  };

  Reports(host::HubLink& link, const Clock& clock, const Held& held, Events events);

  void begin(host::Membership membership);
  void end();
  void started(AttemptPtr attempt) { started_.push_back(std::move(attempt)); }
  void progressed(AttemptPtr attempt, wire::ProgressItem item);
  void ended(AttemptPtr attempt) { ended_.push_back(std::move(attempt)); }
  void within(Millis delay) { line_.within(delay); }  // something is to be told; 0: with this turn
  void say_goodbye() { line_.say_goodbye(); }
  bool leaving() const { return line_.leaving(); }
  bool goodbye_said() const { return line_.goodbye_said(); }
  std::size_t untold_ends() const { return ended_.size(); }
  void pump(const std::string& fetched) { line_.pump(fetched); }

 private:
  // What the report under way carries.
  struct Flight {
    std::vector<AttemptPtr> running, started, finished;
    std::vector<std::pair<AttemptPtr, wire::ProgressItem>> progress;
  };

  std::optional<Millis> shortest_lease() const;
  wire::Report build();
  void add_ends(wire::Report& report);
  void taken_in(const wire::Reported& answer, Millis sent_at);
  void lost(bool refused);
  void tell_again(Flight flight, bool refused);

  const Held& held_;
  const Events events_;
  host::ReportLine line_;
  std::optional<Flight> flight_;
  std::vector<AttemptPtr> started_;
  std::unordered_map<AttemptPtr, wire::ProgressItem> progress_;
  std::deque<AttemptPtr> ended_;
  std::size_t ends_max_ = 4'096;  // in one report; 1 after the hub refused one
};

}  // namespace geres::worker
