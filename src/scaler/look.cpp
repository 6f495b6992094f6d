// SPDX-License-Identifier: Apache-2.0
// What there is: the book, the provider's list and the clock, held against each other.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/duration.h"
#include "scaler/reconcile.h"
#include "scaler/short_text.h"

namespace geres::scaler {
namespace {

constexpr Millis kBootUsual = 60'000;        // until hosts have shown theirs
constexpr Millis kBootTimeoutMin = 300'000;  // unless the pool says another
constexpr Millis kListLag = 60'000;          // a list may miss a machine that was just ordered
constexpr Millis kLeftGrace = 30'000;        // a host that restarts is not gone
constexpr Millis kLeaveMax = 60'000;         // that a retired host may take to go
constexpr Millis kRemovedLag = 120'000;      // a list may still name what was removed
constexpr Millis kRemovedKept = 3'600'000;
constexpr int kListsAgree = 2;
constexpr std::size_t kReplacementsMax = 3;
constexpr Millis kReplacementsTime = 600'000;

std::string clock_time(Millis at) {
  return format_time(at).substr(11, 8) + " UTC";
}

class Look {
 public:
  Look(Memory& memory, const LookInput& input) : memory_(memory), in_(input), now_(input.now) {}

  View run() {
    const auto& limits = in_.book.pool.limits;
    view_.boot_timeout = limits.boot_timeout.value_or(std::max(kBootTimeoutMin, 3 * usual_boot(in_.book)));
    view_.limit_all = 2 * std::max<std::int64_t>(1, limits.maximum);
    if (in_.fresh != nullptr) take_list(*in_.fresh);
    for (const auto& machine : in_.book.machines)
      if (machine.state != Life::gone) see(machine);
    count();
    settle_intents();
    forget();
    hold();
    view_.doubted = memory_.doubt.has_value();
    return std::move(view_);
  }

 private:
  // ---- lists --------------------------------------------------------------------------------------------------------

  static bool reports(const BookMachine& machine) { return machine.host && !machine.host->lost; }

  bool doubtful(const std::set<std::string>& listed) const {
    std::size_t reporting = 0, missing = 0;
    for (const auto& machine : in_.book.machines) {
      if (!reports(machine) || machine.state == Life::gone) continue;
      ++reporting;
      missing += listed.count(machine.instance) == 0;
    }
    return missing > 0 && 2 * missing >= reporting;
  }

  void take_list(const Listing& list) {
    std::map<std::string, Machine> there;
    std::set<std::string> names;
    for (const auto& machine : list.machines) {
      if (!is_instance(machine.instance)) {
        view_.notes.push_back("the provider lists a machine without a proper name");
        continue;
      }
      there.insert_or_assign(machine.instance, machine);
      names.insert(machine.instance);
    }
    const bool doubted = doubtful(names);
    const bool confirmed = doubted && ((memory_.doubt && memory_.doubt->listed == names) || memory_.confirmed == names);
    if (!doubted)
      memory_.confirmed.reset();
    else if (confirmed)
      memory_.confirmed = names;
    if (doubted && !confirmed) {
      memory_.doubt = Memory::Doubt{names};
      view_.notes.push_back("listDoubted: the provider's list misses machines whose hosts report");
      return;
    }
    memory_.doubt.reset();
    memory_.listed_at = list.begun;
    memory_.there = std::move(there);
    for (const auto& machine : in_.book.machines) {
      auto& absences = memory_.absences[machine.instance];
      absences = names.count(machine.instance) != 0 ? 0 : absences + (confirmed ? kListsAgree : 1);
    }
    for (auto& [request, unknown] : memory_.unknown)
      if (list.begun >= unknown.since) count_for(request, unknown);
    adopt();
  }

  // Machines that the book does not know: an order whose answer was lost, or one that was thought to have failed.
  void adopt() {
    std::set<std::string> known;
    for (const auto& machine : in_.book.machines) known.insert(machine.instance);
    for (const auto& [name, machine] : memory_.there) {
      if (known.count(name) != 0 || machine.state == MachineState::stopping) continue;
      if (in_.calling != nullptr && machine.request == *in_.calling) continue;  // its answer tells
      const auto removed = memory_.removed.find(name);
      const bool again = removed != memory_.removed.end();
      if (again && now_ - removed->second < kRemovedLag) continue;
      BookMachine adopted;
      adopted.instance = name;
      adopted.request = machine.request;
      adopted.orderedAt.at = now_;
      adopted.state = machine.state == MachineState::asleep            ? Life::asleep
                      : machine.state == MachineState::failed || again ? Life::failed
                                                                       : Life::booting;
      if (again) adopted.reason = "it was removed, and is still listed";
      change(adopted, adopted.state, adopted.reason);
      see(adopted);
    }
  }

  // ---- machines -----------------------------------------------------------------------------------------------------

  void change(const BookMachine& machine, Life state, const std::string& reason) {
    MachineChange change{machine.instance, state, std::nullopt, std::nullopt, std::nullopt};
    if (!machine.request.empty()) change.request = machine.request;
    if (!reason.empty()) change.reason = short_text(reason);
    if (const auto* listed = find(machine.instance); listed != nullptr && !listed->zone.empty())
      change.zone = short_text(listed->zone);
    view_.record.machines.push_back(std::move(change));
  }

  const Machine* find(const std::string& instance) const {
    const auto it = memory_.there.find(instance);
    return it == memory_.there.end() ? nullptr : &it->second;
  }

  Millis first_seen(const std::string& what, const std::string& instance) {
    const auto key = what + " " + instance;
    kept_.insert(key);
    return memory_.since.try_emplace(key, now_).first->second;
  }

  // Two lists that may be believed, and that were begun long enough after it was ordered, do not name it.
  bool vanished(const BookMachine& machine) const {
    const auto absences = memory_.absences.find(machine.instance);
    return !memory_.doubt && absences != memory_.absences.end() && absences->second >= kListsAgree &&
           memory_.listed_at.value_or(0) >= machine.orderedAt.at + kListLag;
  }

  void see(const BookMachine& machine) {
    if (vanished(machine)) {
      if (!reports(machine)) return change(machine, Life::gone, "the provider does not list it any more");
      view_.notes.push_back("unlisted: the host of " + machine.instance +
                            " reports, but the provider does not list it");
    }
    Seen seen{machine, Fate::coming, false, false};
    if (machine.host)
      see_host(seen);
    else
      see_without_host(seen);
    view_.machines.push_back(std::move(seen));
  }

  void see_host(Seen& seen) {
    const auto& machine = seen.machine;
    const auto& host = *machine.host;
    const auto* listed = find(machine.instance);
    const bool broken = machine.state == Life::failed || (listed != nullptr && listed->state == MachineState::failed);
    if (host.mode == Mode::stop || machine.state == Life::retiring) {
      seen.fate = Fate::retiring;
      seen.removable = now_ - first_seen("retiring", machine.instance) >= kLeaveMax;
    } else if (host.mode == Mode::drain) {
      seen.fate = host.by == "scaler" ? Fate::draining : Fate::held;
      seen.bad = host.lost || host.unfit || broken;
    } else if (host.lost || broken) {
      seen.fate = host.lost ? Fate::lost : Fate::failed;
      seen.bad = broken || now_ - first_seen("lost", machine.instance) >= view_.boot_timeout;
    } else if (host.unfit) {
      seen.fate = Fate::unfit;
      seen.bad = now_ - first_seen("unfit", machine.instance) >= view_.boot_timeout;
    } else {
      seen.fate = Fate::ready;
    }
  }

  void see_without_host(Seen& seen) {
    const auto& machine = seen.machine;
    const auto* listed = find(machine.instance);
    const auto listed_as = [&](MachineState state) { return listed != nullptr && listed->state == state; };
    switch (machine.state) {
      case Life::retiring:
      case Life::draining:
        seen.fate = Fate::retiring;
        seen.removable = true;
        return;
      case Life::failed:
        seen.fate = Fate::failed;
        seen.removable = true;
        return;
      case Life::ready:
        seen.fate = Fate::left;
        if (now_ - first_seen("left", machine.instance) >= kLeftGrace || listed_as(MachineState::failed))
          give_up(seen, listed != nullptr && !listed->reason.empty() ? listed->reason : "its host has gone", false);
        return;
      case Life::asleep:
        if (listed_as(MachineState::running) && !listed_before_waking(machine.instance)) {
          memory_.woken.try_emplace(machine.instance, now_);  // by a call whose answer was lost
          return change(machine, Life::booting, {});
        }
        seen.fate = Fate::asleep;
        return;
      case Life::gone:
      case Life::ordered:
      case Life::booting:
        break;
    }
    if (listed_as(MachineState::asleep) && !listed_before_waking(machine.instance)) {
      seen.fate = Fate::asleep;
      change(machine, Life::asleep, {});
    } else if (listed_as(MachineState::failed)) {
      give_up(seen, listed->reason.empty() ? "the provider says that it failed" : listed->reason, true);
    } else if (now_ - ordered_at(machine) >= view_.boot_timeout) {
      give_up(seen, "no host joined within " + format_duration(view_.boot_timeout), true);
    } else if (machine.state == Life::ordered && listed_as(MachineState::running)) {
      change(machine, Life::booting, {});
    }
  }

  // The list is older than the call that woke it.
  bool listed_before_waking(const std::string& instance) const {
    const auto woken = memory_.woken.find(instance);
    return woken != memory_.woken.end() && memory_.listed_at && *memory_.listed_at <= woken->second;
  }

  Millis ordered_at(const BookMachine& machine) const {
    const auto woken = memory_.woken.find(machine.instance);
    return woken == memory_.woken.end() ? machine.orderedAt.at : std::max(woken->second, machine.orderedAt.at);
  }

  void give_up(Seen& seen, const std::string& reason, bool never_joined) {
    seen.fate = Fate::failed;
    seen.removable = true;
    change(seen.machine, Life::failed, reason);
    if (never_joined) memory_.given_up.push_back(now_);
  }

  void count() {
    auto& hosts = view_.hosts;
    for (const auto& seen : view_.machines) {
      switch (seen.fate) {
        case Fate::coming:
          ++hosts.booting;
          break;
        case Fate::ready:
          ++hosts.ready;
          hosts.idle += seen.machine.host->busy == 0;
          break;
        case Fate::draining:
        case Fate::held:
          ++hosts.draining;
          break;
        case Fate::lost:
        case Fate::unfit:
        case Fate::left:
          ++hosts.lost;
          break;
        case Fate::retiring:
        case Fate::failed:
        case Fate::asleep:
          break;
      }
    }
  }

  // ---- intents ------------------------------------------------------------------------------------------------------

  std::size_t marked(const std::string& request) const {
    return std::size_t(std::count_if(memory_.there.begin(), memory_.there.end(),
                                     [&](const auto& entry) { return entry.second.request == request; }));
  }

  void count_for(const std::string& request, Memory::Unknown& unknown) {
    const auto found = marked(request);
    unknown.lists = unknown.lists > 0 && found == unknown.found ? unknown.lists + 1 : 1;
    unknown.found = found;
  }

  void settle_intents() {
    std::set<std::string> open;
    for (const auto& intent : in_.book.intents) {
      if (intent.state != Stage::issued && intent.state != Stage::unknown) continue;
      if (in_.calling != nullptr && *in_.calling == intent.request) {
        stays_open(intent);
        continue;
      }
      open.insert(intent.request);
      const auto& unknown = memory_.unknown.try_emplace(intent.request, Memory::Unknown{now_, 0, 0}).first->second;
      if (intent.verb == Verb::order)
        settle_order(intent, unknown);
      else
        settle_change(intent, unknown);
    }
    std::erase_if(memory_.unknown, [&](const auto& entry) { return open.count(entry.first) == 0; });
  }

  void stays_open(const Intent& intent) {
    view_.open = true;
    if (intent.verb == Verb::remove && intent.instances)
      view_.leaving.insert(intent.instances->begin(), intent.instances->end());
    if (intent.verb != Verb::order) return;
    view_.order_open = true;
    const auto known = std::count_if(view_.machines.begin(), view_.machines.end(),
                                     [&](const Seen& seen) { return seen.machine.request == intent.request; });
    view_.hosts.booting += std::max<std::int64_t>(0, intent.count.value_or(0) - known);
  }

  void settle_order(const Intent& intent, const Memory::Unknown& unknown) {
    const auto count = std::size_t(std::max<std::int64_t>(0, intent.count.value_or(0)));
    if (in_.provider.marks && unknown.lists > 0 && unknown.found >= count) return become(intent, Stage::done);
    if (in_.provider.marks && unknown.lists >= kListsAgree) {
      if (unknown.found > 0) return become(intent, Stage::done);
      return become(intent, Stage::failed, "its answer was lost, and the provider knows nothing of it");
    }
    // Without marks nothing more will be known after two lists: its machines are among those taken in.
    const auto patience = 2 * in_.book.pool.limits.interval;
    if (!in_.provider.marks && unknown.lists >= kListsAgree && now_ - unknown.since >= patience)
      return become(intent, Stage::done);
    stays_open(intent);
  }

  void settle_change(const Intent& intent, const Memory::Unknown& unknown) {
    const auto instances = intent.instances.value_or(std::vector<std::string>());
    const bool still = std::any_of(instances.begin(), instances.end(), [&](const std::string& name) {
      const auto* listed = find(name);
      return listed != nullptr && (intent.verb == Verb::wake ? listed->state == MachineState::asleep
                                                             : listed->state != MachineState::stopping);
    });
    if (unknown.lists > 0 && !still) return become(intent, Stage::done);
    if (unknown.lists >= kListsAgree)
      return become(intent, Stage::failed, "its answer was lost, and the provider has not done it");
    stays_open(intent);
  }

  void become(const Intent& intent, Stage stage, const std::string& why = {}) {
    Intent settled = intent;
    settled.state = stage;
    settled.issuedAt.reset();
    if (!why.empty()) settled.refusal = IntentRefusal{"unknown", std::nullopt, why};
    view_.record.intents.push_back(std::move(settled));
  }

  // ---- the rest -----------------------------------------------------------------------------------------------------

  void forget() {
    std::erase_if(memory_.since, [&](const auto& entry) { return kept_.count(entry.first) == 0; });
    std::erase_if(memory_.given_up, [&](Millis at) { return now_ - at >= kReplacementsTime; });
    std::erase_if(memory_.removed, [&](const auto& entry) { return now_ - entry.second >= kRemovedKept; });
    std::set<std::string> there;
    for (const auto& machine : in_.book.machines) there.insert(machine.instance);
    std::erase_if(memory_.absences, [&](const auto& entry) { return there.count(entry.first) == 0; });
    std::erase_if(memory_.woken, [&](const auto& entry) { return there.count(entry.first) == 0; });
    std::erase_if(memory_.removals, [&](const auto& entry) { return there.count(entry.first) == 0; });
    if (memory_.stopped_at && *memory_.stopped_at != in_.book.pool.version) {
      memory_.stopped_at.reset();
      memory_.orders = memory_.calls = Trouble();
    }
  }

  void hold() {
    auto& hold = view_.hold;
    if (memory_.stopped_at) {
      hold = {true, true, "the provider refuses: " + memory_.stopped_why};
    } else if (memory_.doubt) {
      hold = {true, true, "listDoubted"};
    } else if (now_ < memory_.orders.until) {
      hold = {true, false, held_until(memory_.orders)};
    } else if (now_ < memory_.calls.until) {
      hold = {true, false, held_until(memory_.calls)};
    } else if (memory_.given_up.size() > kReplacementsMax) {
      hold = {true, false, fmt::format("{} machines did not join in 10m", memory_.given_up.size())};
    }
  }

  static std::string held_until(const Trouble& trouble) {
    return fmt::format("{} until {}", why_name(trouble.why), clock_time(trouble.until));
  }

  Memory& memory_;
  const LookInput& in_;
  const Millis now_;
  View view_;
  std::set<std::string> kept_;  // of memory_.since
};

}  // namespace

View look(Memory& memory, const LookInput& input) {
  return Look(memory, input).run();
}

Millis usual_boot(const Book& book) {
  std::vector<Millis> boots;
  for (const auto& machine : book.machines)
    if (machine.readyAt && machine.readyAt->at >= machine.orderedAt.at)
      boots.push_back(machine.readyAt->at - machine.orderedAt.at);
  if (boots.empty()) return kBootUsual;
  const auto middle = boots.begin() + std::ptrdiff_t(boots.size() / 2);
  std::nth_element(boots.begin(), middle, boots.end());
  return *middle;
}

}  // namespace geres::scaler
