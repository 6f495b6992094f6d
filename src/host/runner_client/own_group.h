// SPDX-License-Identifier: Apache-2.0
// Making room for the limits of jobs in cgroup v2: only a group without processes of its own can limit the groups below
// it, so the host moves out of the way, into a group beside those of the jobs.
#pragma once

#include <filesystem>

namespace geres::host {

// The group (v2) of this process as a directory; empty: there is none.
std::filesystem::path own_group();

// Moves this process from `group` to group/geres.host, where that makes limits possible and breaks nothing: the group
// has controllers to hand down, is this process's alone, and is ours to divide. Else nothing happens, and the runner
// tells what is missing.
void stand_aside(const std::filesystem::path& group);

}  // namespace geres::host
