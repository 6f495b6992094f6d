// SPDX-License-Identifier: Apache-2.0
// Makes limits for jobs possible under cgroup v2. Only a group without processes of its own can limit the groups below
// it, so the host moves into a group beside those of the jobs.
#pragma once

#include <filesystem>

namespace geres::host {

// The group (v2) of this process as a directory; empty: there is none.
std::filesystem::path own_group();

// Moves this process from `group` to group/geres.host where that makes limits possible and harms nothing: the group has
// controllers to pass on, contains only this process, and is ours to divide. Otherwise nothing happens, and the runner
// reports what is missing.
void stand_aside(const std::filesystem::path& group);

}  // namespace geres::host
