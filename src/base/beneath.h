// SPDX-License-Identifier: Apache-2.0
// Opens and removes files below a directory in which somebody else may write. The kernel looks a path up anew at each
// system call, and a directory can become a link between two of them, so everything here goes by descriptor, one part
// at a time: no name can lead us out of the directory.
#pragma once

#include <string>

#include "base/file.h"

namespace geres {

// Opens `path` (relative, plain names with '/' between) below `directory`: never through a symbolic link, never out of
// the directory, never onto another file system. `flags` and `mode` as open(2) has them; the descriptor closes on exec.
// Empty, with errno: ELOOP a link is in the way, EXDEV the path leads out, EINVAL no such path can exist, else as
// openat(2).
Fd open_beneath(int directory, const std::string& path, int flags, unsigned mode = 0);

// The same by one openat(2) per part, for kernels and containers that lack openat2(2).
Fd open_beneath_by_parts(int directory, const std::string& path, int flags, unsigned mode = 0);

// Removes `name` in `directory` with everything below it, even what its owner has made unreadable. Never throws; false
// if something is left.
bool remove_tree_at(int directory, const std::string& name) noexcept;

// Removes everything in `directory`. Never throws; false if something is left.
bool empty_directory(int directory) noexcept;

}  // namespace geres
