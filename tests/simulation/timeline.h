// SPDX-License-Identifier: Apache-2.0
// Simulated time: acts wait for their moment and run one after the other, in an order that the seed alone decides.
// Beside it the dice, and the clocks that go wrong.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "base/uuid.h"

namespace geres::simulation {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::uint64_t draw(std::uint64_t n) { return random_.next() % n; }
  Millis between(Millis low, Millis high) { return low + Millis(draw(std::uint64_t(high - low + 1))); }
  bool percent(int p) { return draw(100) < std::uint64_t(p); }
  bool permille(int p) { return draw(1'000) < std::uint64_t(p); }
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[draw(from.size())];
  }
  Random& random() { return random_; }

 private:
  SeededRandom random_;
};

class Timeline {
 public:
  using Act = std::function<void()>;
  Millis now() const { return now_; }
  void at(Millis when, Act act) {
    acts_.push_back({std::max(when, now_), ++order_, std::move(act)});
    std::push_heap(acts_.begin(), acts_.end(), later);
  }
  void after(Millis delay, Act act) { at(now_ + delay, std::move(act)); }
  bool step() {  // false: nothing is left to do
    if (acts_.empty()) return false;
    std::pop_heap(acts_.begin(), acts_.end(), later);
    auto next = std::move(acts_.back());
    acts_.pop_back();
    now_ = next.when;
    ++steps_;
    next.act();
    return true;
  }
  std::uint64_t steps() const { return steps_; }

 private:
  struct Entry {
    Millis when;
    std::uint64_t order;
    Act act;
  };
  static bool later(const Entry& a, const Entry& b) { return a.when != b.when ? a.when > b.when : a.order > b.order; }
  std::vector<Entry> acts_;
  Millis now_ = 0;
  std::uint64_t order_ = 0, steps_ = 0;
};

// A machine's clock: runs a little fast or slow.
struct Drift {
  double rate = 1;  // its milliseconds a true one
  Millis local(Millis true_time) const { return Millis(double(true_time) * rate); }
  // The first true moment at which the clock shows `local_time` or more.
  Millis when(Millis local_time) const {
    auto moment = Millis(double(local_time) / rate);
    while (local(moment) < local_time) ++moment;
    return moment;
  }
};

// The hub's machine: drift, a boot at which its monotonic clock began, jumps of the time of day, and the time that a
// tick spends waiting for a slow disk.
class HubClock final : public Clock {
 public:
  HubClock(const Timeline& timeline, double rate) : timeline_(timeline), drift_{rate} {}
  Millis wall() const override { return 1'700'000'000'000 + drift_.local(timeline_.now()) + jumped_ + waited_; }
  Millis monotonic() const override { return 1'000 + drift_.local(timeline_.now()) - boot_ + waited_; }
  void jump_wall(Millis by) { jumped_ += by; }
  void reboot() { boot_ = drift_.local(timeline_.now()); }
  void wait(Millis time) { waited_ += time; }
  Millis take_waited() { return std::exchange(waited_, 0); }

 private:
  const Timeline& timeline_;
  Drift drift_;
  Millis boot_ = 0, jumped_ = 0, waited_ = 0;
};

}  // namespace geres::simulation
