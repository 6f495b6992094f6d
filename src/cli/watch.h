// SPDX-License-Identifier: Apache-2.0
// Waits for jobs to end. Waits for a hub that is away, too; Ctrl-C leaves the jobs running and says how to come back.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace geres::cli {

struct WatchOptions {
  std::string progress = "auto";
  int fd = 2;             // where the progress goes
  std::string come_back;  // the command that resumes the watch
};

WatchOptions watch_options(Context& context, int fd);

// Waits until the job has ended; returns it as it is then.
json::value watch_job(Context& context, json::value shown, const WatchOptions& options);

struct WatchedSet {
  std::map<std::string, std::int64_t> counts;
  json::array jobs;  // id, state, … of each job of a set, in the order of the ids
};

// Watch a batch, or jobs that were submitted together (ids in their order; without a tenant if they are of several).
WatchedSet watch_batch(Context& context, const std::string& batch, const WatchOptions& options);
WatchedSet watch_jobs(Context& context, const std::string& tenant, const std::vector<std::string>& ids,
                      const std::string& title, const WatchOptions& options);

// "done in 8.2 s: 238 finished, 2 failed"
std::string done_sentence(const WatchedSet& set, Millis took_time, const Output& output);
int exit_of(const WatchedSet& set);

}  // namespace geres::cli
