// SPDX-License-Identifier: Apache-2.0
#include "wire/api/job_json.h"

#include <algorithm>
#include <boost/json/parse.hpp>

#include "model/job.h"
#include "model/job_transitions.h"
#include "wire/api/job_view.h"

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

// Writes the members of a view. A name that the view does not have does not compile.
template <class View>
class Writer {
 public:
  explicit Writer(object& to) : to_(to) {}
  void set(Member<View> member, value v) { to_.emplace(member.name(), std::move(v)); }
  // What says nothing is left out.
  void put(Member<View> member, const std::string& s) {
    if (!s.empty()) set(member, text(s));
  }
  void put(Member<View> member, const std::optional<Millis>& at) {
    if (at) set(member, time(*at));
  }

 private:
  object& to_;
};

value strings(const std::map<std::string, std::string>& map) {
  object members;
  for (const auto& [name, s] : map) members.emplace(name, text(s));
  return members;
}

value exit_json(const model::Exit& exit) {
  const auto& [code, signal] = exit;
  object to;
  Writer<ExitView> writer(to);
  if (code) writer.set("code", *code);
  if (signal) writer.set("signal", *signal);
  return to;
}

value usage_json(const model::Usage& usage) {
  const auto& [cpu_seconds, max_rss_bytes] = usage;
  object to;
  Writer<UsageView> writer(to);
  writer.set("cpuSeconds", cpu_seconds);
  writer.set("maxRssBytes", max_rss_bytes);
  return to;
}

value inputs_json(const std::vector<model::Input>& inputs) {
  json::array list;
  for (const auto& input : inputs) {
    const auto& [path, sha256, job, file] = input;
    object item;
    Writer<InputView> writer(item);
    writer.set("path", text(path));
    writer.put("sha256", sha256);
    if (job) writer.set("job", text(job.str()));
    writer.put("file", file);
    list.push_back(std::move(item));
  }
  return list;
}

value backoff_json(const model::Backoff& backoff) {
  const auto& [initial, factor, max] = backoff;
  object to;
  Writer<BackoffView> writer(to);
  writer.set("initial", duration(initial));
  writer.set("factor", factor);
  writer.set("max", duration(max));
  return to;
}

value requirements_json(const model::Requirements& requirements) {
  const auto& [slots, memory, labels] = requirements;
  object to;
  Writer<RequirementsView> writer(to);
  writer.set("slots", slots);
  writer.set("memory", memory);
  writer.set("labels", strings(labels));
  return to;
}

value webhook_json(const model::JobWebhook& webhook) {
  const auto& [url, types] = webhook;
  object to;
  Writer<JobWebhookView> writer(to);
  writer.set("url", text(url));
  if (types.empty()) return to;
  json::array names;
  for (const auto& wanted : types) names.push_back(text(wanted));
  writer.set("types", std::move(names));
  return to;
}

// Every member is named in these two, so that a new one does not compile until it has its place.
void put_spec(Writer<JobSpecView> to, const model::JobSpec& spec, const std::string& batch_name) {
  const auto& [tenant, type, package, package_sha256, name, parameters_text, inputs, batch, priority, not_before, delay,
               timeout, queue_timeout, lease, max_attempts, backoff, requirements, tags, webhook, key, key_digest, ref,
               submitted_by] = spec;
  to.set("tenant", text(tenant));
  to.set("type", text(type));
  to.put("package", package);
  to.put("packageSha256", package_sha256);
  to.put("name", name);
  boost::json::error_code ec;
  // Ours first: it reads numbers to the last bit. What old clients handed in may be JSON only to a more lenient reader.
  const auto parameters = json::parse(parameters_text);
  to.set("parameters", parameters ? *parameters : boost::json::parse(parameters_text, ec));
  if (!inputs.empty()) to.set("inputs", inputs_json(inputs));
  to.set("batch", text(model::batch_text(batch)));
  to.put("batchName", batch_name);
  to.set("priority", priority);
  to.put("notBefore", not_before);
  if (delay > 0) to.set("delay", duration(delay));
  if (timeout > 0) to.set("timeout", duration(timeout));
  if (queue_timeout > 0) to.set("queueTimeout", duration(queue_timeout));
  if (lease > 0) to.set("lease", duration(lease));
  to.set("maxAttempts", max_attempts);
  if (backoff != model::Backoff{}) to.set("backoff", backoff_json(backoff));
  if (requirements != model::Requirements{}) to.set("requires", requirements_json(requirements));
  if (!tags.empty()) to.set("tags", strings(tags));
  if (!webhook.url.empty()) to.set("webhook", webhook_json(webhook));
  to.put("key", key);
  to.put("ref", ref);
  to.put("submittedBy", submitted_by);
  static_cast<void>(key_digest);  // the hub's own
}

void put_status(object& job, const model::JobStatus& status) {
  Writer<JobSpecView> spec(job);
  Writer<JobStatusView> to(job);
  const auto& [state, reason, error, attempt, failures, host_losses, version, progress, result, result_truncated, exit,
               cause, usage, files_left_out, host, submitted_at, ready_at, due_at, started_at, finished_at,
               cancel_requested_at, redrive_of, redriven_as, settled_at, trouble, memory] = status;
  static_cast<void>(reason), static_cast<void>(error);  // come first in a job: see job_json()
  static_cast<void>(trouble);                           // `why` tells it
  to.set("attempt", attempt);
  to.set("failures", failures);
  to.set("hostLosses", host_losses);
  if (progress) {
    const auto& [percent, message] = *progress;
    object now;
    Writer<ProgressView> writer(now);
    if (percent) writer.set("percent", *percent);
    writer.set("message", text(message));
    to.set("progress", std::move(now));
  }
  if (result) to.set("result", text(*result));
  if (result_truncated) to.set("resultTruncated", true);
  if (exit) to.set("exit", exit_json(*exit));
  if (cause) to.set("cause", json::write(*cause));
  if (usage) to.set("usage", usage_json(*usage));
  put_files_left_out(job, files_left_out);
  to.put("host", host);
  spec.set("submittedAt", time(submitted_at));
  if (ready_at > 0) to.set("readyAt", time(ready_at));
  if (state == model::JobState::scheduled) to.put("dueAt", due_at);
  to.put("startedAt", started_at);
  to.put("finishedAt", finished_at);
  to.put("cancelRequestedAt", cancel_requested_at);
  to.set("version", version);
  if (redrive_of) spec.set("redriveOf", text(redrive_of->str()));
  if (redriven_as) to.set("redrivenAs", text(redriven_as->str()));
  to.put("settledAt", settled_at);
  if (memory > 0) to.set("memory", memory);
}

}  // namespace

void put_files_left_out(object& to, const model::FilesLeftOut& left_out) {
  if (left_out.count == 0) return;
  json::array named;
  for (const auto& [path, why] : left_out.named) {
    object file;
    Writer<LeftOutFileView> writer(file);
    writer.set("path", text(path));
    writer.set("why", text(why));
    named.push_back(std::move(file));
  }
  Writer<JobStatusView> writer(to);
  writer.set("filesLeftOut", std::move(named));
  writer.set("filesLeftOutCount", left_out.count);
}

object job_json(const model::Job& job, const std::string& batch_name) {
  object to;
  to.reserve(40);
  Writer<JobView> writer(to);
  writer.set("id", text(job.id.str()));
  writer.set("state", text(model::state_name(job.status.state)));
  if (job.status.reason != model::Reason::none) writer.set("reason", json::write(job.status.reason));
  writer.put("error", job.status.error);
  put_spec(Writer<JobSpecView>(to), job.spec, batch_name);
  put_status(to, job.status);
  return to;
}

void keep_fields(object& job, std::span<const std::string> fields) {
  object kept;
  for (const auto& name : fields)
    if (auto* member = job.if_contains(name)) kept.emplace(name, std::move(*member));
  job = std::move(kept);
}

object attempt_json(const model::Attempt& attempt) {
  const auto& [number, host, leased_at, started_at, ended_at, outcome, error, exit, usage, cause, memory] = attempt;
  object to;
  Writer<AttemptView> writer(to);
  writer.set("attempt", number);
  writer.set("host", text(host));
  writer.set("leasedAt", time(leased_at));
  writer.put("startedAt", started_at);
  writer.put("endedAt", ended_at);
  if (outcome) writer.set("outcome", json::write(*outcome));
  writer.put("error", error);
  if (exit) writer.set("exit", exit_json(*exit));
  if (cause) writer.set("cause", json::write(*cause));
  if (usage) writer.set("usage", usage_json(*usage));
  if (memory > 0) writer.set("memory", memory);
  return to;
}

object file_json(const model::JobFile& file) {
  return {{"path", text(file.path)}, {"size", file.size}, {"sha256", text(file.sha256)}};
}

}  // namespace geres::wire
