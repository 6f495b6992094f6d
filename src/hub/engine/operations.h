// SPDX-License-Identifier: Apache-2.0
// Work on many rows: stored as an operation, done a slice a tick, resumed after a crash.
#pragma once

#include "hub/engine/attempts.h"
#include "hub/engine/webhooks.h"

namespace geres::hub::engine {

class Operations {
 public:
  Operations(Round& round, JobBook& book, Attempts& attempts, Webhooks& webhooks)
      : round_(round),
        state_(round.state),
        store_(round.store),
        ids_(round.ids),
        options_(round.options),
        now_(round.now),
        out_(round.out),
        book_(book),
        attempts_(attempts),
        webhooks_(webhooks) {}

  Result<Uuid> start(const Caller& caller, store::OperationKind kind, const store::JobFilter& filter,
                     const CancelWhat& what);
  // `growing`: also those that make the store larger. A step.
  void run(bool growing);

 private:
  void cancel_leased(const store::OperationRow& operation);
  bool run_slice(store::OperationRow& operation);
  bool settle_slice(store::OperationRow& operation, Outbox::SliceDone done);

  Round& round_;
  State& state_;
  BufferedStore& store_;
  IdSource& ids_;
  const Options& options_;
  const Now& now_;
  Outbox& out_;
  JobBook& book_;
  Attempts& attempts_;
  Webhooks& webhooks_;
};

}  // namespace geres::hub::engine
