// SPDX-License-Identifier: Apache-2.0
// Tells the hub what happened to the attempts; host/link/report_line.h decides when. Each kind of news says how soon it
// must go out: an end at once, starts and logs a little later, so that a short job costs one report; progress at once,
// unless some was sent a moment ago, so that much progress costs few reports. What a lost report carried is sent again.
// A finished item is sent until the hub accepts or refuses it, and only after all of its attempt's log.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "host/attempt.h"
#include "host/link/member.h"

namespace geres::host {

// The loop's thread.
class Reporter final : public ReportLine::Source {
 public:
  struct Events {
    // A report was accepted: the leases in `running` are renewed as of `sent_at`, except those that the answer calls
    // lost.
    std::function<void(const wire::Reported& answer, const std::vector<std::string>& running, Millis sent_at)> answered;
    // A report that contained only this attempt's end was rejected.
    std::function<void(const std::string& lease)> unspeakable;
    // Why the host itself takes no jobs now; nullopt: it does.
    std::function<std::optional<std::string>()> rests;
  };

  Reporter(Member& member, const Clock& clock, Attempts& attempts, Events events)
      : member_(member), clock_(clock), attempts_(attempts), events_(std::move(events)) {}

  void end() { flight_.reset(); }
  void progress_is_new();  // of any attempt

  std::optional<Millis> shortest_lease() const override;
  wire::Report build() override;
  void taken_in(const wire::Reported& answer, Millis sent_at) override;
  void lost(const HubAnswer& answer, bool refused) override;

 private:
  // What the report in transit carries.
  struct Flight {
    std::vector<std::string> running, started;
    std::vector<wire::ProgressItem> progress;
    struct LogEnd {
      std::string lease;
      bool error_stream;
      std::int64_t end;
    };
    std::vector<LogEnd> logs;
    std::vector<std::string> finished;
    bool cut = false;  // there was more to send
    bool any_log() const { return !logs.empty(); }
  };

  bool has_news() const;
  void add_attempt(wire::Report& report, Attempt& attempt);
  bool add_log(wire::Report& report, Attempt& attempt, bool error_stream);
  void add_finished(wire::Report& report, Attempt& attempt, bool logs_told);
  void drop_refused_items();
  bool hub_takes_files_left_out() const { return member_.membership() && member_.membership()->takes_files_left_out(); }
  Attempt* find(const std::string& lease);

  Member& member_;
  const Clock& clock_;
  Attempts& attempts_;
  Events events_;
  std::optional<Flight> flight_;
  Millis progress_told_at_ = 0;
  std::int64_t log_budget_ = 0, finished_budget_ = 0;  // bytes left in the report being built
  std::int64_t log_budget_max_ = 512 << 10;
  std::size_t finished_max_ = 1'024;  // ends in one report; 1 after the hub refused one
};

}  // namespace geres::host
