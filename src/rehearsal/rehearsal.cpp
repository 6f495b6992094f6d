// SPDX-License-Identifier: Apache-2.0
// The loop of a scaler (scaler/scaler.h) in simulated time, with one pool.
#include "rehearsal/rehearsal.h"

#include <algorithm>
#include <random>

#include "rehearsal/fleet.h"

namespace geres::rehearsal {
namespace {

constexpr Millis kNeedEvery = 3'000;           // whether a pool with nothing coming has got work
constexpr Millis kAfter = 3'600'000;           // after the last end: for what is there anyway
constexpr Millis kStuck = 7 * 24 * 3'600'000;  // nothing runs and nothing comes: it will not end

class Seeded final : public Random {
 public:
  explicit Seeded(std::uint64_t seed) : chance_(seed) {}
  std::uint64_t next() override { return chance_(); }

 private:
  std::mt19937_64 chance_;
};

class Rehearsal {
 public:
  explicit Rehearsal(const Settings& settings)
      : settings_(settings),
        fleet_(settings),
        random_(settings.seed),
        keeper_(settings.pool.name, fleet_, settings.make_decider, random_, settings.seed) {
    capabilities_.most_a_call = 100;
  }

  Report run() {
    evaluate_at_ = need_at_ = fleet_.now;
    Millis moved = fleet_.now;
    while (!done(moved)) {
      Millis next = std::min(evaluate_at_, due_ ? answer_at_ : evaluate_at_);
      if (!due_ && keeper_.nothing_comes()) next = std::min(next, need_at_);
      fleet_.advance(next);
      if (fleet_.can_go_on()) moved = fleet_.now;
      if (due_ && fleet_.now >= answer_at_) take_answer();
      if (fleet_.now >= evaluate_at_ || gained_work()) evaluate();
    }
    Report report;
    fleet_.report(report);
    return report;
  }

 private:
  bool done(Millis moved) const {
    if (!fleet_.all_ended()) return fleet_.now - moved > kStuck;
    return fleet_.machines() <= settings_.pool.limits.minimum || fleet_.now - moved > kAfter;
  }

  void take_answer() {
    const auto due = *std::exchange(due_, std::nullopt);
    keeper_.answered(1, fleet_.now, due, make_call(due));
    evaluate_at_ = fleet_.now;
  }

  scaler::CallAnswer make_call(const scaler::DueCall& due) {
    switch (due.call.kind) {
      case scaler::Call::Kind::list:
        return fleet_.list();
      case scaler::Call::Kind::order:
        return fleet_.order(due.order);
      case scaler::Call::Kind::remove:
      case scaler::Call::Kind::wake:
        return fleet_.remove(due.call.instances);
    }
    return fleet_.list();
  }

  bool gained_work() {
    if (fleet_.now < need_at_ || due_ || !keeper_.nothing_comes()) return false;
    need_at_ = fleet_.now + kNeedEvery;
    return fleet_.demand(settings_.pool.name)->demand.runnable.jobs > 0;
  }

  void evaluate() {
    std::optional<scaler::DueCall> due;
    keeper_.evaluate(
        1, fleet_.now, [this](const scaler::Pool&) { return &capabilities_; }, due);
    evaluate_at_ = fleet_.now + keeper_.interval();
    need_at_ = fleet_.now + kNeedEvery;
    if (!due) return;
    due_ = std::move(*due);
    answer_at_ = fleet_.now + settings_.call_time;
  }

  const Settings& settings_;
  Fleet fleet_;
  Seeded random_;
  scaler::Keeper keeper_;
  scaler::Capabilities capabilities_;
  std::optional<scaler::DueCall> due_;
  Millis answer_at_ = 0, evaluate_at_ = 0, need_at_ = 0;
};

}  // namespace

Report rehearse(const Settings& settings) {
  return Rehearsal(settings).run();
}

}  // namespace geres::rehearsal
