// SPDX-License-Identifier: Apache-2.0
// Files that have no name any more but are held open. They take up disk space until they are closed, and no walk
// through a directory finds them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace geres::runner {

// The bytes of such files on the disk of `directory` that these processes have open; each file counts once. Not found:
// files that are only mapped into memory, or in transit through a socket.
std::int64_t deleted_bytes(const std::vector<pid_t>& processes, const char* directory);

}  // namespace geres::runner
