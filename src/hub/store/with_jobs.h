// SPDX-License-Identifier: Apache-2.0
// Rows that contain a whole job, or most of one. They are declared apart from the other rows so that a new member of a
// job rebuilds only the files that use these.
#pragma once

#include "hub/store/rows.h"
#include "model/job.h"

namespace geres::hub::store {

// The part of a job row that changes.
struct JobUpdate {
  Uuid id;
  model::JobStatus status;  // submitted_at stays as it was inserted
};

struct JobAsOf {
  model::Job job;
  EventNo as_of = 0;  // the last event in the store as the job was read: all up to it is in the job. 0: none is kept
};

// The rows found for Wanted, each list in the order asked for.
struct Found {
  std::vector<std::optional<model::Job>> by_key;
  std::vector<std::optional<ListKeyRow>> lists;
  std::vector<std::optional<model::Job>> jobs;
  std::vector<std::optional<ScheduledRow>> scheduled;
  std::vector<std::optional<AttemptRow>> ended_attempts;
};

struct LeasedJob {
  LeaseRow lease;
  model::Job job;  // parameters, inputs and result left out
};

}  // namespace geres::hub::store
