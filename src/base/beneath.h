// SPDX-License-Identifier: Apache-2.0
// Files below a directory in which somebody else may write: by descriptor, part by part, so that nobody can lead us out
// of it by a name. A path is looked up at each system call anew; between two of them a directory can become a link.
#pragma once

#include <string>

#include "base/file.h"

namespace geres {

// Opens `path` (relative, plain names with '/' between) below `directory`: never through a symbolic link, never out of
// the directory, never onto another file system. `flags` and `mode` as open(2) has them; the descriptor closes on exec.
// Empty with errno: ELOOP a link in the way, EXDEV it leads out, EINVAL no such path can be, else as openat(2).
Fd open_beneath(int directory, const std::string& path, int flags, unsigned mode = 0);

// The same by one openat(2) for each part: what is done on kernels and in containers that have no openat2(2).
Fd open_beneath_by_parts(int directory, const std::string& path, int flags, unsigned mode = 0);

// Removes `name` in `directory` with all that is below it, also what its owner has made unreadable. Never throws; says
// false if some is left.
bool remove_tree_at(int directory, const std::string& name) noexcept;

// Removes all that is in `directory`. Never throws; says false if some is left.
bool empty_directory(int directory) noexcept;

}  // namespace geres
