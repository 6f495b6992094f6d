// SPDX-License-Identifier: Apache-2.0
// Tells the hub what became of the leases; host/link/report_line.h decides when. Whatever comes while a report is in
// transit goes into the next one, so reports grow with the load. What a lost report carried is sent again; an end until
// the hub accepts or refuses it.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "host/link/member.h"
#include "worker/attempt.h"

namespace geres::worker {

using Held = std::unordered_map<std::string, AttemptPtr>;  // by lease, until the hub has answered its end

// The network thread.
class Reports final : public host::ReportLine::Source {
 public:
  struct Events {
    // A report was accepted: the leases in `running` are renewed as of `sent_at`, except those that the answer calls
    // lost.
    std::function<void(const wire::Reported& answer, const std::vector<AttemptPtr>& running, Millis sent_at)> answered;
    // A report that contained only this attempt's end was refused.
    std::function<void(const AttemptPtr& attempt)> unspeakable;
  };

  Reports(host::Member& member, const Held& held, Events events)
      : member_(member), held_(held), events_(std::move(events)) {}

  void end();
  void started(AttemptPtr attempt) { started_.push_back(std::move(attempt)); }
  void progressed(AttemptPtr attempt, wire::ProgressItem item);
  void ended(AttemptPtr attempt) { ended_.push_back(std::move(attempt)); }
  std::size_t untold_ends() const { return ended_.size(); }

  std::optional<Millis> shortest_lease() const override;
  wire::Report build() override;
  void taken_in(const wire::Reported& answer, Millis sent_at) override;
  void lost(const host::HubAnswer& answer, bool refused) override;

 private:
  // What the report in transit carries.
  struct Flight {
    std::vector<AttemptPtr> running, started, finished;
    std::vector<std::pair<AttemptPtr, wire::ProgressItem>> progress;
  };

  void add_ends(wire::Report& report);
  void tell_again(Flight flight, bool refused);

  host::Member& member_;
  const Held& held_;
  const Events events_;
  std::optional<Flight> flight_;
  std::vector<AttemptPtr> started_;
  std::unordered_map<AttemptPtr, wire::ProgressItem> progress_;
  std::deque<AttemptPtr> ended_;
  std::size_t ends_max_ = 4'096;  // in one report; 1 after the hub refused one
};

}  // namespace geres::worker
