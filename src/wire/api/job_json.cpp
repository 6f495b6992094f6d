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

// Every member is named in these two, so that a new one does not compile until it has its place.
void put_spec(object& to, const model::JobSpec& spec, const std::string& batch_name) {
  const auto& [tenant, type, package, package_sha256, name, parameters_text, inputs, batch, priority, not_before, delay,
               timeout, queue_timeout, lease, max_attempts, backoff, requirements, tags, webhook, key, key_digest, ref,
               submitted_by] = spec;
  to.emplace("tenant", text(tenant));
  to.emplace("type", text(type));
  put(to, "package", package);
  put(to, "packageSha256", package_sha256);
  put(to, "name", name);
  boost::json::error_code ec;
  // Ours first: it reads numbers to the last bit. What old clients handed in may be JSON only to a more lenient reader.
  const auto parameters = json::parse(parameters_text);
  to.emplace("parameters", parameters ? *parameters : boost::json::parse(parameters_text, ec));
  if (!inputs.empty()) to.emplace("inputs", inputs_json(inputs));
  to.emplace("batch", text(model::batch_text(batch)));
  put(to, "batchName", batch_name);
  to.emplace("priority", priority);
  put(to, "notBefore", not_before);
  if (delay > 0) to.emplace("delay", duration(delay));
  if (timeout > 0) to.emplace("timeout", duration(timeout));
  if (queue_timeout > 0) to.emplace("queueTimeout", duration(queue_timeout));
  if (lease > 0) to.emplace("lease", duration(lease));
  to.emplace("maxAttempts", max_attempts);
  if (backoff != model::Backoff{}) {
    const auto& [initial, factor, max] = backoff;
    to.emplace("backoff", object{{"initial", duration(initial)}, {"factor", factor}, {"max", duration(max)}});
  }
  if (requirements != model::Requirements{}) {
    const auto& [slots, memory, labels] = requirements;
    to.emplace("requires", object{{"slots", slots}, {"memory", memory}, {"labels", strings(labels)}});
  }
  if (!tags.empty()) to.emplace("tags", strings(tags));
  if (const auto& [url, types] = webhook; !url.empty()) {
    object address{{"url", text(url)}};
    if (!types.empty()) {
      json::array names;
      for (const auto& wanted : types) names.push_back(text(wanted));
      address.emplace("types", std::move(names));
    }
    to.emplace("webhook", std::move(address));
  }
  put(to, "key", key);
  put(to, "ref", ref);
  put(to, "submittedBy", submitted_by);
  static_cast<void>(key_digest);  // the hub's own
}

void put_status(object& to, const model::JobStatus& status) {
  const auto& [state, reason, error, attempt, failures, host_losses, version, progress, result, result_truncated, exit,
               cause, usage, files_left_out, host, submitted_at, ready_at, due_at, started_at, finished_at,
               cancel_requested_at, redrive_of, redriven_as, settled_at, trouble] = status;
  static_cast<void>(reason), static_cast<void>(error);  // come first in a job: see job_json()
  static_cast<void>(trouble);                           // `why` tells it
  to.emplace("attempt", attempt);
  to.emplace("failures", failures);
  to.emplace("hostLosses", host_losses);
  if (progress) {
    object now;
    if (progress->percent) now.emplace("percent", *progress->percent);
    now.emplace("message", text(progress->message));
    to.emplace("progress", std::move(now));
  }
  if (result) to.emplace("result", text(*result));
  if (result_truncated) to.emplace("resultTruncated", true);
  if (exit) to.emplace("exit", exit_json(*exit));
  if (cause) to.emplace("cause", json::write(*cause));
  if (usage) to.emplace("usage", usage_json(*usage));
  put_files_left_out(to, files_left_out);
  put(to, "host", host);
  to.emplace("submittedAt", time(submitted_at));
  if (ready_at > 0) to.emplace("readyAt", time(ready_at));
  if (state == model::JobState::scheduled) put(to, "dueAt", due_at);
  put(to, "startedAt", started_at);
  put(to, "finishedAt", finished_at);
  put(to, "cancelRequestedAt", cancel_requested_at);
  to.emplace("version", version);
  if (redrive_of) to.emplace("redriveOf", text(redrive_of->str()));
  if (redriven_as) to.emplace("redrivenAs", text(redriven_as->str()));
  put(to, "settledAt", settled_at);
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
