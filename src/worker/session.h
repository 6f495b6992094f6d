// SPDX-License-Identifier: Apache-2.0
// A worker's life at the hub: registers, keeps the leases, stands between fetches, reports and crew. All of it lives on
// the link's thread; crew and users only post to it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>

#include "host/link/claim_loop.h"
#include "host/link/hub_link.h"
#include "worker/crew.h"
#include "worker/reports.h"
#include "worker/settings.h"

namespace geres::worker {

class Session {
 public:
  Session(Settings settings, Handlers handlers);
  ~Session();

  void start();
  void stop(Millis drain);  // any thread
  void wait();              // likewise; throws Error
  Stats stats() const;      // likewise

 private:
  // ---- membership
  void register_host();
  void registered(const host::HubAnswer& answer);
  void refused(const host::HubAnswer& answer);
  void host_gone();
  void heard(bool reached);

  // ---- each turn of the loop
  void turn();
  void take_news();
  void watch_time();
  int wish();

  // ---- what the hub tells
  void take_in(wire::Fetched fetched, Millis counted_from);
  AttemptPtr take_lease(wire::LeaseGrant grant, Millis counted_from);
  void take_report_answer(const wire::Reported& answer, const std::vector<AttemptPtr>& running, Millis sent_at);
  void cancel(const wire::CancelOrder& order);
  void set_mode(model::HostMode mode);
  void unspeakable(const AttemptPtr& attempt);
  void lose(const AttemptPtr& attempt);
  void give_back(const AttemptPtr& attempt, model::Outcome outcome, const std::string& error);
  void forget(const AttemptPtr& attempt) { held_.erase(attempt->lease); }

  // ---- the end
  void stop_by(Millis drain);
  void stop_step();
  bool out_of_reach() const;
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
  host::ClaimLoop claims_;
  Reports reports_;

  std::optional<host::Membership> membership_;
  std::string last_id_;
  int register_tries_ = 0;
  bool registering_ = false;
  Millis name_taken_since_ = 0;
  model::HostMode mode_ = model::HostMode::run;
  bool reachable_ = true;
  Millis heard_at_ = 0;
  int live_ = 0;  // given to the crew and not ended
  std::int64_t taken_ = 0, ended_well_ = 0, ended_otherwise_ = 0;
  Millis watch_at_ = 0;  // the earliest moment at which a lease or a timeout may be over
  std::optional<Millis> stop_at_;
  Millis stop_began_ = 0;
  bool stop_sent_ = false;
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
