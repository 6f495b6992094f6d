// SPDX-License-Identifier: Apache-2.0
// The event log's end: gives an event its number, writes it in the transaction of what it tells, and keeps it to be
// published after the commit.
#pragma once

#include "hub/engine/round.h"

namespace geres::hub::engine {

class EventLog {
 public:
  explicit EventLog(Round& round) : state_(round.state), store_(round.store), now_(round.now), out_(round.out) {}

  // `news`: what this kind of event tells beside how the job stands. Tells the job's own webhook as well.
  void emit(store::EventType type, const model::Job& job, store::JobNews news = {});
  void emit(store::EventType type, Uuid subject, const std::string& tenant, store::EventData data);
  void emit_if_completed(BatchState& batch);

 private:
  void append(store::EventRow event);
  void deliver(const model::Job& job, const store::EventRow& event);

  State& state_;
  BufferedStore& store_;
  const Now& now_;
  Outbox& out_;
};

}  // namespace geres::hub::engine
