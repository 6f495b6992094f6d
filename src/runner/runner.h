// SPDX-License-Identifier: Apache-2.0
// The host's small process that starts, watches and kills attempts: RunSpec in, RunResult out. One thread, one loop
// over the channel to the agent, the jobs' pipes, dying children and a timer. It makes no decision of its own but to
// kill: what the agent ordered, what ran out of time or lease, and everything when the agent is gone. Start reading at
// child.cpp for what a job process is put through, at containment.h for what keeps it together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runner/view.h"
#include "wire/runner/runner_channel.h"

namespace geres::runner {

struct RunnerOptions {
  int channel_fd = -1;  // connected SOCK_STREAM socket to the agent
  std::uint32_t slots = 1;
  std::optional<wire::Containment> containment;  // insist on it
  View view;
  std::vector<std::string> hidden;  // from jobs with RunSpec.fences: absolute paths
};

// Runs until the agent's end of the channel closes and nothing of what was started is left. Returns an exit code.
// The process must have one thread; all its signals are blocked from here on.
int run(const RunnerOptions& options);

}  // namespace geres::runner
