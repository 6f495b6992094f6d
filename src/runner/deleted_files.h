// SPDX-License-Identifier: Apache-2.0
// Files that have no name any more but are held open: they take up the disk until they are closed, and no walk through
// a directory finds them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace geres::runner {

// What such files on the disk of `directory` take up that these processes have open, in bytes; each file counts once.
// Not found: those that are only mapped into memory, or under way through a socket.
std::int64_t deleted_bytes(const std::vector<pid_t>& processes, const char* directory);

}  // namespace geres::runner
