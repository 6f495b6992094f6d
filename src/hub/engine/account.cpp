// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/account.h"

#include <algorithm>
#include <cmath>

namespace geres::hub::engine {

namespace {

constexpr double kWeightMin = 1e-9;

}  // namespace

double virtual_time(SlotTime slot_time, double weight) {
  return double(slot_time) / std::max(weight, kWeightMin);
}

SlotTime slot_time(double virtual_time, double weight) {
  return std::llround(virtual_time * std::max(weight, kWeightMin));
}

Account::Charge Account::begin(std::int64_t slots, Millis expected, Millis now) {
  expected = std::max<Millis>(expected, 1);
  expected_ += slots * expected;
  running_.add(slots, now);
  return {slots, now, expected, false};
}

void Account::overrun(Charge& charge) {
  charge.overrun = true;
  expected_ -= charge.slots * charge.expected;
  overrun_.add(charge.slots, charge.begun);
}

// A millisecond at least: jobs that are shorter must cost something, or their tenant would always be next.
void Account::end(const Charge& charge, Millis now) {
  running_.add(-charge.slots, charge.begun);
  if (charge.overrun)
    overrun_.add(-charge.slots, charge.begun);
  else
    expected_ -= charge.slots * charge.expected;
  settled_ += charge.slots * std::max<Millis>(now - charge.begun, 1);
}

SlotTime Account::spent(Millis now) const {
  return settled_ + running_.at(now) + idle_.at(now);
}

SlotTime Account::charged(Millis now) const {
  return settled_ + expected_ + overrun_.at(now) + idle_.at(now);
}

}  // namespace geres::hub::engine
