// SPDX-License-Identifier: Apache-2.0
// Batches: made, closed, cancelled, paused, deleted. `text` is an id or a name.
#pragma once

#include "hub/engine/event_log.h"
#include "hub/engine/lanes.h"
#include "hub/engine/operations.h"

namespace geres::hub::engine {

class Batches {
 public:
  Batches(Round& round, Lanes& lanes, EventLog& events, Operations& operations)
      : round_(round),
        state_(round.state),
        store_(round.store),
        ids_(round.ids),
        now_(round.now),
        lanes_(lanes),
        events_(events),
        operations_(operations) {}

  Result<model::Batch> create(const Caller& caller, const NewBatch& batch);
  Result<model::Batch> close(const Caller& caller, const std::string& text);
  Result<model::Batch> cancel(const Caller& caller, const std::string& text, const CancelWhat& what);
  Result<model::Batch> pause(const Caller& caller, const std::string& text, bool paused);
  Result<Uuid> remove(const Caller& caller, const std::string& text);  // an operation

 private:
  Result<BatchState*> batch_for(const Caller& caller, const std::string& text, bool change);

  Round& round_;
  State& state_;
  BufferedStore& store_;
  IdSource& ids_;
  const Now& now_;
  Lanes& lanes_;
  EventLog& events_;
  Operations& operations_;
};

}  // namespace geres::hub::engine
