// SPDX-License-Identifier: Apache-2.0
#include "cli/job_words.h"

#include <cstring>

namespace geres::cli {

Colour colour_of(const std::string& state) {
  if (state == "finished") return Colour::green;
  if (state == "failed") return Colour::red;
  if (state == "cancelled") return Colour::yellow;
  if (state == "running") return Colour::cyan;
  return Colour::none;
}

std::string progress_words(const JobView& job) {
  if (!job.progress) return "";
  std::string text;
  if (const auto percent = job.percent()) text = std::to_string(*percent) + " %";
  const auto& message = job.progress->message;
  if (!message.empty()) text += (text.empty() ? "" : " ") + message;
  return text;
}

std::string state_words(const JobView& job) {
  if (job.state == "failed" && !job.reason.empty() && job.reason != "none") return job.state + " (" + job.reason + ")";
  if (const auto percent = job.percent(); job.state == "running" && percent)
    return job.state + " " + std::to_string(*percent) + " %";
  return job.state;
}

std::optional<Millis> time_of(const json::value& from, std::string_view member) {
  const auto text = text_of(from, member);
  if (text.empty()) return std::nullopt;
  const auto time = parse_time(text);
  if (!time) return std::nullopt;
  return *time;
}

std::optional<Millis> ran_for(const JobView& job) {
  if (!job.startedAt || !job.finishedAt) return std::nullopt;
  return job.finishedAt->at - job.startedAt->at;
}

std::string batch_name(const JobView& job) {
  // As people would type it: the default batch is called by its id.
  return job.batchName.empty() || job.batch == "batch0" ? job.batch : job.batchName;
}

std::string package_words(const JobView& job) {
  auto package = job.package, sha256 = job.packageSha256;
  const auto at = package.find('@');
  if (at != std::string::npos) sha256 = package.substr(at + 1), package.resize(at);
  return sha256.empty() || package.starts_with("cmd-") ? package : package + "@" + sha256.substr(0, 8);
}

std::string exit_words(const std::optional<wire::ExitView>& exit) {
  if (!exit) return "";
  if (exit->signal) {
    const char* name = sigabbrev_np(*exit->signal);
    return "signal " + std::to_string(*exit->signal) + (name == nullptr ? "" : std::string(" (SIG") + name + ")");
  }
  return exit->code ? "exit " + std::to_string(*exit->code) : "";
}

std::vector<std::string> left_out_lines(const JobView& job, std::size_t lines_max) {
  std::vector<std::string> lines;
  if (job.filesLeftOut.empty()) return lines;
  for (const auto& file : job.filesLeftOut) {
    if (lines.size() == lines_max) break;
    lines.push_back(escaped_name(file.path) + ": " + clean(file.why));
  }
  const auto more = job.filesLeftOutCount - std::int64_t(lines.size());
  if (more > 0) lines.push_back("and " + grouped(more) + " more");
  return lines;
}

std::string outcome_sentence(const JobView& job, const Output& output, bool err) {
  const bool terminal = err ? output.look.err_terminal : output.look.out_terminal;
  const bool colour = err ? output.look.err_colour : output.look.out_colour;
  const bool finished = job.state == "finished";
  std::string text =
      "job " + (terminal ? short_id(job.id) : job.id) + " " + paint(state_words(job), colour_of(job.state), colour);
  if (const auto ran = ran_for(job)) text += (finished ? " in " : " after ") + took(*ran);
  const auto host = clean(job.host);
  if (job.attempt > 1) text += ", attempt " + std::to_string(job.attempt);
  if (!host.empty()) text += " on " + host;
  if (!finished && !job.error.empty()) text += ": " + clean(job.error);
  if (const auto left_out = left_out_lines(job, 1); !left_out.empty())
    text += "; " + plural(job.filesLeftOutCount, "file") + " left out, " + joined(left_out);
  return text;
}

int exit_as_job(const JobView& job) {
  if (job.state == "finished") return kDone;
  const auto exit = job.exit.value_or(wire::ExitView{});
  if (exit.signal) return 128 + *exit.signal;
  return exit.code && *exit.code != 0 ? *exit.code : kFailed;
}

Cell id_cell(const std::string& id) {
  return {short_id(id), id};
}

}  // namespace geres::cli
