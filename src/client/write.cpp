// SPDX-License-Identifier: Apache-2.0
#include "client/write.h"

namespace geres::client {
namespace {

std::string shown(milliseconds duration) {
  return format_duration(duration.count());
}
std::string shown(Time time) {
  return format_time(std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count());
}
template <class T>
requires std::is_arithmetic_v<T> T shown(T number) {
  return number;
}

template <class T>
void set(json::object& to, std::string_view name, const std::optional<T>& value) {
  if (value) to[name] = json::value(shown(*value));
}

void set(json::object& to, std::string_view name, const std::string& text) {
  if (!text.empty()) to[name] = text;
}

json::object labels(const std::map<std::string, std::string>& from) {
  json::object to;
  for (const auto& [name, value] : from) to[name] = value;
  return to;
}

json::array inputs(const std::vector<Input>& from) {
  json::array to;
  for (const auto& input : from) {
    json::object one{{"path", input.path}};
    set(one, "sha256", input.sha256);
    set(one, "job", input.job);
    set(one, "file", input.file);
    to.push_back(std::move(one));
  }
  return to;
}

json::object backoff(const Backoff& from) {
  json::object to;
  set(to, "initial", from.initial);
  set(to, "factor", from.factor);
  set(to, "max", from.max);
  return to;
}

json::array texts(const std::vector<std::string>& from) {
  json::array to;
  for (const auto& text : from) to.emplace_back(text);
  return to;
}

json::object webhook(const JobWebhook& from) {
  json::object to{{"url", from.url}};
  if (!from.types.empty()) to["types"] = texts(from.types);
  return to;
}

json::object requirements(const Requirements& from) {
  json::object to;
  set(to, "slots", from.slots);
  if (from.memory_bytes) to["memory"] = *from.memory_bytes;
  if (!from.labels.empty()) to["labels"] = labels(from.labels);
  return to;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

std::vector<std::string> names(const std::vector<State>& states) {
  std::vector<std::string> to;
  for (const auto state : states) to.emplace_back(name_of(state));
  return to;
}

}  // namespace

Answer<json::value> write_spec(const JobSpec& spec, const std::string& at) {
  json::object to;
  set(to, "tenant", spec.tenant);
  to["type"] = spec.type;
  set(to, "package", spec.package);
  set(to, "name", spec.name);
  if (!spec.parameters.empty()) {
    auto parameters = json::parse(spec.parameters);
    if (!parameters)
      return refused_failure(Code::malformedJson, "the parameters are not JSON: " + parameters.error().message,
                             at + "/parameters", "text has to be in quotes: \"\\\"text\\\"\"");
    to["parameters"] = std::move(*parameters);
  }
  if (!spec.inputs.empty()) to["inputs"] = inputs(spec.inputs);
  set(to, "batch", spec.batch);
  set(to, "priority", spec.priority);
  set(to, "notBefore", spec.not_before);
  set(to, "delay", spec.delay);
  set(to, "timeout", spec.timeout);
  set(to, "queueTimeout", spec.queue_timeout);
  set(to, "lease", spec.lease);
  set(to, "maxAttempts", spec.max_attempts);
  if (spec.backoff) to["backoff"] = backoff(*spec.backoff);
  if (spec.needs) to["requires"] = requirements(*spec.needs);
  if (spec.webhook) to["webhook"] = webhook(*spec.webhook);
  if (!spec.tags.empty()) to["tags"] = labels(spec.tags);
  set(to, "key", spec.key);
  set(to, "ref", spec.ref);
  return json::value(std::move(to));
}

json::object write_filter(const JobFilter& filter) {
  json::object to;
  set(to, "tenant", filter.tenant);
  set(to, "batch", filter.batch);
  if (!filter.states.empty()) to["state"] = texts(names(filter.states));
  set(to, "type", filter.type);
  set(to, "name", filter.name);
  set(to, "host", filter.host);
  set(to, "reason", filter.reason);
  if (!filter.tags.empty()) to["tags"] = labels(filter.tags);
  set(to, "submittedAfter", filter.submitted_after);
  set(to, "submittedBefore", filter.submitted_before);
  if (!filter.ids.empty()) to["ids"] = texts(filter.ids);
  return to;
}

json::object write_cancel(const CancelOptions& options) {
  json::object to;
  set(to, "grace", options.grace);
  set(to, "reason", options.reason);
  return to;
}

json::object write_change(const JobChange& change) {
  json::object to;
  set(to, "priority", change.priority);
  set(to, "notBefore", change.not_before);
  if (change.tags) to["tags"] = labels(*change.tags);
  return to;
}

json::object write_batch(const BatchSpec& spec) {
  json::object to{{"name", spec.name}};
  set(to, "tenant", spec.tenant);
  set(to, "priority", spec.priority);
  if (spec.dedicated) to["dedicated"] = true;
  set(to, "maxRunning", spec.max_running);
  return to;
}

json::object write_tenant(const TenantSettings& settings) {
  json::object to;
  set(to, "weight", settings.weight);
  set(to, "maxRunning", settings.max_running);
  set(to, "maxQueued", settings.max_queued);
  set(to, "maxMemoryPerJob", settings.max_memory_per_job);
  return to;
}

void add(transport::Query& query, std::string_view name, std::string_view value) {
  if (!value.empty()) query.emplace_back(name, value);
}

transport::Query query_of(const JobFilter& filter) {
  transport::Query query;
  add(query, "tenant", filter.tenant);
  add(query, "batch", filter.batch);
  add(query, "state", joined(names(filter.states)));
  add(query, "type", filter.type);
  add(query, "name", filter.name);
  add(query, "host", filter.host);
  add(query, "reason", filter.reason);
  for (const auto& [name, value] : filter.tags) query.emplace_back("tag." + name, value);
  if (filter.submitted_after) query.emplace_back("submittedAfter", shown(*filter.submitted_after));
  if (filter.submitted_before) query.emplace_back("submittedBefore", shown(*filter.submitted_before));
  return query;
}

transport::Query query_of(const LogOptions& options) {
  transport::Query query;
  if (options.attempt) query.emplace_back("attempt", std::to_string(*options.attempt));
  if (options.stream == Stream::err) query.emplace_back("stream", "stderr");
  if (options.tail) query.emplace_back("tail", std::to_string(*options.tail));
  if (options.offset) query.emplace_back("offset", std::to_string(*options.offset));
  return query;
}

transport::Query query_of(const EventFilter& filter) {
  transport::Query query;
  add(query, "job", joined(filter.jobs));
  add(query, "batch", joined(filter.batches));
  add(query, "tenant", joined(filter.tenants));
  add(query, "type", joined(filter.types));
  return query;
}

}  // namespace geres::client
