// SPDX-License-Identifier: Apache-2.0
#include "wire/api/legacy_json.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>

#include "model/job.h"

namespace geres::wire {
namespace {

using json::value;

int failed_status(model::Reason reason) {
  using enum model::Reason;
  switch (reason) {
    case error:
      return 50;
    case aborted:
      return 60;
    case package:
      return 61;
    case maxAttempts:
      return 62;
    case type:
      return 63;
    case internal:
      return 64;
    case timeout:
    case queueTimeout:
    case poison:
    case dependency:
    case none:
      return 51;
  }
  return 51;
}

// A string parameter is shown as that string, anything else as JSON.
std::string parameters_text(const std::string& parameters) {
  boost::json::error_code ec;
  const auto parsed = boost::json::parse(parameters, ec);
  if (!ec && parsed.is_string()) return std::string(parsed.get_string());
  return parameters;
}

}  // namespace

int legacy_status(const model::Job& job) {
  using enum model::JobState;
  switch (job.status.state) {
    case scheduled:
    case blocked:
    case ready:
    case leased:
      return 10;
    case running:
      return job.status.progress ? 12 : 11;
    case finished:
      return 0;
    case cancelled:
      return 13;
    case failed:
      return failed_status(job.status.reason);
  }
  return 64;
}

json::object legacy_job_json(const model::Job& job) {
  const auto text = [](const std::string& s) { return value(std::string_view(s)); };
  return {{"JobId", text(job.id.str())},
          {"JobName", text(job.spec.name)},
          {"JobType", text(job.spec.type)},
          {"Parameters", text(parameters_text(job.spec.parameters))},
          {"SubmittedAt", text(format_time(job.status.submitted_at))},
          {"ScheduledBy", text(job.spec.submitted_by)},
          {"Status", legacy_status(job)},
          {"JobProcessorPackageName", text(job.spec.package)},
          {"TenantName", text(job.spec.tenant)},
          {"Output", text(job.status.result.value_or(job.status.error))}};
}

json::object legacy_batch_json(const model::Batch& batch) {
  return {{"Id", value(std::string_view(model::batch_text(batch.id)))},
          {"BatchName", batch.id == model::kDefaultBatch ? "Default Batch" : value(std::string_view(batch.name))},
          {"Priority", batch.priority},
          {"Status", batch.state == model::BatchState::open ? 0 : 1},
          {"RequiresDedicatedWorker", batch.dedicated}};
}

Result<void> check(const LegacyJobShape& shape) {
  const std::pair<const char*, const std::string&> needed[] = {
      {"/JobName", shape.JobName},
      {"/JobType", shape.JobType},
      {"/JobProcessorPackageName", shape.JobProcessorPackageName},
      {"/TenantName", shape.TenantName}};
  for (const auto& [field, text] : needed)
    if (text.empty()) return fail(Code::missingField, fmt::format("'{}' is empty", field + 1), field);
  if (shape.TenantName.size() > 15)
    return fail(Code::badValue, "the tenant's name is too long", "/TenantName", "1 to 15 characters");
  return {};
}

}  // namespace geres::wire
