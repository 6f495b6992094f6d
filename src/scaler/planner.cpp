// SPDX-License-Identifier: Apache-2.0
#include "scaler/planner.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/duration.h"

namespace geres::scaler {
namespace {

constexpr Millis kGapMin = 60'000;

class Planner {
 public:
  explicit Planner(const PlanInput& input) : in_(input), limits_(input.limits), hosts_(input.load.hosts) {
    actual_ = hosts_.ready + hosts_.booting;
    wanted_ = input.raw.hosts;
    reason_ = plain_line(input.raw.reason);
    if (reason_.size() > kReasonMax / 2) reason_ = utf8_prefix(reason_, kReasonMax / 2);
  }

  Plan run() {
    limit();
    if (!in_.by_hand) {
      keep_idle();
      serve_dedicated();
      skip_what_is_not_worth_it();
      stabilise();
      cool_down();
      step();
    }
    hold();
    become(std::min(wanted_, limits_.maximum), "maximum");
    return {wanted_, actual_, std::string(utf8_prefix(reason_, kReasonMax))};
  }

 private:
  void become(std::int64_t wanted, const std::string& word) {
    if (wanted == wanted_) return;
    wanted_ = wanted;
    reason_ += (reason_.empty() ? "" : "; ") + word;
  }

  void limit() {
    if (wanted_ < 0 || wanted_ > kHostsMax) reason_ += fmt::format("; the policy said {}", wanted_);
    become(std::max(wanted_, limits_.minimum), fmt::format("minimum {}", limits_.minimum));
    become(std::min(wanted_, limits_.maximum), fmt::format("maximum {}", limits_.maximum));
  }

  // Hosts that all the work keeps busy.
  std::int64_t busy() const {
    const auto slots = std::max<std::int64_t>(1, in_.load.pool.slots);
    const auto& demand = in_.load.demand;
    return (demand.running.slots + demand.runnable.slots + slots - 1) / slots;
  }

  void keep_idle() {
    const auto beside = std::min(wanted_, busy()) + limits_.minimum_idle;
    become(std::min(std::max(wanted_, beside), limits_.maximum), fmt::format("{} idle", limits_.minimum_idle));
  }

  std::int64_t for_dedicated() const {
    const auto needed = in_.load.demand.dedicated_hosts;
    return needed > 0 ? hosts_.ready - hosts_.idle + needed : 0;
  }

  void serve_dedicated() {
    become(std::min(std::max(wanted_, for_dedicated()), limits_.maximum),
           fmt::format("{} for dedicated batches", in_.load.demand.dedicated_hosts));
  }

  // Hosts that are up have done the work, with what arrives meanwhile, before a new one would be. What was asked for
  // as a reserve is not work.
  void skip_what_is_not_worth_it() {
    const auto& demand = in_.load.demand;
    if (!in_.follows_work || wanted_ <= actual_ || hosts_.ready == 0 || demand.runnable.jobs == 0) return;
    const double boot = double(in_.load.pool.boot) / 1000, each = policy::usual_seconds(demand);
    const double work = double(demand.runnable.slots) * each +
                        double(demand.running.slots) * std::min(demand.running.rest_mean_seconds, boot) +
                        demand.arrivals_per_second_1m * boot * each;
    if (work >= double(hosts_.ready * std::max<std::int64_t>(1, in_.load.pool.slots)) * boot) return;
    const auto reserve =
        std::max({limits_.minimum, for_dedicated(), hosts_.ready - hosts_.idle + limits_.minimum_idle});
    become(std::min(wanted_, std::max(actual_, std::min(reserve, limits_.maximum))),
           "not worth it, the work ends before a host is up");
  }

  // Scale in only to the highest answer of the window, which must have been watched as a whole.
  void stabilise() {
    if (wanted_ >= actual_ || limits_.scale_in_window == 0) return;
    const Millis from = in_.load.now - limits_.scale_in_window;
    const Millis gap_max = std::max(4 * limits_.interval, kGapMin);
    Millis watched = in_.load.now;
    std::int64_t highest = 0;
    for (auto it = in_.history.rbegin(); it != in_.history.rend() && watched > from; ++it) {
      if (watched - it->at > gap_max) break;
      watched = std::min(watched, it->at);
      highest = std::max(highest, std::clamp(it->raw, limits_.minimum, limits_.maximum));
    }
    const auto length = format_duration(limits_.scale_in_window);
    if (watched > from)
      become(actual_, "watched for less than " + length);
    else
      become(std::max(wanted_, std::min(actual_, highest)), fmt::format("highest of {}", length));
  }

  void cool_down() {
    const auto since = [&](const std::optional<Millis>& change, Millis pause) {
      return change && in_.load.now - *change < pause;
    };
    if (wanted_ > actual_ && since(in_.last_out, limits_.cooldown_out)) become(actual_, "cooling down (out)");
    if (wanted_ < actual_ && since(in_.last_in, limits_.cooldown_in)) become(actual_, "cooling down (in)");
  }

  void step() {
    become(std::min(wanted_, actual_ + limits_.step_out.of(actual_)), "step out");
    become(std::max(wanted_, actual_ - limits_.step_in.of(actual_)), "step in");
  }

  void hold() {
    if (in_.paused) return become(actual_, "paused");
    if (in_.hold.out) become(std::min(wanted_, actual_), in_.hold.why);
    if (in_.hold.in) become(std::max(wanted_, actual_), in_.hold.why);
  }

  const PlanInput& in_;
  const Limits& limits_;
  const policy::HostCounts& hosts_;
  std::int64_t actual_ = 0, wanted_ = 0;
  std::string reason_;
};

}  // namespace

Plan plan(const PlanInput& input) {
  return Planner(input).run();
}

}  // namespace geres::scaler
