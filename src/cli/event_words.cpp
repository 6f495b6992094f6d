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

std::string on_host(const json::value& data) {
  const auto host = text_of(data, "host");
  return host.empty() ? "" : "on " + host;
}

std::string progress(const json::value& data) {
  const auto& progress = member_of(data, "progress");
  const auto message = text_of(progress, "message");
  if (!member_of(progress, "percent").is_number()) return message;
  return std::to_string(number_of(progress, "percent")) + "%" + (message.empty() ? "" : " " + message);
}

// "exit 3: oops", "timeout: …"; only the hub's text where that already says it.
std::string ending(const json::value& data) {
  const auto error = text_of(data, "error"), exit = exit_words(data);
  if (exit.empty() || error.find(exit) != std::string::npos) return error;
  return joined_said({exit, error}, ": ");
}

std::string pause(const json::value& data, std::optional<Millis> at) {
  const auto due = time_of(data, "dueAt");
  if (!due || !at || *due <= *at) return "";
  return "in " + took(*due - *at);
}

std::string submitted(const json::value& data, std::optional<Millis> at) {
  const auto type = text_of(data, "type"), name = text_of(data, "name"), by = text_of(data, "submittedBy"),
             due = pause(data, at);
  return joined_said({type, name == type ? "" : name, by.empty() ? "" : "by " + by, due.empty() ? "" : "due " + due});
}

std::string failures(const json::value& data) {
  const auto n = number_of(data, "failures");
  return n > 1 ? plural(n, "failure") + " so far" : "";
}

}  // namespace

std::string event_words(const std::string& type, const json::value& data, std::optional<Millis> at) {
  if (type == "job.submitted") return submitted(data, at);
  if (type == "job.ready") return "";
  if (type == "job.leased") return text_of(data, "host").empty() ? "" : text_of(data, "host") + " has it";
  if (type == "job.started") return on_host(data);
  if (type == "job.progressed") return progress(data);
  if (type == "job.retrying") {
    const auto after = pause(data, at);
    return joined_said({ending(data), failures(data), after.empty() ? "again at once" : "again " + after}, "; ");
  }
  if (type == "job.failed")
    return joined_said({joined_said({text_of(data, "reason"), ending(data)}, ": "), on_host(data)});
  if (type == "job.finished") {
    const auto ran = ran_for(data);
    const auto how = joined_said({exit_words(data), ran ? "after " + took(*ran) : "", on_host(data)});
    return joined_said({how, text_of(data, "result")}, ": ");
  }
  if (type == "job.cancelled") return joined_said({text_of(data, "error"), on_host(data)});
  return joined_said(
      {text_of(data, "name"), type.starts_with("host.") ? plural(number_of(data, "slots"), "slot") : ""});
}

}  // namespace geres::cli
