// SPDX-License-Identifier: Apache-2.0
// The shapes of GeRes2's HTTP interface, kept so that its clients go on working: PascalCase names, states as numbers.
#pragma once

#include <boost/describe/class.hpp>
#include <optional>
#include <string>

#include "base/json.h"
#include "model/batch.h"

namespace geres::model {
struct Job;
}

namespace geres::wire {

// What a client sends; members that only the hub writes are taken and ignored, as they always were.
struct LegacyJobShape {
  static constexpr std::string_view kRequired[] = {"JobName", "JobType", "JobProcessorPackageName", "TenantName",
                                                   "Parameters"};
  std::string JobName;
  std::string JobType;
  std::string JobProcessorPackageName;
  std::string TenantName;
  std::string Parameters;
  std::optional<json::value> JobId, SubmittedAt, ScheduledBy, Status, Output;
};
BOOST_DESCRIBE_STRUCT(LegacyJobShape, (),
                      (JobName, JobType, JobProcessorPackageName, TenantName, Parameters, JobId, SubmittedAt,
                       ScheduledBy, Status, Output))

struct LegacyBatchShape {
  static constexpr std::string_view kRequired[] = {"BatchName"};
  std::string BatchName;
  std::optional<std::int64_t> Priority;
  bool RequiresDedicatedWorker = false;
  std::optional<json::value> Id, Status;
};
BOOST_DESCRIBE_STRUCT(LegacyBatchShape, (), (BatchName, Priority, RequiresDedicatedWorker, Id, Status))

int legacy_status(const model::Job& job);
json::object legacy_job_json(const model::Job& job);
json::object legacy_batch_json(const model::Batch& batch);
Result<void> check(const LegacyJobShape& shape);

}  // namespace geres::wire
