// SPDX-License-Identifier: Apache-2.0
// Decides when reports go out and handles the answer: one report at a time, when there is news, at least every quarter
// of the shortest lease while leases are held, and again after trouble. A member without leases is known to be alive by
// its open fetch. What a report says, and what must be said again, is up to its owner.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "host/link/hub_link.h"
#include "host/link/membership.h"
#include "host/link/trouble.h"
#include "wire/host/host_protocol.h"

namespace geres::host {

// The loop's thread.
class ReportLine {
 public:
  // Where the content of reports comes from.
  class Source {
   public:
    virtual std::optional<Millis> shortest_lease() const = 0;  // of the leases held; nullopt: none
    virtual wire::Report build() = 0;                          // everything to report now; the line adds the number
    virtual void taken_in(const wire::Reported& answer, Millis sent_at) = 0;
    // What the last report carried did not arrive. `refused`: the hub rejected the report itself, so the same again
    // would be rejected too.
    virtual void lost(const HubAnswer& answer, bool refused) = 0;

   protected:
    ~Source() = default;
  };
  struct Events {
    std::function<void(bool reached)> heard;              // the hub answered, or could not be reached
    std::function<void()> gone;                           // the hub does not know this host any more
    std::function<void(const Trouble& trouble)> trouble;  // for the log
  };

  ReportLine(HubLink& link, const Clock& clock, Source& source, Events events)
      : link_(link), clock_(clock), source_(source), events_(std::move(events)) {}

  void begin(Membership membership);
  void end();
  void within(Millis delay_ms);                       // there is something to report; 0: at the end of this turn
  void say_goodbye() { leaving_ = true, within(0); }  // once nothing is held any more
  bool leaving() const { return leaving_; }
  bool goodbye_said() const { return goodbye_said_; }  // answered, or failed once
  void pump(const std::string& fetched);

 private:
  Millis heartbeat() const;
  Millis answer_time() const;
  void answered(const HubAnswer& answer);
  void lost(const HubAnswer& answer);

  HubLink& link_;
  const Clock& clock_;
  Source& source_;
  const Events events_;
  std::optional<Membership> membership_;
  std::uint64_t generation_ = 0;
  std::int64_t seq_ = 0;
  bool flying_ = false, flying_goodbye_ = false;
  Millis due_ = 0;         // the next report goes out by then
  Millis not_before_ = 0;  // pause after trouble
  int tries_ = 0;
  bool leaving_ = false, goodbye_said_ = false;
};

}  // namespace geres::host
