// SPDX-License-Identifier: Apache-2.0
// A host's or worker's life as a member of its hub: registers (and again when told to), fetches and reports as whom the
// hub took it, knows whether the hub can be reached and what it wants of its members, and says goodbye at the end. What
// is fetched and what there is to report is its owner's matter.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "host/link/claim_loop.h"
#include "host/link/hub_link.h"
#include "host/link/membership.h"
#include "host/link/report_line.h"
#include "wire/host/host_protocol.h"

namespace geres::host {

// Why a registration cannot succeed, however often it is tried.
enum class Refusal { foreign, nameTaken, token, request };

// The loop's thread.
class Member {
 public:
  // What joins, and what it makes of what it is told.
  class Owner {
   public:
    virtual wire::RegisterHost registration() const = 0;
    virtual std::string token() const = 0;                // that registers
    virtual std::string isolation() const { return {}; }  // wire::kIsolationHeader; empty: nothing to say
    virtual std::string limits() const { return {}; }     // wire::kLimitsHeader; likewise
    virtual void joined() = 0;
    virtual void refused(Refusal why, const std::string& problem) = 0;
    virtual void gone() = 0;  // the hub forgot it: no lease is current, nothing can be told
    virtual void mode_changed(model::HostMode mode) = 0;
    virtual void take_in(wire::Fetched fetched, Millis counted_from) = 0;  // claim_loop.h
    virtual void reached(bool reached) const = 0;         // the hub answers again, or does not; for the log
    virtual void trouble(const Trouble& what) const = 0;  // it is tried again; likewise

   protected:
    ~Owner() = default;
  };

  // `name_taken_max`: so long its name may be another's, who is about to be given up.
  Member(HubLink& link, const Clock& clock, Millis name_taken_max, Owner& owner, ReportLine::Source& reports);

  // ---- joining
  void join();
  bool joining() const { return joining_; }                                // the hub's answer is awaited
  const std::optional<Membership>& membership() const { return joined_; }  // nullopt: none, or gone
  const std::string& last_id() const { return last_id_; }                  // of this or an earlier membership
  void set_last_id(std::string id) { last_id_ = std::move(id); }           // that the next is to replace; "": none

  // ---- each turn of the loop
  void pump(int slots);                                        // opens a fetch and sends a report where due
  int offered() const { return claims_.offered(); }            // slots of the open fetch
  void within(Millis delay_ms) { reports_.within(delay_ms); }  // something is to be told; 0: with this turn
  bool reachable() const { return reachable_; }
  model::HostMode mode() const { return mode_; }
  void heed(model::HostMode mode);  // what an answer has said

  // ---- leaving
  void stop_by(Millis drain_ms);  // what runs may go on so long; never longer than was said before
  bool stopping() const { return stop_at_.has_value(); }
  bool time_is_up();  // true once: what runs has to be stopped
  bool time_was_up() const { return time_was_up_; }
  bool out_of_reach() const;  // there is nobody to say goodbye to
  bool said_goodbye();        // while nothing is held: says it, and then whether it was said

 private:
  void registered(const HubAnswer& answer);
  void refused(const HubAnswer& answer);
  void gone();
  void heard(bool reached);

  HubLink& link_;
  const Clock& clock_;
  const Millis name_taken_max_;
  Owner& owner_;
  ClaimLoop claims_;
  ReportLine reports_;

  std::optional<Membership> joined_;
  std::string last_id_;
  bool joining_ = false;
  int tries_ = 0;
  Millis name_taken_since_ = 0;
  model::HostMode mode_ = model::HostMode::run;
  bool reachable_ = true;
  Millis heard_at_ = 0;  // the hub's last answer
  std::optional<Millis> stop_at_;
  Millis stop_began_ = 0;
  bool time_was_up_ = false;
};

}  // namespace geres::host
