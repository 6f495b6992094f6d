// SPDX-License-Identifier: Apache-2.0
// Submit: resolve what a job names, check it all, then insert.
#pragma once

#include "hub/engine/job_book.h"

namespace geres::hub::engine {

std::string scope_of_list(const Caller& caller);  // of its idempotency key

class Submitting {
 public:
  Submitting(Round& round, Lanes& lanes, JobBook& book)
      : state_(round.state), store_(round.store), now_(round.now), lanes_(lanes), book_(book) {}

  Result<Submitted> submit(const Submit& submit);

 private:
  struct Prepared;
  Result<void> prepare(const Submit& submit, std::size_t index, Prepared& prepared);
  Result<void> check_lanes(const std::vector<Prepared>& prepared, const Submit& submit);
  Result<void> check_queue_limits(const std::vector<Prepared>& prepared, const Submit& submit);

  State& state_;
  BufferedStore& store_;
  const Now& now_;
  Lanes& lanes_;
  JobBook& book_;
};

}  // namespace geres::hub::engine
