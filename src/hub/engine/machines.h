// SPDX-License-Identifier: Apache-2.0
// The machines of pools, and which hosts are on them.
#pragma once

#include "hub/engine/round.h"

namespace geres::hub::engine {

// Its machine is being removed: it gets no job any more, whoever asks.
inline bool is_retired(const model::Host& host) {
  return host.mode == model::HostMode::stop && host.mode_by == model::ModeBy::scaler;
}

class Machines {
 public:
  using Key = State::MachineKey;

  explicit Machines(Round& round) : state_(round.state), store_(round.store), now_(round.now), out_(round.out) {}

  // Then the machine is ready; a host of one that is being removed stops.
  void joined(model::Host& host);
  void left(const model::Host& host);

  bool may_run_jobs(const Key& key) const;                // some host of it does, or may be granted one
  std::optional<store::MachineRow> find(const Key& key);  // also if it is gone
  void put(store::MachineRow row);
  void adopt(const std::string& pool);  // hosts that were there before their pool

 private:
  void ready(const Key& key, std::optional<store::MachineRow> row);

  State& state_;
  BufferedStore& store_;
  const Now& now_;
  Outbox& out_;
};

}  // namespace geres::hub::engine
