// SPDX-License-Identifier: Apache-2.0
#include "cli/job_words.h"

#include <cstring>

namespace geres::cli {

bool ended(const json::value& job) {
  const auto state = state_of(job);
  return state == "finished" || state == "failed" || state == "cancelled";
}

std::string state_of(const json::value& job) {
  return text_of(job, "state");
}

Colour colour_of(const std::string& state) {
  if (state == "finished") return Colour::green;
  if (state == "failed") return Colour::red;
  if (state == "cancelled") return Colour::yellow;
  if (state == "running") return Colour::cyan;
  return Colour::none;
}

std::string progress_words(const json::value& job) {
  const auto& progress = member_of(job, "progress");
  std::string text;
  if (member_of(progress, "percent").is_number()) text = std::to_string(number_of(progress, "percent")) + " %";
  const auto message = text_of(progress, "message");
  if (!message.empty()) text += (text.empty() ? "" : " ") + message;
  return text;
}

std::string state_words(const json::value& job) {
  const auto state = state_of(job);
  const auto reason = text_of(job, "reason");
  if (state == "failed" && !reason.empty() && reason != "none") return state + " (" + reason + ")";
  if (state == "running") {
    const auto& progress = member_of(job, "progress");
    if (member_of(progress, "percent").is_number())
      return state + " " + std::to_string(number_of(progress, "percent")) + " %";
  }
  return state;
}

std::optional<Millis> time_of(const json::value& from, std::string_view member) {
  const auto text = text_of(from, member);
  if (text.empty()) return std::nullopt;
  const auto time = parse_time(text);
  if (!time) return std::nullopt;
  return *time;
}

std::optional<Millis> ran_for(const json::value& job) {
  const auto start = time_of(job, "startedAt");
  const auto end = time_of(job, "finishedAt");
  if (!start || !end) return std::nullopt;
  return *end - *start;
}

std::string batch_name(const json::value& job) {
  // As people would type it: the default batch is called by its id.
  const auto name = text_of(job, "batchName"), id = text_of(job, "batch");
  return name.empty() || id == "batch0" ? id : name;
}

std::string package_words(const json::value& job) {
  std::string package = text_of(job, "package");
  std::string sha256 = text_of(job, "packageSha256");
  const auto at = package.find('@');
  if (at != std::string::npos) sha256 = package.substr(at + 1), package.resize(at);
  return sha256.empty() || package.starts_with("cmd-") ? package : package + "@" + sha256.substr(0, 8);
}

std::string exit_words(const json::value& of) {
  const auto& exit = member_of(of, "exit");
  if (member_of(exit, "signal").is_number()) {
    const auto signal = int(number_of(exit, "signal"));
    const char* name = sigabbrev_np(signal);
    return "signal " + std::to_string(signal) + (name == nullptr ? "" : std::string(" (SIG") + name + ")");
  }
  if (member_of(exit, "code").is_number()) return "exit " + std::to_string(number_of(exit, "code"));
  return "";
}

std::vector<std::string> left_out_lines(const json::value& job, std::size_t lines_max) {
  std::vector<std::string> lines;
  const auto& named = member_of(job, "filesLeftOut");
  if (!named.is_array()) return lines;
  for (const auto& file : named.get_array()) {
    if (lines.size() == lines_max) break;
    lines.push_back(escaped_name(text_of(file, "path")) + ": " + clean(text_of(file, "why")));
  }
  const auto more = number_of(job, "filesLeftOutCount") - std::int64_t(lines.size());
  if (more > 0) lines.push_back("and " + grouped(more) + " more");
  return lines;
}

std::string outcome_sentence(const json::value& job, const Output& output, bool err) {
  const bool terminal = err ? output.look.err_terminal : output.look.out_terminal;
  const bool colour = err ? output.look.err_colour : output.look.out_colour;
  const auto state = state_of(job);
  const auto id = text_of(job, "id");
  std::string text = "job " + (terminal ? short_id(id) : id) + " " + paint(state_words(job), colour_of(state), colour);
  if (const auto ran = ran_for(job)) text += (state == "finished" ? " in " : " after ") + took(*ran);
  const auto attempt = number_of(job, "attempt");
  const auto host = clean(text_of(job, "host"));
  if (attempt > 1) text += ", attempt " + std::to_string(attempt);
  if (!host.empty()) text += " on " + host;
  const auto error = text_of(job, "error");
  if (state != "finished" && !error.empty()) text += ": " + clean(error);
  if (const auto left_out = left_out_lines(job, 1); !left_out.empty())
    text += "; " + plural(number_of(job, "filesLeftOutCount"), "file") + " left out, " + joined(left_out);
  return text;
}

int exit_as_job(const json::value& job) {
  const auto& exit = member_of(job, "exit");
  if (state_of(job) == "finished") return kDone;
  if (member_of(exit, "signal").is_number()) return 128 + int(number_of(exit, "signal"));
  const auto code = int(number_of(exit, "code"));
  return code != 0 ? code : kFailed;
}

Cell id_cell(const json::value& answer) {
  return {short_id(text_of(answer, "id")), text_of(answer, "id")};
}

}  // namespace geres::cli
