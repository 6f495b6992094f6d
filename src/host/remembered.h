// SPDX-License-Identifier: Apache-2.0
// What a host remembers of itself in DATA/host.json: the id that its hub gave it, and where it lay then. Whoever comes
// back under that id ends what its earlier life ran. So a copy of the directory (an image of the machine, a backup, a
// volume's snapshot) must not come back as the one that it was copied from, which may live.
//
// Any thread.
#pragma once

#include <filesystem>
#include <string>

namespace geres::host {

// The id, if `data` is the directory that it was written in, on this machine; else empty. Throws system_error.
std::string remembered_id(const std::filesystem::path& data);

// Throws system_error.
void remember_id(const std::filesystem::path& data, const std::string& id);

}  // namespace geres::host
