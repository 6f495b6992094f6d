// SPDX-License-Identifier: Apache-2.0
// What is removed by its age. Like bulk work, but without an end: it begins anew at each sweep.
#pragma once

#include "hub/engine/job_book.h"
#include "hub/engine/webhooks.h"

namespace geres::hub::engine {

class Retention {
 public:
  Retention(Round& round, Lanes& lanes, JobBook& book, Webhooks& webhooks)
      : round_(round),
        state_(round.state),
        store_(round.store),
        options_(round.options),
        now_(round.now),
        lanes_(lanes),
        book_(book),
        webhooks_(webhooks) {}

  void sweep();  // a step

 private:
  void add_retention_rules(model::JobState job_state);
  void forget_empty_batches();

  Round& round_;
  State& state_;
  BufferedStore& store_;
  const Options& options_;
  const Now& now_;
  Lanes& lanes_;
  JobBook& book_;
  Webhooks& webhooks_;
};

}  // namespace geres::hub::engine
