// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/machines.h"

#include <algorithm>

namespace geres::hub::engine {

using enum model::MachineState;

void Machines::joined(model::Host& host) {
  if (host.instance.empty()) return;
  const Key key(host.pool, host.instance);
  state_.machine_hosts[key].insert(host.id);
  const auto row = find(key);
  if (row && (row->state == retiring || row->state == gone)) {
    host.mode = model::HostMode::stop;
    host.mode_by = model::ModeBy::scaler;
    host.mode_reason = "its machine is being removed";
    return;
  }
  if (state_.pools.contains(host.pool)) ready(key, row);
}

// One that nobody has told of yet: its order was not answered, or its pool is new.
void Machines::ready(const Key& key, std::optional<store::MachineRow> row) {
  if (row && row->state == model::MachineState::ready) return;
  if (!row)
    row = store::MachineRow{key.first, key.second, ordered, {}, {}, now_.wall, {}, {}, {}};
  else if (!row->ready_at)  // else it was asleep, or its host comes back
    out_.scaler_seen.push_back({.what = ScalerSeen::What::booted,
                                .pool = key.first,
                                .word = {},
                                .seconds = double(now_.wall - row->ordered_at) / 1'000});
  row->state = model::MachineState::ready;
  row->ready_at = now_.wall;
  row->reason.clear();
  put(std::move(*row));
}

void Machines::left(const model::Host& host) {
  const auto hosts = state_.machine_hosts.find({host.pool, host.instance});
  if (hosts == state_.machine_hosts.end()) return;
  hosts->second.erase(host.id);
  if (hosts->second.empty()) state_.machine_hosts.erase(hosts);
}

bool Machines::may_run_jobs(const Key& key) const {
  const auto hosts = state_.machine_hosts.find(key);
  return hosts != state_.machine_hosts.end() && std::any_of(hosts->second.begin(), hosts->second.end(), [&](Uuid id) {
           const auto& host = state_.hosts.at(id);
           return !host.leases.empty() || host.row.mode != model::HostMode::stop;
         });
}

std::optional<store::MachineRow> Machines::find(const Key& key) {
  if (const auto known = state_.machines.find(key); known != state_.machines.end()) return known->second;
  return store_.read().machine(key.first, key.second);
}

void Machines::put(store::MachineRow row) {
  store_.changes().machines.push_back(row);
  const Key key(row.pool, row.instance);
  if (row.state == gone)
    state_.machines.erase(key);
  else
    state_.machines[key] = std::move(row);
}

void Machines::adopt(const std::string& pool) {
  for (auto next = state_.machine_hosts.lower_bound({pool, ""});
       next != state_.machine_hosts.end() && next->first.first == pool; ++next)
    if (!find(next->first)) ready(next->first, std::nullopt);
}

}  // namespace geres::hub::engine
