// SPDX-License-Identifier: Apache-2.0
// Where jobs that run as other users see the machine's files differently from how its other processes do: mounts of the
// runner's own namespace, made before its first job and gone with it.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace geres::runner {

struct View {
  // Directories and files that every user shall reach. Where a directory above one of them lets nobody in (a home
  // directory, a temporary one), jobs see an empty one in its place, which has only these in it, under the same names.
  std::vector<std::string> reach;
  std::string users, groups;  // files that jobs see as /etc/passwd and /etc/group; empty: the machine's
};

// Nothing is mounted unless this process is the first of its own namespaces. What could not be done, in one sentence;
// `names_trouble`: likewise, but no reason not to run.
std::optional<std::string> make_view(const View& view, std::string& names_trouble);

}  // namespace geres::runner
