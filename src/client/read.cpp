// SPDX-License-Identifier: Apache-2.0
#include "client/read.h"

#include <boost/json/serialize.hpp>

#include "wire/api/job_view.h"

namespace geres::client {
namespace {

const json::value kNull;
const json::array kNone;
constexpr std::string_view kStates[] = {"scheduled", "blocked", "ready",     "leased", "running",
                                        "finished",  "failed",  "cancelled", "other"};

bool flag_of(const json::value& from, std::string_view member) {
  const auto& v = member_of(from, member);
  return v.is_bool() && v.get_bool();
}

double real_of(const json::value& from, std::string_view member) {
  const auto& v = member_of(from, member);
  return v.is_number() ? v.to_number<double>() : 0;
}

std::optional<Time> time_of(const json::value& from, std::string_view member) {
  const auto parsed = parse_time(text_of(from, member));
  if (!parsed) return std::nullopt;
  return Time(milliseconds(*parsed));
}

std::vector<std::string> texts_of(const json::value& from, std::string_view member) {
  std::vector<std::string> texts;
  const auto& v = member_of(from, member);
  if (v.is_array())
    for (const auto& one : v.get_array())
      if (one.is_string()) texts.emplace_back(one.get_string());
  return texts;
}

std::map<std::string, std::string> labels_of(const json::value& from, std::string_view member) {
  std::map<std::string, std::string> labels;
  const auto& v = member_of(from, member);
  if (v.is_object())
    for (const auto& [name, value] : v.get_object())
      if (value.is_string()) labels.emplace(name, value.get_string());
  return labels;
}

std::map<std::string, std::int64_t> numbers_of(const json::value& from, std::string_view member) {
  std::map<std::string, std::int64_t> numbers;
  const auto& v = member_of(from, member);
  if (v.is_object())
    for (const auto& [name, value] : v.get_object())
      if (value.is_number()) numbers.emplace(name, value.to_number<std::int64_t>());
  return numbers;
}

std::string json_text(const json::value& v) {
  return v.is_null() ? std::string() : boost::json::serialize(v);
}

std::optional<Time> time_of(const std::optional<json::Time>& at) {
  if (!at) return std::nullopt;
  return Time(milliseconds(at->at));
}

Exit exit_of(const std::optional<wire::ExitView>& exit) {
  return exit ? Exit{exit->code, exit->signal} : Exit{};
}

std::optional<Usage> usage_of(const std::optional<wire::UsageView>& usage) {
  if (!usage) return std::nullopt;
  return Usage{usage->cpuSeconds, usage->maxRssBytes};
}

void take_times(Job& job, const wire::JobView& view) {
  job.submitted_at = time_of(view.submittedAt);
  job.ready_at = time_of(view.readyAt);
  job.due_at = time_of(view.dueAt);
  job.started_at = time_of(view.startedAt);
  job.finished_at = time_of(view.finishedAt);
  job.cancel_requested_at = time_of(view.cancelRequestedAt);
  job.settled_at = time_of(view.settledAt);
}

void take_spec(Job& job, wire::JobView& view) {
  job.tenant = std::move(view.tenant);
  job.type = std::move(view.type);
  job.package = std::move(view.package);
  job.package_sha256 = std::move(view.packageSha256);
  job.name = std::move(view.name);
  if (view.parameters) job.parameters = boost::json::serialize(*view.parameters);
  job.batch = std::move(view.batch);
  job.batch_name = std::move(view.batchName);
  job.priority = int(view.priority);
  job.max_attempts = view.maxAttempts;
  if (view.webhook) job.webhook = JobWebhook{std::move(view.webhook->url), std::move(view.webhook->types)};
  job.tags = std::move(view.tags);
  job.key = std::move(view.key);
  job.ref = std::move(view.ref);
  job.submitted_by = std::move(view.submittedBy);
}

void take_status(Job& job, wire::JobView& view) {
  job.state = state_named(view.state).value_or(State::other);
  job.reason = std::move(view.reason);
  job.error = std::move(view.error);
  job.attempt = view.attempt;
  job.failures = view.failures;
  job.host_losses = view.hostLosses;
  if (view.progress) job.progress = Progress{view.progress->percent, std::move(view.progress->message)};
  job.result = std::move(view.result);
  job.result_truncated = view.resultTruncated;
  job.exit = exit_of(view.exit);
  job.cause = std::move(view.cause);
  job.usage = usage_of(view.usage);
  for (auto& [path, why] : view.filesLeftOut) job.files_left_out.push_back({std::move(path), std::move(why)});
  job.files_left_out_count = view.filesLeftOutCount;
  job.host = std::move(view.host);
  job.version = view.version;
  job.redrive_of = std::move(view.redriveOf);
  job.redriven_as = std::move(view.redrivenAs);
  job.memory = view.memory;
}

}  // namespace

const json::value& member_of(const json::value& from, std::string_view member) {
  if (!from.is_object()) return kNull;
  const auto* found = from.get_object().if_contains(member);
  return found == nullptr ? kNull : *found;
}

std::string text_of(const json::value& from, std::string_view member) {
  const auto& v = member_of(from, member);
  return v.is_string() ? std::string(v.get_string()) : std::string();
}

std::int64_t integer_of(const json::value& from, std::string_view member) {
  const auto& v = member_of(from, member);
  if (v.is_int64()) return v.get_int64();
  if (v.is_uint64()) return std::int64_t(v.get_uint64());
  return v.is_double() ? std::int64_t(v.get_double()) : 0;
}

const json::array& items_of(const json::value& list) {
  const auto& items = member_of(list, "items");
  return items.is_array() ? items.get_array() : kNone;
}

std::string_view name_of(State state) {
  return kStates[std::min(std::size_t(state), std::size(kStates) - 1)];
}

std::optional<State> state_named(std::string_view name) {
  for (std::size_t i = 0; i < std::size_t(State::other); ++i)
    if (kStates[i] == name) return State(i);
  return std::nullopt;
}

Job read_job(const json::value& from) {
  auto view = wire::job_view(from);
  Job job;
  job.id = std::move(view.id);
  take_spec(job, view);
  take_status(job, view);
  take_times(job, view);
  job.json = json_text(from);
  return job;
}

Affected read_affected(const json::value& from) {
  return {integer_of(from, "count"), numbers_of(from, "byReason"), texts_of(from, "ids")};
}

Attempt read_attempt(const json::value& from) {
  auto view = wire::attempt_view(from);
  Attempt attempt;
  attempt.attempt = view.attempt;
  attempt.host = std::move(view.host);
  attempt.leased_at = time_of(view.leasedAt);
  attempt.started_at = time_of(view.startedAt);
  attempt.ended_at = time_of(view.endedAt);
  attempt.outcome = std::move(view.outcome);
  attempt.error = std::move(view.error);
  attempt.exit = exit_of(view.exit);
  attempt.cause = std::move(view.cause);
  attempt.usage = usage_of(view.usage);
  attempt.memory = view.memory;
  attempt.json = json_text(from);
  return attempt;
}

Why read_why(const json::value& from) {
  Why why;
  why.summary = text_of(from, "summary");
  const auto& reasons = member_of(from, "reasons");
  if (reasons.is_array())
    for (const auto& one : reasons.get_array())
      why.reasons.push_back({text_of(one, "kind"), text_of(one, "message"), int(integer_of(one, "hosts"))});
  why.ahead = integer_of(from, "ahead");
  why.json = json_text(from);
  return why;
}

File read_file_entry(const json::value& from) {
  return {text_of(from, "path"), integer_of(from, "size"), text_of(from, "sha256")};
}

Batch read_batch(const json::value& from) {
  Batch batch;
  batch.id = text_of(from, "id");
  batch.name = text_of(from, "name");
  batch.tenant = text_of(from, "tenant");
  batch.priority = int(integer_of(from, "priority"));
  batch.dedicated = flag_of(from, "dedicated");
  batch.over_tenants = flag_of(from, "overTenants");
  batch.max_running = int(integer_of(from, "maxRunning"));
  batch.state = text_of(from, "state");
  batch.paused = flag_of(from, "paused");
  batch.created_at = time_of(from, "createdAt");
  batch.counts = numbers_of(from, "counts");
  batch.json = json_text(from);
  return batch;
}

Package read_package(const json::value& from) {
  Package package;
  package.tenant = text_of(from, "tenant");
  package.name = text_of(from, "name");
  package.version = int(integer_of(from, "version"));
  package.sha256 = text_of(from, "sha256");
  package.size = integer_of(from, "size");
  package.types = texts_of(from, "types");
  package.created_at = time_of(from, "createdAt");
  package.json = json_text(from);
  return package;
}

Stored read_stored(const json::value& from) {
  return {text_of(from, "sha256"), integer_of(from, "size")};
}

Tenant read_tenant(const json::value& from) {
  return {text_of(from, "name"),
          real_of(from, "weight"),
          int(integer_of(from, "maxRunning")),
          int(integer_of(from, "maxQueued")),
          integer_of(from, "maxMemoryPerJob"),
          json_text(from)};
}

Host read_host(const json::value& from) {
  Host host;
  host.id = text_of(from, "id");
  host.name = text_of(from, "name");
  host.state = text_of(from, "state");
  host.mode = text_of(from, "mode");
  host.slots = int(integer_of(from, "slots"));
  host.busy = int(integer_of(from, "busy"));
  host.labels = labels_of(from, "labels");
  host.running = texts_of(from, "running");
  host.json = json_text(from);
  return host;
}

Info read_info(const json::value& from) {
  const auto& caller = member_of(from, "caller");
  return {text_of(from, "version"), text_of(caller, "name"), texts_of(caller, "roles"), texts_of(caller, "tenants"),
          json_text(from)};
}

Event read_event(const json::value& from) {
  Event event;
  event.id = text_of(from, "id");
  event.type = text_of(from, "type");
  event.subject = text_of(from, "subject");
  event.tenant = text_of(from, "tenant");
  event.time = time_of(from, "time");
  event.data = json_text(member_of(from, "data"));
  event.json = json_text(from);
  return event;
}

std::vector<std::string> read_ids(const json::value& from) {
  return texts_of(from, "ids");
}

}  // namespace geres::client
