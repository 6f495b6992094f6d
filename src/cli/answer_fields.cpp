// SPDX-License-Identifier: Apache-2.0
#include "cli/answer_fields.h"

#include <map>
#include <vector>

#include "wire/api/job_view.h"

namespace geres::cli {

std::span<const std::string> answer_fields(const std::string& schema) {
  static const std::map<std::string, std::vector<std::string>> kFields{
      {"Batch",
       {"id", "name", "tenant", "priority", "overTenants", "dedicated", "maxRunning", "state", "paused", "createdAt",
        "createdBy", "counts"}},
      {"Delivery", {"id", "type", "subject", "url", "state", "attempts", "at", "dueAt", "triedAt", "status", "error"}},
      {"Event", {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "tenant", "data"}},
      {"Host", {"id",     "name",     "address", "state",   "mode",        "slots",        "busy",   "memory",
                "labels", "packages", "types",   "tenants", "containment", "isolation",    "limits", "health",
                "pool",   "instance", "by",      "why",     "joinedAt",    "lastReportAt", "running"}},
      {"Invite", {"id", "name", "tenants", "uses", "usesLeft", "expires", "createdAt", "createdBy"}},
      {"Machine", {"pool", "instance", "state", "request", "zone", "orderedAt", "readyAt", "goneAt", "reason", "host"}},
      {"Package", {"tenant", "name", "version", "sha256", "size", "types", "open", "createdAt"}},
      {"SyncedPackages", {"seen", "taken", "given", "refused"}},
      {"Pool",
       {"name", "version", "mode", "paused", "template", "provider", "policy", "limits", "scale", "removing",
        "warnings"}},
      {"ScalerDecision",
       {"id", "pool", "at", "lastAt", "times", "input", "policy", "raw", "wanted", "actual", "changes", "reason",
        "outcome"}},
      {"Tenant", {"name", "weight", "maxRunning", "maxQueued", "maxMemoryPerJob", "keepFinished", "keepFailed"}},
      {"Token", {"id", "name", "roles", "tenants", "createdAt", "expires"}},
      {"Webhook",
       {"id", "tenant", "name", "url", "forJobs", "types", "batches", "jobTypes", "tags", "enabled", "reason", "cursor",
        "createdAt", "createdBy"}}};
  if (schema == "Job") return wire::job_fields();
  const auto found = kFields.find(schema);
  return found == kFields.end() ? std::span<const std::string>() : found->second;
}

}  // namespace geres::cli
