// SPDX-License-Identifier: Apache-2.0
// What verbs.h and snapshot.h name and that holds a job; apart for the same reason as store/with_jobs.h.
#pragma once

#include "hub/engine/verbs.h"
#include "model/job.h"

namespace geres::hub::engine {

struct NewJob {
  model::JobSpec spec;         // batch, package_sha256 and submitted_by are filled in by the engine
  std::string batch;           // id or name; empty: batch0
  std::string package_sha256;  // of name@sha256; empty: the newest version
};

struct Granted {
  store::LeaseRow lease;
  model::Job job;  // whole, with parameters and inputs
};

// What holds a job back.
struct WhyAnswer {
  model::Job job;
  std::string summary;  // one sentence
  std::vector<Hindrance> reasons;
  std::int64_t ahead = 0;           // ready jobs of its lane before it (counted up to 10,000)
  std::int64_t ahead_in_batch = 0;  // ready jobs of better or equal lanes of its batch and tenant
};

}  // namespace geres::hub::engine
