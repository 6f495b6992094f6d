// SPDX-License-Identifier: Apache-2.0
#include "cli/live_output.h"

#include "base/bytes.h"
#include "cli/context.h"
#include "cli/log_follower.h"

namespace geres::cli {
namespace {

constexpr std::size_t kEndMax = 128 * 1024;  // larger than any result

std::string_view without_line_end(std::string_view text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

}  // namespace

LiveOutput::LiveOutput(const client::Options& options, const std::string& job) {
  for (const bool error : {false, true}) {
    LogFollower::What what{job};
    what.stream = error ? "stderr" : "stdout";
    what.follow = true;
    what.fd = error ? 2 : 1;
    if (!error)
      what.on_bytes = [this](std::string_view bytes) {
        end_ += bytes;
        if (end_.size() > 2 * kEndMax) end_.erase(0, end_.size() - kEndMax);
      };
    streams_.push_back(std::async(std::launch::async, [options, what] {
      try {
        return LogFollower(options, what).run();
      } catch (...) {
        interrupted() = true;  // ends the other stream as well, because half of the output is of no use
        throw;
      }
    }));
  }
}

LiveOutput::~LiveOutput() {
  // Destroyed before the end: the followers see this and stop.
  for (const auto& stream : streams_)
    if (stream.valid()) interrupted() = true;
}

std::optional<client::Failure> LiveOutput::finish() {
  std::optional<client::Failure> failure;
  for (auto& stream : streams_)
    if (auto failed = stream.get(); failed && !failure) failure = std::move(failed);
  return failure;
}

bool LiveOutput::shown(std::string_view result) const {
  result = without_line_end(result);
  // The result has U+FFFD where the output is not UTF-8.
  return without_line_end(end_).ends_with(result) || without_line_end(replace_bad_utf8(end_)).ends_with(result);
}

}  // namespace geres::cli
