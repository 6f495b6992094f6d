// SPDX-License-Identifier: Apache-2.0
// A host's or worker's life as a member of its hub: it registers (and again when told to), fetches and reports under
// the id that the hub gave it, knows whether the hub can be reached and which mode it asks for, and says goodbye at the
// end. What is done with fetched leases and what is reported is up to the owner.
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

// Why a registration cannot succeed, however often it is repeated.
enum class Refusal { foreign, nameTaken, token, request };

// The loop's thread.
class Member {
 public:
  // The host or worker that joins, and its reactions.
  class Owner {
   public:
    virtual wire::RegisterHost registration() const = 0;
    virtual std::string token() = 0;                                      // for the registration
    virtual bool has_another_token(const std::string&) { return false; }  // refused for this: token() is another now
    virtual std::string isolation() const { return {}; }  // wire::kIsolationHeader; empty: nothing to say
    virtual std::string limits() const { return {}; }     // wire::kLimitsHeader; likewise
    virtual std::string pool() const { return {}; }       // wire::kPoolHeader, with …
    virtual std::string instance() const { return {}; }   // … wire::kInstanceHeader; likewise
    virtual void joined() = 0;
    virtual void refused(Refusal why, const std::string& problem) = 0;
    virtual void gone() = 0;  // the hub forgot it: no lease is current, nothing can be reported
    virtual void mode_changed(model::HostMode mode) = 0;
    virtual void take_in(wire::Fetched fetched, Millis counted_from) = 0;  // claim_loop.h
    virtual void reached(bool reached) const = 0;         // the hub answers again, or no longer; for the log
    virtual void trouble(const Trouble& what) const = 0;  // it will be repeated; for the log

   protected:
    ~Owner() = default;
  };

  // `name_taken_max`: for how long the name may be held by an earlier life that the hub is about to give up.
  Member(HubLink& link, const Clock& clock, Millis name_taken_max, Owner& owner, ReportLine::Source& reports);

  // ---- joining
  void join();
  bool joining() const { return joining_; }                                // the hub's answer is awaited
  const std::optional<Membership>& membership() const { return joined_; }  // nullopt: none, or gone
  const std::string& last_id() const { return last_id_; }                  // of this or an earlier membership
  void change_secret(const std::string& secret);
  // Of the earlier membership that the next one replaces; "": none.
  void set_last_id(std::string id) { last_id_ = std::move(id); }

  // ---- each turn of the loop
  void pump(int slots);                              // opens a fetch and sends a report when due
  int offered() const { return claims_.offered(); }  // slots of the open fetch
  // There is something to report; 0: at the end of this turn.
  void within(Millis delay_ms) { reports_.within(delay_ms); }
  bool reachable() const { return reachable_; }
  model::HostMode mode() const { return mode_; }
  void heed(model::HostMode mode);  // takes over a mode from an answer

  // ---- leaving
  void stop_by(Millis drain_ms);  // how long running jobs may go on; never longer than an earlier call said
  bool stopping() const { return stop_at_.has_value(); }
  bool time_is_up();  // true once: what runs must be stopped
  bool time_was_up() const { return time_was_up_; }
  bool out_of_reach() const;  // nobody can be told goodbye
  bool said_goodbye();        // call it when nothing is held: says goodbye, and later returns whether that was done

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
