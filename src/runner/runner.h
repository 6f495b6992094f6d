// SPDX-License-Identifier: Apache-2.0
// The host's small process that starts, watches and kills attempts: RunSpec in, RunResult out. One thread, one loop
// over the channel to the agent, the jobs' pipes, dying children and a timer. Its only decision is to kill: on the
// agent's order, when a time limit or lease runs out, and everything when the agent is gone. Start reading at child.cpp
// for the steps that lead to a job process, and at containment.h for what keeps its processes together.
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
  std::vector<std::string> hidden;  // absolute paths that jobs with RunSpec.fences must not see
};

// Runs until the agent closes its end of the channel and nothing that was started is left. Returns an exit code. The
// process must have one thread; all its signals stay blocked from here on.
int run(const RunnerOptions& options);

}  // namespace geres::runner
