// SPDX-License-Identifier: Apache-2.0
#include "wire/api/job_json.h"

#include <algorithm>
#include <boost/json/parse.hpp>

#include "model/job_transitions.h"

namespace geres::wire {
namespace {

using json::object;
using json::value;

value text(std::string_view s) {
  return value(s);
}
value time(Millis at) {
  return text(format_time(at));
}
value duration(Millis ms) {
  return text(format_duration(ms));
}
void put(object& to, std::string_view name, const std::optional<Millis>& at) {
  if (at) to.emplace(name, time(*at));
}
void put(object& to, std::string_view name, const std::string& s) {
  if (!s.empty()) to.emplace(name, text(s));
}

value strings(const std::map<std::string, std::string>& map) {
  object members;
  for (const auto& [name, s] : map) members.emplace(name, text(s));
  return members;
}

value exit_json(const model::Exit& exit) {
  object to;
  if (exit.code) to.emplace("code", *exit.code);
  if (exit.signal) to.emplace("signal", *exit.signal);
  return to;
}

value usage_json(const model::Usage& usage) {
  return object{{"cpuSeconds", usage.cpu_seconds}, {"maxRssBytes", usage.max_rss_bytes}};
}

value inputs_json(const std::vector<model::Input>& inputs) {
  json::array list;
  for (const auto& input : inputs) {
    object item{{"path", text(input.path)}};
    put(item, "sha256", input.sha256);
    if (input.job) item.emplace("job", text(input.job.str()));
    put(item, "file", input.file);
    list.push_back(std::move(item));
  }
  return list;
}

void put_spec(object& to, const model::JobSpec& spec, const std::string& batch_name) {
  to.emplace("tenant", text(spec.tenant));
  to.emplace("type", text(spec.type));
  put(to, "package", spec.package);
  put(to, "packageSha256", spec.package_sha256);
  put(to, "name", spec.name);
  boost::json::error_code ec;
  // Ours first: it reads numbers to the last bit. What old clients handed in may be JSON only to a more lenient reader.
  const auto parameters = json::parse(spec.parameters);
  to.emplace("parameters", parameters ? *parameters : boost::json::parse(spec.parameters, ec));
  if (!spec.inputs.empty()) to.emplace("inputs", inputs_json(spec.inputs));
  to.emplace("batch", text(model::batch_text(spec.batch)));
  put(to, "batchName", batch_name);
  to.emplace("priority", spec.priority);
  put(to, "notBefore", spec.not_before);
  if (spec.delay > 0) to.emplace("delay", duration(spec.delay));
  if (spec.timeout > 0) to.emplace("timeout", duration(spec.timeout));
  if (spec.queue_timeout > 0) to.emplace("queueTimeout", duration(spec.queue_timeout));
  if (spec.lease > 0) to.emplace("lease", duration(spec.lease));
  to.emplace("maxAttempts", spec.max_attempts);
  if (spec.backoff != model::Backoff{})
    to.emplace("backoff", object{{"initial", duration(spec.backoff.initial)},
                                 {"factor", spec.backoff.factor},
                                 {"max", duration(spec.backoff.max)}});
  const auto& needs = spec.requirements;
  if (needs != model::Requirements{})
    to.emplace("requires", object{{"slots", needs.slots}, {"memory", needs.memory}, {"labels", strings(needs.labels)}});
  if (!spec.tags.empty()) to.emplace("tags", strings(spec.tags));
  if (!spec.webhook.url.empty()) {
    object webhook{{"url", text(spec.webhook.url)}};
    if (!spec.webhook.types.empty()) {
      json::array types;
      for (const auto& type : spec.webhook.types) types.push_back(text(type));
      webhook.emplace("types", std::move(types));
    }
    to.emplace("webhook", std::move(webhook));
  }
  put(to, "key", spec.key);
  put(to, "ref", spec.ref);
}

void put_status(object& to, const model::JobStatus& status) {
  to.emplace("attempt", status.attempt);
  to.emplace("failures", status.failures);
  to.emplace("hostLosses", status.host_losses);
  if (status.progress) {
    object progress;
    if (status.progress->percent) progress.emplace("percent", *status.progress->percent);
    progress.emplace("message", text(status.progress->message));
    to.emplace("progress", std::move(progress));
  }
  if (status.result) to.emplace("result", text(*status.result));
  if (status.result_truncated) to.emplace("resultTruncated", true);
  if (status.exit) to.emplace("exit", exit_json(*status.exit));
  if (status.cause) to.emplace("cause", json::write(*status.cause));
  if (status.usage) to.emplace("usage", usage_json(*status.usage));
  put_files_left_out(to, status.files_left_out);
  put(to, "host", status.host);
  to.emplace("submittedAt", time(status.submitted_at));
  if (status.ready_at > 0) to.emplace("readyAt", time(status.ready_at));
  if (status.state == model::JobState::scheduled) put(to, "dueAt", status.due_at);
  put(to, "startedAt", status.started_at);
  put(to, "finishedAt", status.finished_at);
  put(to, "cancelRequestedAt", status.cancel_requested_at);
  to.emplace("version", status.version);
  if (status.redrive_of) to.emplace("redriveOf", text(status.redrive_of->str()));
  if (status.redriven_as) to.emplace("redrivenAs", text(status.redriven_as->str()));
  put(to, "settledAt", status.settled_at);
}

}  // namespace

void put_files_left_out(object& to, const model::FilesLeftOut& left_out) {
  if (left_out.count == 0) return;
  json::array named;
  for (const auto& file : left_out.named) named.push_back(object{{"path", text(file.path)}, {"why", text(file.why)}});
  to.emplace("filesLeftOut", std::move(named));
  to.emplace("filesLeftOutCount", left_out.count);
}

object job_json(const model::Job& job, const std::string& batch_name) {
  object to;
  to.reserve(40);
  to.emplace("id", text(job.id.str()));
  to.emplace("state", text(model::state_name(job.status.state)));
  if (job.status.reason != model::Reason::none) to.emplace("reason", json::write(job.status.reason));
  put(to, "error", job.status.error);
  put_spec(to, job.spec, batch_name);
  put(to, "submittedBy", job.spec.submitted_by);
  put_status(to, job.status);
  return to;
}

std::span<const std::string> job_fields() {
  static const std::vector<std::string> kFields{"id",
                                                "state",
                                                "reason",
                                                "error",
                                                "tenant",
                                                "type",
                                                "package",
                                                "packageSha256",
                                                "name",
                                                "parameters",
                                                "inputs",
                                                "batch",
                                                "batchName",
                                                "priority",
                                                "notBefore",
                                                "delay",
                                                "timeout",
                                                "queueTimeout",
                                                "lease",
                                                "maxAttempts",
                                                "backoff",
                                                "requires",
                                                "tags",
                                                "webhook",
                                                "key",
                                                "ref",
                                                "submittedBy",
                                                "attempt",
                                                "failures",
                                                "hostLosses",
                                                "progress",
                                                "result",
                                                "resultTruncated",
                                                "exit",
                                                "cause",
                                                "usage",
                                                "filesLeftOut",
                                                "filesLeftOutCount",
                                                "host",
                                                "submittedAt",
                                                "readyAt",
                                                "dueAt",
                                                "startedAt",
                                                "finishedAt",
                                                "cancelRequestedAt",
                                                "version",
                                                "redriveOf",
                                                "redrivenAs",
                                                "settledAt"};
  return kFields;
}

void keep_fields(object& job, std::span<const std::string> fields) {
  object kept;
  for (const auto& name : fields)
    if (auto* member = job.if_contains(name)) kept.emplace(name, std::move(*member));
  job = std::move(kept);
}

object attempt_json(const model::Attempt& attempt) {
  object to{{"attempt", attempt.attempt}, {"host", text(attempt.host)}, {"leasedAt", time(attempt.leased_at)}};
  put(to, "startedAt", attempt.started_at);
  put(to, "endedAt", attempt.ended_at);
  if (attempt.outcome) to.emplace("outcome", json::write(*attempt.outcome));
  put(to, "error", attempt.error);
  if (attempt.exit) to.emplace("exit", exit_json(*attempt.exit));
  if (attempt.cause) to.emplace("cause", json::write(*attempt.cause));
  if (attempt.usage) to.emplace("usage", usage_json(*attempt.usage));
  return to;
}

object file_json(const model::JobFile& file) {
  return {{"path", text(file.path)}, {"size", file.size}, {"sha256", text(file.sha256)}};
}

}  // namespace geres::wire
