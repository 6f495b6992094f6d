// SPDX-License-Identifier: Apache-2.0
// Prints what a job prints, as it comes: its standard output to ours, its standard error to ours, over all its
// attempts.
#pragma once

#include <future>
#include <optional>
#include <string>
#include <vector>

#include "cli/client/client.h"

namespace geres::cli {

class LiveOutput {
 public:
  // Starts to follow, on threads of its own.
  LiveOutput(const client::Options& options, const std::string& job);
  ~LiveOutput();
  LiveOutput(const LiveOutput&) = delete;
  LiveOutput& operator=(const LiveOutput&) = delete;

  // Call it when the job has ended. Returns when everything is printed, or why that is impossible. Throws
  // std::system_error when our own output cannot be written.
  std::optional<client::Failure> finish();

  // After finish(): whether `result` is just the end of what was printed to standard output.
  bool shown(std::string_view result) const;

 private:
  std::string end_;  // of standard output; owned by its thread until finish()
  // Last, and therefore destroyed first: each waits for its thread, which uses the rest.
  std::vector<std::future<std::optional<client::Failure>>> streams_;
};

}  // namespace geres::cli
