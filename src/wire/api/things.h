// SPDX-License-Identifier: Apache-2.0
// The JSON of everything beside jobs: batches, tenants, packages, tokens, hosts; as they are made and as they are
// shown.
#pragma once

#include <boost/describe/class.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/batch.h"

namespace geres::wire {

// POST /v1/batches
struct NewBatchShape {
  static constexpr std::string_view kRequired[] = {"name"};
  std::string name;
  std::string tenant;
  std::optional<std::int64_t> priority;
  bool dedicated = false;
  int maxRunning = 0;
};
BOOST_DESCRIBE_STRUCT(NewBatchShape, (), (name, tenant, priority, dedicated, maxRunning))
Result<void> check(const NewBatchShape& shape);

// PUT /v1/tenants/{t}
struct TenantShape {
  std::optional<double> weight;
  std::optional<int> maxRunning;
  std::optional<std::int64_t> maxQueued;
  std::optional<std::optional<json::Duration>> keepFinished;  // null: the hub's own
  std::optional<std::optional<json::Duration>> keepFailed;
  std::optional<json::Size> maxMemoryPerJob;
};
BOOST_DESCRIBE_STRUCT(TenantShape, (), (weight, maxRunning, maxQueued, keepFinished, keepFailed, maxMemoryPerJob))
Result<void> check(const TenantShape& shape);

// POST /v1/tokens
struct NewTokenShape {
  static constexpr std::string_view kRequired[] = {"name", "roles"};
  std::string name;
  std::vector<model::Role> roles;
  std::optional<std::vector<std::string>> tenants;  // absent: all
  std::optional<json::Time> expires;
};
BOOST_DESCRIBE_STRUCT(NewTokenShape, (), (name, roles, tenants, expires))
Result<void> check(const NewTokenShape& shape, Millis now);

// POST /v1/hosts/invites
struct InviteShape {
  std::string name;                                 // of the one host that it is for; empty: any
  std::optional<std::vector<std::string>> tenants;  // absent: all
  json::Duration ttl{3'600'000};
  int uses = 1;
  std::string url;  // where the host finds the hub; empty: the hub's public URL, else its own
};
BOOST_DESCRIBE_STRUCT(InviteShape, (), (name, tenants, ttl, uses, url))
Result<void> check(const InviteShape& shape);

// PATCH /v1/jobs/{id}
struct JobPatchShape {
  std::optional<std::int64_t> priority;
  std::optional<std::optional<json::Time>> notBefore;  // null: now
  std::optional<std::map<std::string, std::string>> tags;
};
BOOST_DESCRIBE_STRUCT(JobPatchShape, (), (priority, notBefore, tags))

// POST /v1/jobs/{id}/cancel, /v1/batches/{id}/cancel
struct CancelShape {
  std::optional<json::Duration> grace;
  std::string reason;
};
BOOST_DESCRIBE_STRUCT(CancelShape, (), (grace, reason))

// POST /v1/jobs/{id}/redrive
struct RedriveShape {
  bool dependants = false;
};
BOOST_DESCRIBE_STRUCT(RedriveShape, (), (dependants))

// POST /v1/jobs/cancel and /v1/jobs/redrive: all given conditions must hold.
struct FilterShape {
  std::optional<std::string> tenant;
  std::optional<std::string> batch;
  std::optional<json::value> state;  // one or a list
  std::optional<std::string> type;
  std::optional<std::string> name;
  std::optional<std::map<std::string, std::string>> tags;
  std::optional<std::string> host;
  std::optional<json::Time> submittedAfter;
  std::optional<json::Time> submittedBefore;
  std::optional<std::vector<std::string>> ids;
  std::optional<json::value> reason;    // redrive: of the failure; cancel: text to keep with the job
  std::optional<json::Duration> grace;  // cancel only
};
BOOST_DESCRIBE_STRUCT(FilterShape, (),
                      (tenant, batch, state, type, name, tags, host, submittedAfter, submittedBefore, ids, reason,
                       grace))

json::object batch_json(const model::Batch& batch, const model::StateCounts& counts);
json::object counts_json(const model::StateCounts& counts);
json::object tenant_json(const model::Tenant& tenant);
json::object package_json(const model::PackageVersion& package);
json::object token_json(const model::Token& token);
json::object invite_json(const model::JoinToken& token);
// `running` are the ids of jobs that the reader may see.
struct HostView {
  bool alive = true;
  Millis last_seen = 0;
  int slots_busy = 0;
  model::Health health = model::Health::well;
  std::string health_reason;
  std::optional<Millis> health_tested_at;
  std::vector<std::string> running;
};
json::object host_json(const model::Host& host, const HostView& view);

}  // namespace geres::wire
