// SPDX-License-Identifier: Apache-2.0
#include "simulation/scaler.h"

#include <fmt/format.h>

#include "hub/engine/state.h"

namespace geres::simulation {

using model::HostMode;

namespace {

constexpr const char* kPool = "pool";

}  // namespace

Scaler::Scaler(Timeline& timeline, Dice& dice, Ledger& ledger, Network& network, Hub& hub, Trace& trace,
               std::vector<std::unique_ptr<Host>>& hosts, std::string name)
    : timeline_(timeline),
      dice_(dice),
      ledger_(ledger),
      network_(network),
      hub_(hub),
      trace_(trace),
      hosts_(hosts),
      name_(std::move(name)) {}

// `take` runs at the moment of the answer in the hub, with what the wire makes of it afterwards: true where it arrives.
template <class Verb, class Take>
void Scaler::ask(Verb verb, Take take) {
  network_.up(link_, [this, verb, take] {
    hub_.receive([this, verb, take](Engine& engine) {
      using Out = typename Verb::Out;
      engine.ask(verb, hub_.answer<Out>([this, verb, take](Result<Out>& answer) {
        if constexpr (requires { verb.epoch; }) {
          if constexpr (!std::is_same_v<Verb, hub::engine::TakeScaler>) {
            if (answer && verb.epoch < ledger_.scaling.epoch)
              ledger_.violate("scaler",
                              fmt::format("epoch {} was believed after {}", verb.epoch, ledger_.scaling.epoch));
            if (!answer && answer.error().code == Code::staleScaler) ledger_.hit(Path::scaler_stale);
          }
        }
        take(answer, false);
        network_.down(link_, hub_.held_up(), [take, answer]() mutable { take(answer, true); });
      }));
    });
  });
}

bool Scaler::hub_works() const {
  return hub_.alive() && hub_.engine().stats().ticks.load() > 0 && !hub_.engine().waits_for_store();
}

void Scaler::start() {
  later(dice_.between(10, 500), &Scaler::take_lease);
  later(dice_.between(600, 1'200), &Scaler::look);
  later(dice_.between(800, 1'500), &Scaler::act);
}

void Scaler::freeze(Millis time) {
  trace_("{} freezes for {}", name_, time);
  frozen_until_ = timeline_.now() + time;
}

void Scaler::later(Millis delay, void (Scaler::*act)()) {
  timeline_.after(delay, [this, act] {
    if (healed_) return;
    if (timeline_.now() < frozen_until_) return later(frozen_until_ - timeline_.now(), act);
    (this->*act)();
  });
}

void Scaler::take_lease() {
  hub::engine::TakeScaler verb{name_, {}};
  if (epoch_ > 0) verb.epoch = epoch_;
  // A lease lasts longer than a seed is busy: now and then its time is over at once.
  if (epoch_ == 0 && hub_works() && dice_.percent(20)) hub_.engine().state().scaler_until = 0;
  ask(verb, [this](Result<hub::engine::ScalerLease>& lease, bool heard) {
    if (lease && !heard) {
      if (lease->epoch < ledger_.scaling.epoch) ledger_.violate("scaler", "an epoch came back");
      if (ledger_.scaling.epoch > 0 && lease->epoch > ledger_.scaling.epoch) ledger_.hit(Path::scaler_took_over);
      ledger_.scaling.epoch = lease->epoch;
    }
    if (!heard) return;
    if (lease) epoch_ = std::max(epoch_, lease->epoch);
    // It may have been told so long ago that it has another one since: then it only asks once more than it must.
    if (!lease && lease.error().code == Code::staleScaler && dice_.percent(50)) epoch_ = 0;
  });
  later(dice_.between(200, 900), &Scaler::take_lease);
}

// What is there, as somebody reads it; what becomes of it meanwhile the reader does not know.
void Scaler::look() {
  if (hub_works()) {
    known_.clear();
    for (const auto& [id, host] : hub_.engine().state().hosts)
      if (!host.row.instance.empty()) known_.push_back({id, host.row.instance, host.row.mode});
  }
  later(dice_.between(100, 1'500), &Scaler::look);
}

void Scaler::act() {
  later(dice_.between(20, 300), &Scaler::act);
  if (epoch_ == 0) return;
  if (!unanswered_.empty() && dice_.percent(30)) return remove(dice_.pick(unanswered_));
  if (known_.empty() || dice_.percent(15)) return order();
  const auto host = dice_.pick(known_);
  if (host.mode == HostMode::run) return dice_.percent(70) ? drain(host, false) : remove(host.instance);
  if (host.mode == HostMode::drain) return dice_.percent(15) ? drain(host, true) : retire(host);
  remove(host.instance);
}

void Scaler::drain(const Known& host, bool resume) {
  const hub::engine::MoveHosts verb{epoch_, {host.id}, resume ? HostMode::run : HostMode::drain, "dice"};
  ask(verb, [this](Result<std::vector<hub::engine::HostInfo>>& infos, bool heard) {
    if (!infos || heard) return;
    for (const auto& info : *infos)
      if (ledger_.scaling.drained_by_operator.contains(info.host.id) && info.host.mode == HostMode::run)
        ledger_.violate("scaler", fmt::format("host {} was drained by an operator, and is resumed", info.host.name));
  });
}

void Scaler::retire(const Known& host) {
  const hub::engine::RetireHost verb{epoch_, host.id};
  ask(verb, [this](Result<hub::engine::HostInfo>& info, bool heard) {
    if (heard) return;
    if (info) ledger_.hit(Path::host_retired);
    if (!info && info.error().code == Code::hostBusy) ledger_.hit(Path::host_not_retired);
  });
}

// From the commit of the intent on the provider may be asked, and the machine may go at any moment.
void Scaler::remove(const std::string& instance) {
  std::erase(unanswered_, instance);
  unanswered_.push_back(instance);
  hub::engine::RecordScaling verb;
  verb.epoch = epoch_;
  verb.pool = kPool;
  verb.intents = {
      {"remove-" + instance, "", model::ScalerVerb::remove, 0, {instance}, model::IntentState::issued, "", 0}};
  ask(verb, [this, instance](Result<hub::engine::Recorded>& recorded, bool heard) {
    if (!heard) {
      if (!recorded && recorded.error().code == Code::hostBusy) ledger_.hit(Path::machine_kept);
      if (recorded) ledger_.machine_removed(instance, hub_.engine().state());
      return;
    }
    std::erase(unanswered_, instance);
    if (!recorded) return;
    timeline_.after(dice_.between(1, 3'000), [this, instance] {
      for (auto& host : hosts_)
        if (!healed_ && host->instance() == instance) host->take_power();
    });
    // Some time later the provider says so.
    if (dice_.percent(60)) return;
    hub::engine::RecordScaling gone;
    gone.epoch = epoch_;
    gone.pool = kPool;
    gone.machines = {{"", instance, model::MachineState::gone, "", "", 0, {}, {}, ""}};
    ask(gone, [](Result<hub::engine::Recorded>&, bool) {});
  });
}

// A machine whose power was taken comes back as another one, whose agent may be quicker than the answer to its order.
void Scaler::order() {
  for (auto& host : hosts_) {
    if (!host->without_power()) continue;
    const auto request = fmt::format("{}-{}", name_, ++requests_);
    const auto instance = fmt::format("{}-{}", host->name(), request);
    hub::engine::RecordScaling verb;
    verb.epoch = epoch_;
    verb.pool = kPool;
    verb.intents = {{request, "", model::ScalerVerb::order, 1, {}, model::IntentState::done, "", 0}};
    verb.machines = {{"", instance, model::MachineState::booting, request, "", 0, {}, {}, ""}};
    ask(verb, [](Result<hub::engine::Recorded>&, bool) {});
    ledger_.hit(Path::machine_ordered);
    host->become(instance);
    return;
  }
}

}  // namespace geres::simulation
