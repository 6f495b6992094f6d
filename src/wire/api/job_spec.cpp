// SPDX-License-Identifier: Apache-2.0
#include "wire/api/job_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/sha256.h"
#include "model/names.h"
#include "wire/api/text_checks.h"

namespace geres::wire {
namespace {

constexpr Millis kDurationMax = 366LL * 86'400'000;

constexpr std::size_t kInputPathBytesMax = 1'024;

Result<void> refuse_unbuilt(const JobSpecShape& shape) {
  const std::pair<const char*, const std::optional<json::value>&> unbuilt[] = {
      {"dependsOn", shape.dependsOn}, {"onDependencyFailure", shape.onDependencyFailure}, {"limits", shape.limits}};
  for (const auto& [name, member] : unbuilt)
    if (member)
      return fail(Code::notSupported, fmt::format("'{}' is not supported by this version", name),
                  json::pointer_token(name), "leave it out");
  return {};
}

Result<void> check_range(Millis value, Millis least, Millis most, std::string_view field) {
  if (value >= least && value <= most) return {};
  return fail(Code::badValue, fmt::format("{} is out of range", format_duration(value)), std::string(field),
              fmt::format("from {} to {}", format_duration(least), format_duration(most)));
}

Result<void> take_names(const JobSpecShape& shape, const std::string& default_tenant, ParsedJob& job) {
  auto& spec = job.spec;
  spec.tenant = shape.tenant.empty() ? default_tenant : shape.tenant;
  if (spec.tenant.empty())
    return fail(Code::tenantRequired, "'tenant' is missing", "/tenant",
                "name the tenant: your token has not exactly one");
  if (auto ok = model::check_name(spec.tenant, "tenant name", "/tenant"); !ok) return ok;
  if (auto ok = model::check_name(shape.type, "job type", "/type"); !ok) return ok;
  spec.type = shape.type;
  if (auto ok = check_text(shape.name, "name", "/name"); !ok) return ok;
  spec.name = shape.name;
  if (!shape.package.empty()) {
    const auto at = shape.package.find('@');
    spec.package = shape.package.substr(0, at);
    if (auto ok = model::check_name(spec.package, "package name", "/package"); !ok) return ok;
    if (at != std::string::npos) {
      job.package_sha256 = shape.package.substr(at + 1);
      if (!is_sha256_hex(job.package_sha256))
        return fail(Code::badValue, "what follows the '@' is not a SHA-256", "/package",
                    "name@ and 64 lower-case hex digits");
    }
  }
  if (!shape.batch.empty())
    if (auto ok = model::check_name(shape.batch, "batch id or name", "/batch"); !ok) return ok;
  job.batch = shape.batch;
  if (auto ok = check_text(shape.ref, "ref", "/ref"); !ok) return ok;
  spec.ref = shape.ref;
  return {};
}

Result<void> take_times(const JobSpecShape& shape, model::JobSpec& spec) {
  if (shape.notBefore && shape.delay)
    return fail(Code::badValue, "'delay' and 'notBefore' exclude each other", "/delay", "give one of them");
  if (shape.notBefore) spec.not_before = shape.notBefore->at;
  if (shape.delay) {
    if (auto ok = check_range(shape.delay->ms, 0, kDurationMax, "/delay"); !ok) return ok;
    spec.delay = shape.delay->ms;
  }
  if (shape.timeout) {
    if (auto ok = check_range(shape.timeout->ms, 1, kDurationMax, "/timeout"); !ok) return ok;
    spec.timeout = shape.timeout->ms;
  }
  if (shape.queueTimeout) {
    if (auto ok = check_range(shape.queueTimeout->ms, 1, kDurationMax, "/queueTimeout"); !ok) return ok;
    spec.queue_timeout = shape.queueTimeout->ms;
  }
  if (shape.lease) {
    if (auto ok = check_range(shape.lease->ms, 2'000, 86'400'000, "/lease"); !ok) return ok;
    spec.lease = shape.lease->ms;
  }
  return {};
}

Result<void> take_retries(const JobSpecShape& shape, model::JobSpec& spec) {
  if (shape.maxAttempts < 1 || shape.maxAttempts > 1'000)
    return fail(Code::badValue, fmt::format("{} attempts", shape.maxAttempts), "/maxAttempts", "from 1 to 1000");
  spec.max_attempts = shape.maxAttempts;
  const auto& backoff = shape.backoff;
  if (auto ok = check_range(backoff.initial.ms, 0, kDurationMax, "/backoff/initial"); !ok) return ok;
  if (auto ok = check_range(backoff.max.ms, 0, kDurationMax, "/backoff/max"); !ok) return ok;
  if (backoff.initial.ms > backoff.max.ms)
    return fail(Code::badValue, "the first pause is longer than the longest", "/backoff/initial",
                fmt::format("at most backoff.max, here {}", format_duration(backoff.max.ms)));
  if (!(backoff.factor >= 1 && backoff.factor <= 100))
    return fail(Code::badValue, "the factor is out of range", "/backoff/factor", "from 1 to 100");
  spec.backoff = {backoff.initial.ms, backoff.factor, backoff.max.ms};
  return {};
}

Result<void> take_requirements(const JobSpecShape& shape, model::JobSpec& spec) {
  const auto& wanted = shape.requires_;
  if (wanted.slots < 1 || wanted.slots > 4'096)
    return fail(Code::badValue, fmt::format("{} slots", wanted.slots), "/requires/slots", "from 1 to 4096");
  if (auto ok = check_tags(wanted.labels, "/requires/labels"); !ok) return ok;
  if (auto ok = check_tags(shape.tags, "/tags"); !ok) return ok;
  spec.requirements = {wanted.slots, wanted.memory.bytes, wanted.labels};
  spec.tags = shape.tags;
  if (shape.priority < -1'000'000'000 || shape.priority > 1'000'000'000)
    return fail(Code::badValue, "the priority is out of range", "/priority", "from -1000000000 to 1000000000");
  spec.priority = shape.priority;
  return {};
}

Result<model::Input> read_input(const InputShape& shape) {
  if (auto ok = model::check_relative_path(shape.path, "/path"); !ok) return ok.error();
  if (shape.path.size() > kInputPathBytesMax)  // the directory that it comes to lie in has a path, too
    return fail(Code::badValue, "the path is longer than 1,024 bytes", "/path", "a shorter one");
  model::Input input;
  input.path = shape.path;
  if (shape.sha256 && (shape.job || shape.file))
    return fail(Code::badValue, "an input is a stored file or another job's, not both", "/sha256",
                "either sha256, or job and file");
  if (shape.sha256) {
    if (!is_sha256_hex(*shape.sha256))
      return fail(Code::badValue, "this is not a SHA-256", "/sha256",
                  "64 lower-case hex digits, as PUT /v1/files answered");
    input.sha256 = *shape.sha256;
    return input;
  }
  if (!shape.job) return fail(Code::missingField, "an input needs 'sha256', or 'job' and 'file'", "/sha256");
  if (!shape.file) return fail(Code::missingField, "'file' is missing", "/file");
  const auto job = parse_uuid(*shape.job);
  if (!job) return fail(Code::badValue, "this is not a job id", "/job", "a UUID");
  if (auto ok = model::check_relative_path(*shape.file, "/file"); !ok) return ok.error();
  input.job = *job;
  input.file = *shape.file;
  return input;
}

Result<void> take_inputs(const JobSpecShape& shape, model::JobSpec& spec) {
  if (shape.inputs.size() > kInputsMax)
    return fail(Code::tooMany, fmt::format("{} inputs", shape.inputs.size()), "/inputs",
                fmt::format("at most {}", kInputsMax));
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < shape.inputs.size(); ++i) {
    auto input = read_input(shape.inputs[i]);
    if (!input) return json::inside("inputs", json::inside(std::to_string(i), input.error()));
    paths.push_back(input->path);
    spec.inputs.push_back(std::move(*input));
  }
  std::sort(paths.begin(), paths.end());
  for (std::size_t i = 1; i < paths.size(); ++i)
    if (paths[i] == paths[i - 1] || paths[i].starts_with(paths[i - 1] + "/"))
      return fail(Code::badValue, fmt::format("two inputs claim the path '{}'", paths[i - 1]), "/inputs");
  return {};
}

Result<void> take_parameters(const JobSpecShape& shape, model::JobSpec& spec) {
  if (!shape.parameters) return {};
  spec.parameters = shape.parameters->text;
  if (spec.parameters.size() > kParametersBytesMax)
    return fail(Code::tooLarge, fmt::format("the parameters have {} bytes", spec.parameters.size()), "/parameters",
                fmt::format("at most {} bytes; put large data into an input file", kParametersBytesMax));
  return {};
}

// Whether its address may be called, and what its types are, is the hub's to judge.
Result<void> take_webhook(const JobSpecShape& shape, model::JobSpec& spec) {
  if (!shape.webhook) return {};
  if (shape.webhook->is_string()) {
    spec.webhook.url = std::string(shape.webhook->get_string());
    if (spec.webhook.url.empty()) return fail(Code::badValue, "the address is empty", "/webhook", "leave it out");
    return {};
  }
  auto webhook = json::read<JobWebhookShape>(*shape.webhook);
  if (!webhook) return json::inside("webhook", webhook.error());
  auto types = std::move(webhook->types).value_or(std::vector<std::string>());
  if (webhook->types && types.empty())
    return fail(Code::emptyFilter, "the condition 'types' is empty", "/webhook/types",
                "leave it out for all, or say which");
  if (types.size() > kWebhookTypesMax)
    return fail(Code::tooMany, fmt::format("{} types", types.size()), "/webhook/types",
                fmt::format("at most {}", kWebhookTypesMax));
  spec.webhook = {std::move(webhook->url), std::move(types)};
  if (spec.webhook.url.empty()) return fail(Code::badValue, "the address is empty", "/webhook/url");
  return {};
}

Result<void> take_key(const JobSpecShape& shape, const std::string& header_key, model::JobSpec& spec) {
  if (!shape.key.empty() && !header_key.empty() && shape.key != header_key)
    return fail(Code::badValue, "'key' and the header Idempotency-Key differ", "/key", "give one, or the same twice");
  spec.key = shape.key.empty() ? header_key : shape.key;
  return check_key(spec.key, "/key");
}

void sort_names(json::value& v) {
  if (auto* items = v.if_array()) {
    for (auto& item : *items) sort_names(item);
  } else if (auto* members = v.if_object()) {
    std::vector<std::pair<std::string, json::value>> sorted;
    for (auto& member : *members) {
      sort_names(member.value());
      sorted.emplace_back(std::string(member.key()), std::move(member.value()));
    }
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    json::object again;
    for (auto& [name, member] : sorted) again.emplace(name, std::move(member));
    v = std::move(again);
  }
}

// Two specs mean the same job exactly when these texts are equal; parts are told apart by their lengths. Every member
// is named here, so that a new one does not compile until it has its place. Out of it stay the key itself, what the hub
// fills in (the package's version, unless it was asked for; who submitted), and batch and parameters in the form that
// the spec keeps them in.
std::string canonical_text(const JobSpecShape& shape, const ParsedJob& job) {
  const auto& [tenant, type, package, package_version, name, parameters_text, inputs, batch_id, priority, not_before,
               delay, timeout, queue_timeout, lease, max_attempts, backoff, requirements, tags, webhook, key,
               key_digest, ref, submitted_by] = job.spec;
  const auto& [initial, factor, longest] = backoff;
  const auto& [slots, memory, labels] = requirements;
  const auto& [url, types] = webhook;
  std::string text;
  const auto part = [&text](std::string_view piece) {
    text += std::to_string(piece.size());
    text += ':';
    text += piece;
  };
  const auto number = [&text](std::int64_t n) { text += std::to_string(n) + ";"; };
  for (const auto& piece : {tenant, type, package, job.package_sha256, name, job.batch, ref}) part(piece);
  if (shape.parameters) {
    auto parameters = json::parse(shape.parameters->text);
    if (parameters) sort_names(*parameters);
    part(parameters ? boost::json::serialize(*parameters) : shape.parameters->text);
  } else {
    part("null");
  }
  number(std::int64_t(inputs.size()));
  for (const auto& [path, sha256, from, file] : inputs)
    part(path), part(sha256), part(from ? from.str() : ""), part(file);
  for (const std::int64_t n : {priority, not_before.value_or(-1), delay, timeout, queue_timeout, lease,
                               std::int64_t(max_attempts), initial, longest, std::int64_t(slots), memory})
    number(n);
  part(fmt::format("{}", factor));
  for (const auto* map : {&labels, &tags}) {
    number(std::int64_t(map->size()));
    for (const auto& [entry, value] : *map) part(entry), part(value);
  }
  if (!url.empty()) {  // only then: digests of older jobs stay what they are
    part("webhook"), part(url);
    for (const auto& wanted : types) part(wanted);
  }
  return text;
}

}  // namespace

Result<ParsedJob> read_job_spec(const json::value& from, const SpecRules& rules) {
  auto shape = json::read<JobSpecShape>(from);
  if (!shape) return shape.error();
  ParsedJob job;
  if (auto ok = refuse_unbuilt(*shape); !ok) return ok.error();
  if (auto ok = take_names(*shape, rules.default_tenant, job); !ok) return ok.error();
  if (auto ok = take_times(*shape, job.spec); !ok) return ok.error();
  if (auto ok = take_retries(*shape, job.spec); !ok) return ok.error();
  if (auto ok = take_requirements(*shape, job.spec); !ok) return ok.error();
  if (auto ok = take_inputs(*shape, job.spec); !ok) return ok.error();
  if (auto ok = take_parameters(*shape, job.spec); !ok) return ok.error();
  if (auto ok = take_webhook(*shape, job.spec); !ok) return ok.error();
  if (auto ok = take_key(*shape, rules.header_key, job.spec); !ok) return ok.error();
  if (rules.digest || !job.spec.key.empty()) job.digest = sha256_hex(canonical_text(*shape, job));
  if (!job.spec.key.empty()) job.spec.key_digest = job.digest;
  return job;
}

std::string list_digest(const std::vector<ParsedJob>& jobs) {
  Sha256 digest;
  for (const auto& job : jobs) {
    digest.update(job.digest);
    digest.update(fmt::format("{}:{}", job.spec.key.size(), job.spec.key));
  }
  return digest.hex();
}

}  // namespace geres::wire
