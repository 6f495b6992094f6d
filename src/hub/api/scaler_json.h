// SPDX-License-Identifier: Apache-2.0
// What /v1/scaler shows, as JSON, and what its handlers have in common.
#pragma once

#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "hub/api/call.h"
#include "hub/engine/snapshot.h"

namespace geres::hub::api {

constexpr std::size_t kMachinesMax = 100'000;

// Pools concern all tenants at once.
Result<void> above_tenants(const Call& call);
Error no_such_pool(const std::string& name);
// The one in the path. Blocking.
Result<model::Pool> stored_pool(Call& call);

inline json::value text(std::string_view from) {
  return json::value(from);
}
inline json::value time_json(Millis at) {
  return text(format_time(at));
}

// In one word. What its host says goes before what was written of the machine.
std::string_view word_of(const store::MachineRow& machine, const engine::HostInfo* host);
json::object machine_json(const store::MachineRow& machine, const engine::HostInfo* host);
json::object intent_json(const store::IntentRow& intent);
json::object decision_json(const store::DecisionRow& decision);

// Which host is on which machine: of several the one that is there.
class Fleet {
 public:
  explicit Fleet(engine::SnapshotPtr snapshot);

  const engine::HostInfo* host_on(const store::MachineRow& machine) const;
  // What the scaler has to know before it picks one.
  json::object show(const store::MachineRow& machine, Millis now) const;

 private:
  engine::SnapshotPtr snapshot_;
  std::map<std::pair<std::string, std::string>, std::size_t> by_machine_;
  std::set<engine::Index> waiting_;  // batches in which jobs are ready
};

}  // namespace geres::hub::api
