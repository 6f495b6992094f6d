// SPDX-License-Identifier: Apache-2.0
// The JSON of webhooks: as they are made and changed, and as they are shown, which is without their secret.
#pragma once

#include <boost/describe/class.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/webhook.h"

namespace geres::wire {

// POST /v1/webhooks
struct NewWebhookShape {
  std::string tenant;
  std::string name;
  std::string url;
  std::optional<std::vector<std::string>> types;
  std::optional<std::vector<std::string>> batches;  // ids or names
  std::optional<std::vector<std::string>> jobTypes;
  std::optional<std::map<std::string, std::string>> tags;
  bool forJobs = false;
  std::optional<std::string> secret;  // absent: one is drawn
};
BOOST_DESCRIBE_STRUCT(NewWebhookShape, (), (tenant, name, url, types, batches, jobTypes, tags, forJobs, secret))
Result<void> check(const NewWebhookShape& shape);

// PATCH /v1/webhooks/{id}
struct WebhookPatchShape {
  std::optional<std::string> name;
  std::optional<std::string> url;
  std::optional<std::vector<std::string>> types;
  std::optional<std::vector<std::string>> batches;
  std::optional<std::vector<std::string>> jobTypes;
  std::optional<std::map<std::string, std::string>> tags;
  std::optional<bool> enabled;
  std::optional<std::optional<std::string>> secret;  // null: a new one is drawn
};
BOOST_DESCRIBE_STRUCT(WebhookPatchShape, (), (name, url, types, batches, jobTypes, tags, enabled, secret))
Result<void> check(const WebhookPatchShape& shape);

// POST /v1/webhooks/{id}/replay
struct ReplayShape {
  std::optional<std::string> from;              // an event id, or "start"
  std::optional<std::vector<std::string>> ids;  // of events
};
BOOST_DESCRIBE_STRUCT(ReplayShape, (), (from, ids))

// `cursor` is the id of the event up to which it was told.
json::object webhook_json(const model::Webhook& webhook, const std::string& cursor);

}  // namespace geres::wire
