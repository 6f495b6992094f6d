// SPDX-License-Identifier: Apache-2.0
// Where jobs that run as other users see the machine's files differently from its other processes: mounts in the
// runner's own namespace, made before its first job and gone with the runner.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace geres::runner {

struct View {
  // Directories and files that every user must be able to reach. If a directory above one of them lets nobody in (a
  // home directory, a temporary one), jobs see an empty directory in its place that contains only these, under the same
  // names.
  std::vector<std::string> reach;
  std::string users, groups;  // files that jobs see as /etc/passwd and /etc/group; empty: the machine's
};

// Mounts only if this process is the first of its own namespaces. Returns in one sentence what could not be done;
// `names_trouble` likewise, for what is no reason not to run.
std::optional<std::string> make_view(const View& view, std::string& names_trouble);

}  // namespace geres::runner
