// SPDX-License-Identifier: Apache-2.0
#include "cli/event_words.h"

#include "cli/job_words.h"

namespace geres::cli {
namespace {

std::string joined_said(const std::vector<std::string>& parts, std::string_view between = ", ") {
  std::vector<std::string> said;
  for (const auto& part : parts)
    if (!part.empty()) said.push_back(part);
  return joined(said, between);
}

std::string on_host(const JobView& job) {
  return job.host.empty() ? "" : "on " + job.host;
}

std::string progress(const JobView& job) {
  if (!job.progress) return "";
  const auto& [percent, message] = *job.progress;
  if (!percent) return message;
  return std::to_string(*percent) + "%" + (message.empty() ? "" : " " + message);
}

// "exit 3: oops", "timeout: …"; only the hub's text where that already says it.
std::string ending(const JobView& job) {
  const auto exit = exit_words(job.exit);
  if (exit.empty() || job.error.find(exit) != std::string::npos) return job.error;
  return joined_said({exit, job.error}, ": ");
}

std::string pause(const JobView& job, std::optional<Millis> at) {
  if (!job.dueAt || !at || job.dueAt->at <= *at) return "";
  return "in " + took(job.dueAt->at - *at);
}

std::string submitted(const JobView& job, std::optional<Millis> at) {
  const auto due = pause(job, at);
  return joined_said({job.type, job.name == job.type ? "" : job.name,
                      job.submittedBy.empty() ? "" : "by " + job.submittedBy, due.empty() ? "" : "due " + due});
}

std::string failures(const JobView& job) {
  return job.failures > 1 ? plural(job.failures, "failure") + " so far" : "";
}

std::string job_words(const std::string& type, const JobView& job, std::optional<Millis> at) {
  if (type == "job.submitted") return submitted(job, at);
  if (type == "job.leased") return job.host.empty() ? "" : job.host + " has it";
  if (type == "job.started") return on_host(job);
  if (type == "job.progressed") return progress(job);
  if (type == "job.retrying") {
    const auto after = pause(job, at);
    return joined_said({ending(job), failures(job), after.empty() ? "again at once" : "again " + after}, "; ");
  }
  if (type == "job.failed") return joined_said({joined_said({job.reason, ending(job)}, ": "), on_host(job)});
  if (type == "job.finished") {
    const auto ran = ran_for(job);
    const auto how = joined_said({exit_words(job.exit), ran ? "after " + took(*ran) : "", on_host(job)});
    return joined_said({how, job.result}, ": ");
  }
  if (type == "job.cancelled") return joined_said({job.error, on_host(job)});
  return "";
}

}  // namespace

std::string event_words(const std::string& type, const json::value& data, std::optional<Millis> at) {
  if (type.starts_with("job.")) return job_words(type, wire::job_view(data), at);
  return joined_said(
      {text_of(data, "name"), type.starts_with("host.") ? plural(number_of(data, "slots"), "slot") : ""});
}

}  // namespace geres::cli
