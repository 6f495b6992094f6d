// SPDX-License-Identifier: Apache-2.0
// The lock on a host's data directory. The agent holds it, and so does its runner until nothing of it runs; whoever has
// it may tell the hub that the earlier life of this host is over. A runner that is killed lets go of the lock a moment
// before the kernel has ended the processes of its namespace, so the file also names agent and runner, each with its
// start time, and the earlier runner's death is waited for: that is the last thing to go.
//
//   DATA/host.lock = process of the agent NL [process of the runner NL]      process = pid SP start-time
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

namespace geres::host {

// conflict: another agent that lives holds it still after `patience_ms`. A runner that outlives its agent for so long
// (one that is stopped, or stuck) is killed.
Result<Fd> lock_data(const std::filesystem::path& data, Millis patience_ms);

// The agent's runner, from now on.
void note_runner(const Fd& lock, pid_t runner);

}  // namespace geres::host
