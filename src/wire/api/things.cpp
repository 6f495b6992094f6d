// SPDX-License-Identifier: Apache-2.0
#include "wire/api/things.h"

#include <fmt/format.h>

#include "model/job_transitions.h"
#include "model/names.h"
#include "wire/api/text_checks.h"

namespace geres::wire {
namespace {

using json::object;
using json::value;

value text(std::string_view s) {
  return value(s);
}

value list(const std::vector<std::string>& items) {
  json::array to;
  for (const auto& item : items) to.push_back(text(item));
  return to;
}

Result<void> at_least(std::int64_t n, std::int64_t least, std::string_view field) {
  if (n >= least) return {};
  return fail(Code::badValue, fmt::format("{} is too small", n), std::string(field), fmt::format("{} or more", least));
}

}  // namespace

Result<void> check(const NewBatchShape& shape) {
  if (auto ok = model::check_name(shape.name, "batch name", "/name"); !ok) return ok;
  if (shape.name == "batch0" || parse_uuid(shape.name))
    return fail(Code::badValue, "this name would be taken for an id", "/name", "another name");
  if (!shape.tenant.empty())
    if (auto ok = model::check_name(shape.tenant, "tenant name", "/tenant"); !ok) return ok;
  if (shape.priority && (*shape.priority < 0 || *shape.priority > 1'000'000'000))
    return fail(Code::badValue, "the priority is out of range", "/priority", "from 0 to 1000000000; lower runs first");
  return at_least(shape.maxRunning, 0, "/maxRunning");
}

Result<void> check(const TenantShape& shape) {
  if (shape.weight && !(*shape.weight > 0 && *shape.weight <= 1'000'000))
    return fail(Code::badValue, "the weight is out of range", "/weight", "more than 0, at most 1000000");
  if (shape.maxRunning)
    if (auto ok = at_least(*shape.maxRunning, 0, "/maxRunning"); !ok) return ok;
  if (shape.maxQueued)
    if (auto ok = at_least(*shape.maxQueued, 0, "/maxQueued"); !ok) return ok;
  if (shape.maxMemoryPerJob)
    if (auto ok = at_least(shape.maxMemoryPerJob->bytes, 0, "/maxMemoryPerJob"); !ok) return ok;
  return {};
}

namespace {

// Absent: all of them.
Result<void> check_tenants(const std::optional<std::vector<std::string>>& tenants) {
  if (!tenants) return {};
  if (tenants->empty())
    return fail(Code::badValue, "the list of tenants is empty", "/tenants",
                "name at least one, or leave it out for all");
  if (tenants->size() > 1'000) return fail(Code::tooMany, "too many tenants", "/tenants", "at most 1000");
  for (std::size_t i = 0; i < tenants->size(); ++i)
    if (auto ok = model::check_name((*tenants)[i], "tenant name", "/tenants/" + std::to_string(i)); !ok) return ok;
  return {};
}

}  // namespace

Result<void> check(const NewTokenShape& shape, Millis now) {
  if (auto ok = model::check_name(shape.name, "token name", "/name"); !ok) return ok;
  if (shape.roles.empty())
    return fail(Code::missingField, "a token needs a role", "/roles", "admin, operator, submitter, viewer or host");
  if (auto ok = check_tenants(shape.tenants); !ok) return ok;
  if (shape.expires && shape.expires->at <= now)
    return fail(Code::badValue, "this time has passed", "/expires", "a time to come");
  return {};
}

Result<void> check(const InviteShape& shape) {
  constexpr Millis kTtlMin = 60'000, kTtlMax = 30LL * 86'400'000;
  if (!shape.name.empty())
    if (auto ok = model::check_name(shape.name, "host name", "/name"); !ok) return ok;
  if (auto ok = check_tenants(shape.tenants); !ok) return ok;
  if (shape.ttl.ms < kTtlMin || shape.ttl.ms > kTtlMax)
    return fail(Code::badValue, "this time does not fit", "/ttl", "from 1m to 30d");
  if (shape.uses < 1 || shape.uses > 10'000)
    return fail(Code::badValue, std::to_string(shape.uses) + " uses", "/uses", "from 1 to 10000");
  if (!shape.name.empty() && shape.uses != 1)
    return fail(Code::badValue, "there can be only one host with this name", "/uses", "1, or leave the name out");
  return {};
}

object invite_json(const model::JoinToken& token) {
  object to{{"id", text(token.id.str())},
            {"tenants", list(token.tenants)},
            {"uses", token.uses},
            {"usesLeft", token.uses_left},
            {"expires", text(format_time(token.expires))},
            {"createdAt", text(format_time(token.created_at))},
            {"createdBy", text(token.created_by)}};
  if (!token.name.empty()) to.emplace("name", text(token.name));
  return to;
}

object counts_json(const model::StateCounts& counts) {
  object to;
  for (std::size_t i = 0; i < counts.size(); ++i) to.emplace(model::state_name(model::JobState(i)), counts[i]);
  return to;
}

object batch_json(const model::Batch& batch, const model::StateCounts& counts) {
  object to{{"id", text(model::batch_text(batch.id))}, {"name", text(batch.name)}};
  if (!batch.tenant.empty()) to.emplace("tenant", text(batch.tenant));
  to.emplace("priority", batch.priority);
  to.emplace("overTenants", batch.over_tenants);
  to.emplace("dedicated", batch.dedicated);
  to.emplace("maxRunning", batch.max_running);
  to.emplace("state", json::write(batch.state));
  to.emplace("paused", batch.paused);
  if (batch.created_at > 0) to.emplace("createdAt", text(format_time(batch.created_at)));
  if (!batch.created_by.empty()) to.emplace("createdBy", text(batch.created_by));
  to.emplace("counts", counts_json(counts));
  return to;
}

object tenant_json(const model::Tenant& tenant) {
  object to{{"name", text(tenant.name)},
            {"weight", tenant.weight},
            {"maxRunning", tenant.max_running},
            {"maxQueued", tenant.max_queued},
            {"maxMemoryPerJob", tenant.max_memory_per_job}};
  if (tenant.keep_finished) to.emplace("keepFinished", text(format_duration(*tenant.keep_finished)));
  if (tenant.keep_failed) to.emplace("keepFailed", text(format_duration(*tenant.keep_failed)));
  return to;
}

object package_json(const model::PackageVersion& package) {
  return {{"tenant", text(package.tenant)}, {"name", text(package.name)},
          {"version", package.version},     {"sha256", text(package.sha256)},
          {"size", package.size},           {"types", list(package.types)},
          {"open", package.open},           {"createdAt", text(format_time(package.created_at))}};
}

object token_json(const model::Token& token) {
  json::array roles;
  for (const auto role : token.roles) roles.push_back(json::write(role));
  object to{{"id", text(token.id.str())},
            {"name", text(token.name)},
            {"roles", std::move(roles)},
            {"tenants", list(token.tenants)},
            {"createdAt", text(format_time(token.created_at))}};
  if (token.expires) to.emplace("expires", text(format_time(*token.expires)));
  return to;
}

object host_json(const model::Host& host, const HostView& view) {
  object labels;
  for (const auto& [name, label] : host.labels) labels.emplace(name, text(label));
  object to{{"id", text(host.id.str())},      {"name", text(host.name)},
            {"address", text(host.address)},  {"state", view.alive ? "live" : "lost"},
            {"mode", json::write(host.mode)}, {"slots", host.slots},
            {"busy", view.slots_busy},        {"memory", host.memory},
            {"labels", std::move(labels)},    {"packages", host.packages}};
  if (host.types) to.emplace("types", list(*host.types));
  if (host.tenants) to.emplace("tenants", list(*host.tenants));
  if (!host.containment.empty()) to.emplace("containment", text(host.containment));
  if (!host.isolation.empty()) to.emplace("isolation", text(host.isolation));
  object limits;
  if (!host.memory_held.empty()) limits.emplace("memory", text(host.memory_held));
  if (!host.processes_held.empty()) limits.emplace("processes", text(host.processes_held));
  if (!limits.empty()) to.emplace("limits", std::move(limits));
  object health{{"state", json::write(view.health)}};
  if (!view.health_reason.empty()) health.emplace("reason", text(view.health_reason));
  if (view.health_tested_at) health.emplace("nextTestAt", text(format_time(*view.health_tested_at)));
  to.emplace("health", std::move(health));
  if (!host.pool.empty()) to.emplace("pool", text(host.pool));
  if (!host.instance.empty()) to.emplace("instance", text(host.instance));
  if (host.mode != model::HostMode::run) {
    to.emplace("by", json::write(host.mode_by));
    if (!host.mode_reason.empty()) to.emplace("why", text(host.mode_reason));
  }
  to.emplace("joinedAt", text(format_time(host.joined_at)));
  to.emplace("lastReportAt", text(format_time(view.last_seen)));
  to.emplace("running", list(view.running));
  return to;
}

}  // namespace geres::wire
