// SPDX-License-Identifier: Apache-2.0
// The lock on a host's data directory. It is held by the agent, and by its runner until nothing of the runner is left.
// The holder may tell the hub that this host's earlier life is over. A runner that is killed loses the lock a moment
// before the kernel has ended the processes of its namespace, so the file also names agent and runner, each with its
// start time, and the next agent waits for the earlier runner's death, which comes last.
//
//   DATA/host.lock = process of the agent NL [process of the runner NL]      process = pid SP start-time
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

namespace geres::host {

// conflict: another live agent still holds it after `patience_ms`. A runner that outlives its agent by that long
// (stopped or stuck) is killed.
Result<Fd> lock_data(const std::filesystem::path& data, Millis patience_ms);

// Records the agent's current runner.
void note_runner(const Fd& lock, pid_t runner);

}  // namespace geres::host
