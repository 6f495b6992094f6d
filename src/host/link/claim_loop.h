// SPDX-License-Identifier: Apache-2.0
// Keeps one fetch open at the hub, so that work, cancels and modes arrive at once and the hub sees that the host is
// alive. A fetch names all slots, whatever runs there: the hub counts which are free, and the report that frees one
// brings the next job into the open fetch.
//
// To name another number, a new fetch replaces the open one. The replaced call may still bring leases, so both are
// waited for, and one that is not answered soon is sent again. A call that got no answer is repeated under its own id
// until there is one: that is how leases are found whose answer was lost. Therefore `fetched()` moves only over calls
// that are settled, in their order.
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
    // Leases and heldMs count from `counted_from` (monotonic): when the call was first sent, plus the time for which
    // the hub held it.
    std::function<void(wire::Fetched answer, Millis counted_from)> fetched;
    std::function<void(bool reached)> heard;              // the hub answered, or could not be reached
    std::function<void()> gone;                           // the hub does not know this host any more
    std::function<void(const Trouble& trouble)> trouble;  // for the log
  };

  ClaimLoop(HubLink& link, const Clock& clock, Events events)
      : link_(link), clock_(clock), events_(std::move(events)) {}

  void begin(Membership membership);
  void end();            // later answers are ignored
  void pump(int slots);  // `slots` to name; 0: the host takes no jobs now
  void doubt();          // the hub answers again, so calls that were open in the meantime are sent once more
  const std::string& fetched() const { return fetched_; }
  int offered() const;  // slots of the fetch that is open now

 private:
  struct Call {
    std::string id;
    int slots = 0;
    Millis first_sent = 0;
    Millis sent = 0;  // the last try
    int tries = 0;
    bool reached = false;  // a try may have reached the hub, so leases may have been granted
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
  std::deque<Call> calls_;  // unsettled ones and those after them, oldest first
  std::string fetched_;
  int empty_answers_ = 0;  // quick ones in a row
  Millis not_before_ = 0;
  Millis wait_ = 0, answer_slack_ = 0;  // beyond wait_, after which the connection counts as dead
};

}  // namespace geres::host
