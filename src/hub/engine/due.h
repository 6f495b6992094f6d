// SPDX-License-Identifier: Apache-2.0
// Waiting jobs whose time has come: pauses that are over, queue timeouts.
#pragma once

#include "hub/engine/job_book.h"

namespace geres::hub::engine {

class Due {
 public:
  Due(Round& round, JobBook& book)
      : round_(round),
        state_(round.state),
        store_(round.store),
        options_(round.options),
        now_(round.now),
        book_(book) {}

  // ---- steps
  void promote_due();
  void expire_queued();

 private:
  Round& round_;
  State& state_;
  BufferedStore& store_;
  const Options& options_;
  const Now& now_;
  JobBook& book_;
};

}  // namespace geres::hub::engine
