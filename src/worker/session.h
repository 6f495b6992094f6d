// SPDX-License-Identifier: Apache-2.0
// A worker's life at the hub: registers, keeps the leases, and connects fetches, reports and crew. All of it lives on
// the link's thread; crew and users only post to it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>

#include "host/link/hub_link.h"
#include "host/link/member.h"
#include "worker/crew.h"
#include "worker/reports.h"
#include "worker/settings.h"

namespace geres::worker {

class Session final : private host::Member::Owner {
 public:
  Session(Settings settings, Handlers handlers);
  ~Session();

  void start();
  void stop(Millis drain);  // any thread
  void wait();              // any thread; throws Error
  Stats stats() const;      // any thread

 private:
  // ---- membership
  wire::RegisterHost registration() const override;
  std::string token() override { return read_token(settings_.options); }
  void joined() override { remember_id(settings_, member_.last_id()); }
  void refused(host::Refusal why, const std::string& problem) override;
  void gone() override;
  void reached(bool reached) const override { say(reached ? "the hub answers again" : "the hub cannot be reached"); }
  void trouble(const host::Trouble& what) const override { say(what.sentence() + "; trying again"); }

  // ---- each turn of the loop
  void turn();
  void take_news();
  void watch_time();
  int wish();

  // ---- what the hub tells
  void take_in(wire::Fetched fetched, Millis counted_from) override;
  void mode_changed(model::HostMode mode) override;
  AttemptPtr take_lease(wire::LeaseGrant grant, Millis counted_from);
  void take_report_answer(const wire::Reported& answer, const std::vector<AttemptPtr>& running, Millis sent_at);
  void cancel(const wire::CancelOrder& order);
  void unspeakable(const AttemptPtr& attempt);
  void lose(const AttemptPtr& attempt);
  void give_back(const AttemptPtr& attempt, model::Outcome outcome, const std::string& error);
  void forget(const AttemptPtr& attempt) { held_.erase(attempt->lease); }

  // ---- the end
  void stop_step();
  void finish(std::optional<Error> why);
  void watch_at(Millis at);
  void say(const std::string& line) const;
  void publish();

  const Settings settings_;
  const Handlers handlers_;
  const SystemClock clock_;
  host::HubLink link_;
  Crew crew_;
  Held held_;
  host::Member member_;
  Reports reports_;

  int live_ = 0;  // given to the crew and not ended
  std::int64_t taken_ = 0, ended_well_ = 0, ended_otherwise_ = 0;
  Millis watch_at_ = 0;  // the earliest time at which a lease or a timeout may be due
  bool finished_ = false;

  mutable std::mutex mutex_;
  std::condition_variable ended_changed_;
  bool ended_ = false;
  std::optional<Error> why_;
  Stats stats_;
  std::once_flag joined_;
  bool started_ = false;
};

}  // namespace geres::worker
