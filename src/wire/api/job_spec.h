// SPDX-License-Identifier: Apache-2.0
// A job as it is handed in (POST /v1/jobs): its shape, its rules, and the digest by which a repeat is told from a
// misuse of the same key. Everything that can be judged without looking at the hub is judged here.
#pragma once

#include <boost/describe/class.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/job.h"

namespace geres::wire {

inline constexpr std::size_t kParametersBytesMax = 64 * 1024;
inline constexpr std::size_t kListMax = 10'000;
inline constexpr std::size_t kInputsMax = 1'000;
inline constexpr std::size_t kWebhookTypesMax = 32;

struct InputShape {
  static constexpr std::string_view kRequired[] = {"path"};
  std::string path;
  std::optional<std::string> sha256;
  std::optional<std::string> job;
  std::optional<std::string> file;
};
BOOST_DESCRIBE_STRUCT(InputShape, (), (path, sha256, job, file))

struct BackoffShape {
  json::Duration initial{1'000};
  double factor = 2;
  json::Duration max{600'000};
};
BOOST_DESCRIBE_STRUCT(BackoffShape, (), (initial, factor, max))

struct RequiresShape {
  int slots = 1;
  json::Size memory;
  std::map<std::string, std::string> labels;
};
BOOST_DESCRIBE_STRUCT(RequiresShape, (), (slots, memory, labels))

struct JobWebhookShape {
  static constexpr std::string_view kRequired[] = {"url"};
  std::string url;
  std::optional<std::vector<std::string>> types;
};
BOOST_DESCRIBE_STRUCT(JobWebhookShape, (), (url, types))

struct JobSpecShape {
  static constexpr std::string_view kRequired[] = {"type"};
  std::string tenant;
  std::string type;
  std::string package;  // name or name@sha256
  std::string name;
  std::optional<json::Raw> parameters;
  std::vector<InputShape> inputs;
  std::string batch;  // id or name
  std::int64_t priority = 0;
  std::optional<json::Time> notBefore;
  std::optional<json::Duration> delay;
  std::optional<json::Duration> timeout;
  std::optional<json::Duration> queueTimeout;
  std::optional<json::Duration> lease;
  int maxAttempts = 5;
  BackoffShape backoff;
  std::optional<json::value> dependsOn;            // notSupported yet
  std::optional<json::value> onDependencyFailure;  // notSupported yet
  RequiresShape requires_;
  std::optional<json::value> limits;  // notSupported yet
  std::map<std::string, std::string> tags;
  std::optional<json::value> webhook;  // a URL, or JobWebhookShape
  std::string key;
  std::string ref;
};
BOOST_DESCRIBE_STRUCT(JobSpecShape, (),
                      (tenant, type, package, name, parameters, inputs, batch, priority, notBefore, delay, timeout,
                       queueTimeout, lease, maxAttempts, backoff, dependsOn, onDependencyFailure, requires_, limits,
                       tags, webhook, key, ref))

// What a spec asks for, checked. `batch` is as written; `package_sha256` is empty for the newest version.
struct ParsedJob {
  model::JobSpec spec;
  std::string batch;
  std::string package_sha256;
  std::string digest;  // of all that was asked for but the key; computed only where it is needed
};

struct SpecRules {
  std::string default_tenant;  // stands in for an absent tenant; empty: tenantRequired
  std::string header_key;      // Idempotency-Key of a single submit: must agree with the spec's own key
  bool digest = false;         // also without a key
};
Result<ParsedJob> read_job_spec(const json::value& from, const SpecRules& rules);

// Of a list whose items were read with `digest`: over their specs and keys.
std::string list_digest(const std::vector<ParsedJob>& jobs);

}  // namespace geres::wire
