// SPDX-License-Identifier: Apache-2.0
// A job's JSON, member by member: the table that the writer (job_json) is checked against, and what hosts, workers,
// clients and the command line read it through. Reading is lenient, so that a reader gets along with a newer hub: what
// is absent or of another kind is empty, and what is not known here is passed over.
#pragma once

#include <boost/describe/class.hpp>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace geres::wire {

struct InputView {
  std::string path;
  std::string sha256;
  std::string job;
  std::string file;
};
BOOST_DESCRIBE_STRUCT(InputView, (), (path, sha256, job, file))

struct BackoffView {
  json::Duration initial, max;
  double factor = 0;
};
BOOST_DESCRIBE_STRUCT(BackoffView, (), (initial, factor, max))

struct RequirementsView {
  int slots = 1;
  std::int64_t memory = 0;
  std::map<std::string, std::string> labels;
};
BOOST_DESCRIBE_STRUCT(RequirementsView, (), (slots, memory, labels))

struct JobWebhookView {
  std::string url;
  std::vector<std::string> types;
};
BOOST_DESCRIBE_STRUCT(JobWebhookView, (), (url, types))

struct ProgressView {
  std::optional<int> percent;
  std::string message;
};
BOOST_DESCRIBE_STRUCT(ProgressView, (), (percent, message))

struct ExitView {
  std::optional<int> code;
  std::optional<int> signal;
};
BOOST_DESCRIBE_STRUCT(ExitView, (), (code, signal))

struct UsageView {
  double cpuSeconds = 0;
  std::int64_t maxRssBytes = 0;
};
BOOST_DESCRIBE_STRUCT(UsageView, (), (cpuSeconds, maxRssBytes))

struct LeftOutFileView {
  std::string path;
  std::string why;
};
BOOST_DESCRIBE_STRUCT(LeftOutFileView, (), (path, why))

// What was asked for, by whom and when.
struct JobSpecView {
  std::string id;
  std::string tenant;
  std::string type;
  std::string package;
  std::string packageSha256;
  std::string name;
  std::optional<json::value> parameters;  // events have none
  std::vector<InputView> inputs;
  std::string batch;
  std::string batchName;
  std::int64_t priority = 0;
  std::optional<json::Time> notBefore;
  json::Duration delay;
  json::Duration timeout;
  json::Duration queueTimeout;
  json::Duration lease;
  int maxAttempts = 5;
  std::optional<BackoffView> backoff;
  RequirementsView requires_;
  std::map<std::string, std::string> tags;
  std::optional<JobWebhookView> webhook;
  std::string key;
  std::string ref;
  std::string submittedBy;
  std::optional<json::Time> submittedAt;
  std::string redriveOf;
};
BOOST_DESCRIBE_STRUCT(JobSpecView, (),
                      (id, tenant, type, package, packageSha256, name, parameters, inputs, batch, batchName, priority,
                       notBefore, delay, timeout, queueTimeout, lease, maxAttempts, backoff, requires_, tags, webhook,
                       key, ref, submittedBy, submittedAt, redriveOf))

// How it stands: all that changes in a job's life. States and reasons are words, for there may be new ones.
struct JobStatusView {
  std::string state;
  std::string reason;
  std::string error;
  int attempt = 0;
  int failures = 0;
  int hostLosses = 0;
  std::optional<ProgressView> progress;
  std::string result;
  bool resultTruncated = false;
  std::optional<ExitView> exit;
  std::string cause;
  std::optional<UsageView> usage;
  std::vector<LeftOutFileView> filesLeftOut;
  std::int64_t filesLeftOutCount = 0;
  std::string host;
  std::optional<json::Time> readyAt;
  std::optional<json::Time> dueAt;
  std::optional<json::Time> startedAt;
  std::optional<json::Time> finishedAt;
  std::optional<json::Time> cancelRequestedAt;
  std::int64_t version = 0;
  std::string redrivenAs;
  std::optional<json::Time> settledAt;
  std::int64_t memory = 0;
};
BOOST_DESCRIBE_STRUCT(JobStatusView, (),
                      (state, reason, error, attempt, failures, hostLosses, progress, result, resultTruncated, exit,
                       cause, usage, filesLeftOut, filesLeftOutCount, host, readyAt, dueAt, startedAt, finishedAt,
                       cancelRequestedAt, version, redrivenAs, settledAt, memory))

struct JobView : JobSpecView, JobStatusView {
  bool ended() const { return state == "finished" || state == "failed" || state == "cancelled"; }
  std::optional<int> percent() const { return progress ? progress->percent : std::nullopt; }
};
BOOST_DESCRIBE_STRUCT(JobView, (JobSpecView, JobStatusView), ())

struct AttemptView {
  int attempt = 0;
  std::string host;
  std::optional<json::Time> leasedAt;
  std::optional<json::Time> startedAt;
  std::optional<json::Time> endedAt;
  std::string outcome;
  std::string error;
  std::optional<ExitView> exit;
  std::string cause;
  std::optional<UsageView> usage;
  std::int64_t memory = 0;
};
BOOST_DESCRIBE_STRUCT(AttemptView, (),
                      (attempt, host, leasedAt, startedAt, endedAt, outcome, error, exit, cause, usage, memory))

JobView job_view(const json::value& from);
AttemptView attempt_view(const json::value& from);

// The members' names, for `fields=`: all of them, and those that change in a job's life.
std::span<const std::string> job_fields();
std::span<const std::string> job_status_fields();

// A member of View by its name in JSON. Does not compile if there is none.
template <class View>
class Member {
 public:
  consteval Member(const char* name) : name_(name) {
    bool found = false;
    boost::mp11::mp_for_each<json::Members<View>>([&](auto d) { found = found || json::member_name(d.name) == name_; });
    if (!found) throw "the view has no such member";
  }
  constexpr std::string_view name() const { return name_; }

 private:
  std::string_view name_;
};

}  // namespace geres::wire
