// SPDX-License-Identifier: Apache-2.0
#include "wire/api/webhook_json.h"

#include <fmt/format.h>

#include "model/names.h"
#include "wire/api/text_checks.h"

namespace geres::wire {
namespace {

constexpr std::size_t kFilterMax = 100;

Result<void> check_name(const std::string& name) {
  if (name.empty()) return {};
  if (parse_uuid(name)) return fail(Code::badValue, "this name would be taken for an id", "/name", "another name");
  return model::check_name(name, "webhook name", "/name");
}

Result<void> check_filter(const std::vector<std::string>& words, const std::string& field) {
  if (words.size() <= kFilterMax) return {};
  return fail(Code::tooMany, fmt::format("{} of them", words.size()), field, fmt::format("at most {}", kFilterMax));
}

Result<void> check_job_types(const std::vector<std::string>& types) {
  if (auto ok = check_filter(types, "/jobTypes"); !ok) return ok;
  for (std::size_t i = 0; i < types.size(); ++i)
    if (auto ok = model::check_name(types[i], "job type", fmt::format("/jobTypes/{}", i)); !ok) return ok;
  return {};
}

template <class List>
Result<void> not_empty(const std::optional<List>& list, const std::string& name) {
  if (!list || !list->empty()) return {};
  return fail(Code::emptyFilter, "the condition '" + name + "' is empty", "/" + name,
              "leave it out for all, or say which");
}

template <class Shape>
Result<void> check_conditions(const Shape& shape) {
  if (shape.types)
    if (auto ok = check_filter(*shape.types, "/types"); !ok) return ok;
  if (shape.batches)
    if (auto ok = check_filter(*shape.batches, "/batches"); !ok) return ok;
  if (shape.jobTypes)
    if (auto ok = check_job_types(*shape.jobTypes); !ok) return ok;
  return shape.tags ? check_tags(*shape.tags, "/tags") : Result<void>();
}

}  // namespace

Result<void> check(const NewWebhookShape& shape) {
  if (!shape.tenant.empty())
    if (auto ok = model::check_name(shape.tenant, "tenant name", "/tenant"); !ok) return ok;
  if (auto ok = check_name(shape.name); !ok) return ok;
  const bool filtered = shape.types || shape.batches || shape.jobTypes || shape.tags;
  if (shape.forJobs && (!shape.url.empty() || filtered))
    return fail(Code::badValue, "a webhook for jobs has neither address nor filter: jobs bring their own", "/forJobs",
                "give either forJobs or url");
  if (!shape.forJobs && shape.url.empty())
    return fail(Code::missingField, "'url' is missing", "/url", "where to call, such as https://example.com/hook");
  // An empty list is a slip, not all: see the filters of bulk calls.
  if (auto ok = not_empty(shape.types, "types"); !ok) return ok;
  if (auto ok = not_empty(shape.batches, "batches"); !ok) return ok;
  if (auto ok = not_empty(shape.jobTypes, "jobTypes"); !ok) return ok;
  if (auto ok = not_empty(shape.tags, "tags"); !ok) return ok;
  return check_conditions(shape);
}

Result<void> check(const WebhookPatchShape& shape) {
  if (shape.name)
    if (auto ok = check_name(*shape.name); !ok) return ok;
  return check_conditions(shape);
}

json::object webhook_json(const model::Webhook& webhook, const std::string& cursor) {
  json::object to{{"id", std::string_view(webhook.id.str())}, {"tenant", std::string_view(webhook.tenant)}};
  const auto put = [&to](std::string_view name, const std::string& text) {
    if (!text.empty()) to.emplace(name, std::string_view(text));
  };
  put("name", webhook.name);
  put("url", webhook.url);
  if (webhook.for_jobs) to.emplace("forJobs", true);
  if (!webhook.types.empty()) to.emplace("types", json::write(webhook.types));
  if (!webhook.batches.empty()) {
    json::array batches;
    for (const auto id : webhook.batches) batches.push_back(json::value(std::string_view(id.str())));
    to.emplace("batches", std::move(batches));
  }
  if (!webhook.job_types.empty()) to.emplace("jobTypes", json::write(webhook.job_types));
  if (!webhook.tags.empty()) to.emplace("tags", json::write(webhook.tags));
  to.emplace("enabled", webhook.enabled);
  put("reason", webhook.reason);
  if (!webhook.for_jobs) put("cursor", cursor);
  to.emplace("createdAt", std::string_view(format_time(webhook.created_at)));
  put("createdBy", webhook.created_by);
  return to;
}

}  // namespace geres::wire
