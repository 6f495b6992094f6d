// SPDX-License-Identifier: Apache-2.0
// What a job prints, as it comes: its standard output to ours, its standard error to ours, over all its attempts.
#pragma once

#include <future>
#include <optional>
#include <string>
#include <vector>

#include "cli/client/client.h"

namespace geres::cli {

class LiveOutput {
 public:
  // Follows from now on, on threads of its own.
  LiveOutput(const client::Options& options, const std::string& job);
  ~LiveOutput();
  LiveOutput(const LiveOutput&) = delete;
  LiveOutput& operator=(const LiveOutput&) = delete;

  // Once the job has ended: returns when all is printed, or why that cannot be. Throws std::system_error when it cannot
  // be written.
  std::optional<client::Failure> finish();

  // After finish(): whether `result` is no more than the end of what was printed to standard output.
  bool shown(std::string_view result) const;

 private:
  std::string end_;  // of standard output; its thread's until finish()
  // Last, so first to go: each waits for its thread, which uses the rest.
  std::vector<std::future<std::optional<client::Failure>>> streams_;
};

}  // namespace geres::cli
