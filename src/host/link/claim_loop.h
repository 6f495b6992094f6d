// SPDX-License-Identifier: Apache-2.0
// Keeps one fetch open at the hub, so that work, cancels and modes arrive at once, and that the hub sees that its host
// lives. It names all slots, whatever runs there: the hub counts which are free, and grants one to the open fetch with
// the report that frees it.
//
// When another number is to be named, a new fetch takes the place of the open one; the replaced call may still bring
// leases, so both are waited for, and one that is not answered soon is sent again. A call that got no answer is
// repeated under its own id until there is one: that is how leases whose answer was lost are found again. `fetched()`
// therefore only moves over calls that are settled, in their order.
#pragma once

#include <deque>
#include <functional>
#include <string>

#include "base/clock.h"
#include "host/link/hub_link.h"
#include "host/link/membership.h"
#include "host/link/trouble.h"
#include "wire/host/host_protocol.h"

namespace geres::host {

// The loop's thread.
class ClaimLoop {
 public:
  struct Events {
    // Leases and heldMs count from `counted_from` (monotonic): when the call was first sent, plus what the hub held it.
    std::function<void(wire::Fetched answer, Millis counted_from)> fetched;
    std::function<void(bool reached)> heard;              // the hub answered, or not
    std::function<void()> gone;                           // the hub does not know this host any more
    std::function<void(const Trouble& trouble)> trouble;  // for the log
  };

  ClaimLoop(HubLink& link, const Clock& clock, Events events)
      : link_(link), clock_(clock), events_(std::move(events)) {}

  void begin(Membership membership);
  void end();            // answers that are still to come are not told
  void pump(int slots);  // to name; 0: none for now
  void doubt();          // the hub answers again: calls that were open meanwhile are sent once more
  const std::string& fetched() const { return fetched_; }
  int offered() const;  // slots of the fetch that is open now

 private:
  struct Call {
    std::string id;
    int slots = 0;
    Millis first_sent = 0;
    Millis sent = 0;  // the last try
    int tries = 0;
    bool reached = false;  // a try may have got to the hub, and leases may have been granted to it
    bool flying = false;
    bool settled = false;
  };

  void open(int slots);
  void look_after(const Call& replaced);
  void send(Call& call);
  Call* find(const std::string& id);
  void answered(const std::string& id, int tries, const HubAnswer& answer);
  void settle(Call& call, wire::Fetched fetched);
  void again(Call& call, const HubAnswer& answer);
  void hold_back(const Call& call, const wire::Fetched& fetched);

  HubLink& link_;
  const Clock& clock_;
  Events events_;
  std::optional<Membership> membership_;
  std::uint64_t generation_ = 0;
  std::deque<Call> calls_;  // unsettled ones and those behind them, oldest first
  std::string fetched_;
  int empty_answers_ = 0;  // quick ones in a row
  Millis not_before_ = 0;
  Millis wait_ = 0, answer_slack_ = 0;  // beyond the wait: then the connection counts as dead
};

}  // namespace geres::host
