// SPDX-License-Identifier: Apache-2.0
// What to do about the difference between what there is and what is wanted.
#include <algorithm>
#include <tuple>

#include "scaler/reconcile.h"

namespace geres::scaler {
namespace {

constexpr Millis kListEvery = 5'000;  // while something is to be found out

class Act {
 public:
  Act(Memory& memory, const View& view, const ActInput& input) : memory_(memory), view_(view), in_(input) {}

  Actions run() {
    const auto actual = view_.hosts.ready + view_.hosts.booting;
    if (!in_.pool.paused) drain_bad();
    if (!in_.pool.paused && in_.wanted > actual) scale_out(in_.wanted - actual);
    if (!in_.pool.paused && in_.wanted < actual && !view_.doubted) scale_in(actual - in_.wanted);
    retire();
    choose_call();
    return std::move(actions_);
  }

 private:
  void drain_bad() {
    if (view_.doubted) return;
    for (const auto& seen : view_.machines)
      if (seen.bad && seen.machine.host && seen.fate != Fate::draining && seen.fate != Fate::held) drain(seen);
  }

  void drain(const Seen& seen) {
    actions_.drain.push_back(seen.machine.host->id);
    ++actions_.changes.drain;
  }

  void scale_out(std::int64_t need) {
    std::vector<const Seen*> drained;
    for (const auto& seen : view_.machines)
      if (seen.fate == Fate::draining && !seen.bad) drained.push_back(&seen);
    // The busiest first: those that are empty are soonest of no use to anybody.
    std::stable_sort(drained.begin(), drained.end(),
                     [](const Seen* a, const Seen* b) { return a->machine.host->busy > b->machine.host->busy; });
    for (const auto* seen : drained) {
      if (need == 0) return;
      actions_.resume.push_back(seen->machine.host->id);
      ++actions_.changes.resume, --need;
    }
    if (view_.hold.out) return;
    for (const auto& seen : view_.machines) {
      if (need == 0) return;
      if (seen.fate != Fate::asleep || !in_.provider.sleeps) continue;
      wake_.push_back(seen.machine.instance);
      --need;
    }
    const auto room = std::max<std::int64_t>(0, view_.limit_all - std::int64_t(view_.machines.size()));
    order_ = std::min({need, room, in_.provider.most_a_call});
  }

  void scale_in(std::int64_t excess) {
    // What boots is let in first: it cannot be told from what never comes.
    excess = std::min(excess, view_.hosts.ready - in_.wanted);
    std::vector<const Seen*> idle, busy;
    for (const auto& seen : view_.machines) {
      if (seen.fate != Fate::ready || seen.machine.host->dedicated) continue;
      (seen.machine.host->busy == 0 ? idle : busy).push_back(&seen);
    }
    const auto idle_for = [&](const Seen* seen) {
      const auto& since = seen->machine.host->idleSince;
      return since ? std::max<Millis>(0, in_.now - since->at) : 0;
    };
    std::stable_sort(idle.begin(), idle.end(), [&](const Seen* a, const Seen* b) {
      return std::tuple(a->machine.host->keep, -idle_for(a)) < std::tuple(b->machine.host->keep, -idle_for(b));
    });
    const auto& limits = in_.pool.limits;
    auto spare = view_.hosts.idle - limits.minimum_idle;  // that may go
    auto too_many = view_.hosts.idle - limits.maximum_idle;
    std::int64_t waiting = 0;  // idle ones whose time comes
    for (const auto* seen : idle) {
      if (excess <= 0) return;
      const bool long_enough = limits.idle_time && idle_for(seen) >= *limits.idle_time;
      if (spare <= 0) break;
      if (!long_enough && too_many <= 0) {
        waiting += limits.idle_time.has_value();
        continue;
      }
      drain(*seen);
      --excess, --spare, --too_many;
    }
    if (!limits.drain_busy) return;
    excess -= waiting;
    const auto rest = [](const Seen* seen) { return seen->machine.host->restSeconds.value_or(1e9); };
    std::stable_sort(busy.begin(), busy.end(), [&](const Seen* a, const Seen* b) {
      return std::tuple(a->machine.host->keep, rest(a)) < std::tuple(b->machine.host->keep, rest(b));
    });
    for (const auto* seen : busy) {
      if (excess <= 0) return;
      drain(*seen);
      --excess;
    }
  }

  void retire() {
    std::set<std::string> resumed(actions_.resume.begin(), actions_.resume.end());
    for (const auto& seen : view_.machines) {
      if (seen.fate != Fate::draining || seen.machine.host->busy > 0 || resumed.count(seen.machine.host->id) != 0)
        continue;
      actions_.retire.push_back(seen.machine.host->id);
      ++actions_.changes.retire;
    }
  }

  std::vector<std::string> removable() {
    std::set<std::string> gone;
    for (const auto& change : view_.record.machines)
      if (change.state == Life::gone) gone.insert(change.instance);
    std::vector<std::string> instances;
    for (const auto& seen : view_.machines) {
      const auto& name = seen.machine.instance;
      const auto again = memory_.removals.find(name);
      if (!seen.removable || gone.count(name) != 0 || view_.leaving.count(name) != 0) continue;
      if (again != memory_.removals.end() && in_.now < again->second.at) continue;
      if (std::int64_t(instances.size()) < in_.provider.most_a_call) instances.push_back(name);
    }
    return instances;
  }

  void choose_call() {
    if (in_.calling || memory_.stopped_at || in_.now < memory_.calls.until) return;
    const auto every =
        view_.doubted || view_.open ? std::min(kListEvery, in_.pool.limits.interval) : in_.pool.limits.interval;
    if (!memory_.asked_at || in_.now - *memory_.asked_at >= every) {
      memory_.asked_at = in_.now;
      return call({Call::Kind::list, 0, {}});
    }
    if (view_.doubted || !memory_.listed_at) return;
    if (!wake_.empty() && !view_.open) {  // a waking without an answer may have been done
      actions_.changes.wake = std::int64_t(wake_.size());
      return call({Call::Kind::wake, 0, std::move(wake_)});
    }
    if (order_ > 0 && !view_.order_open) {
      actions_.changes.order = order_;
      return call({Call::Kind::order, order_, {}});
    }
    if (auto instances = removable(); !instances.empty()) {
      actions_.changes.remove = std::int64_t(instances.size());
      call({Call::Kind::remove, 0, std::move(instances)});
    }
  }

  void call(Call call) { actions_.call = std::move(call); }

  Memory& memory_;
  const View& view_;
  const ActInput& in_;
  Actions actions_;
  std::int64_t order_ = 0;
  std::vector<std::string> wake_;
};

}  // namespace

Actions act(Memory& memory, const View& view, const ActInput& input) {
  return Act(memory, view, input).run();
}
}  // namespace geres::scaler
