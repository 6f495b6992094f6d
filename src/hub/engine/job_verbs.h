// SPDX-License-Identifier: Apache-2.0
// What owners do to a job: change, cancel, run again, dismiss.
#pragma once

#include "hub/engine/attempts.h"

namespace geres::hub::engine {

class JobVerbs {
 public:
  JobVerbs(Round& round, JobBook& book, Attempts& attempts)
      : store_(round.store), now_(round.now), book_(book), attempts_(attempts) {}

  Result<model::Job> patch_job(const Caller& caller, Uuid id, const JobPatch& patch);
  Result<model::Job> cancel_job(const Caller& caller, Uuid id, const CancelWhat& what);
  Result<model::Job> redrive_job(const Caller& caller, Uuid id);
  Result<model::Job> dismiss_job(const Caller& caller, Uuid id);

 private:
  BufferedStore& store_;
  const Now& now_;
  JobBook& book_;
  Attempts& attempts_;
};

}  // namespace geres::hub::engine
