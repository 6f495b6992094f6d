// SPDX-License-Identifier: Apache-2.0
// What a tenant has had of the fleet: slot time, in milliseconds × slots. Divided by the tenant's weight it is its
// virtual time: whoever has the least is served next, so over time every tenant that has work gets slot time by its
// weight, however long its jobs are and however few the slots (rule 2 of scheduler.h).
//
// A job's length is known when it has ended. Until then it counts as long as jobs of its kind take (`expected`), then
// as it runs; at its end that is put right. So a tenant is neither served again and again because its long jobs have
// not ended yet, nor kept waiting for what others' jobs were wrongly expected to take.
//
// Whole numbers throughout: tenants that have had the same are equal, and not first or last by a rounding error.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace geres::hub::engine {

using SlotTime = std::int64_t;

// Virtual time of so much slot time.
double virtual_time(SlotTime slot_time, double weight);
SlotTime slot_time(double virtual_time, double weight);

class Account {
 public:
  // One lease's part.
  struct Charge {
    std::int64_t slots = 0;
    Millis begun = 0;
    Millis expected = 0;   // at least 1
    bool overrun = false;  // has run longer than that, and is charged as it runs
  };

  Charge begin(std::int64_t slots, Millis expected, Millis now);
  void overrun(Charge& charge);  // called once, when begun + expected has come
  void end(const Charge& charge, Millis now);

  // Slots that stand idle for this tenant: so many more, or fewer where negative.
  void keep_idle(std::int64_t slots, Millis now) { idle_.add(slots, now); }

  SlotTime spent(Millis now) const;    // with what has run so far
  SlotTime charged(Millis now) const;  // with what is expected: the order of service goes by it

  // So much is spent from now on, whatever it was before.
  void set_spent(SlotTime spent, Millis now) { settled_ += spent - this->spent(now); }

 private:
  // Slots that are counted as time goes by.
  struct Meter {
    std::int64_t slots = 0;
    SlotTime since = 0;  // sum of slots × when they began
    void add(std::int64_t n, Millis at) {
      slots += n;
      since += n * at;
    }
    SlotTime at(Millis now) const { return slots * now - since; }
  };

  SlotTime settled_ = 0;   // of leases that have ended
  SlotTime expected_ = 0;  // of those that have not, as far as they are within it
  Meter running_, overrun_, idle_;
};

}  // namespace geres::hub::engine
