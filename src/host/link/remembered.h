// SPDX-License-Identifier: Apache-2.0
// What a host or worker remembers of itself: the id that its hub gave it, and where it lay then. Whoever comes back
// under that id ends what its earlier life ran. So a copy (an image of the machine, a backup, a volume's snapshot) must
// not come back as the one that it was copied from, which may live.
//
// Any thread.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace geres::host {

// The text to keep. `home`: of the directory or file that it lies in.
std::string remembered_text(const std::string& id, const struct stat& home);

struct RememberedId {
  std::string id;       // as it was kept
  bool copied = false;  // it was not kept in this home, on this machine
};
// nullopt: this is no such text. One that does not say where it was kept (0.1.0's) counts as kept here.
std::optional<RememberedId> read_remembered(std::string_view text, const struct stat& home);

// A host's, in DATA/host.json: its id, if `data` is the directory that it was written in, on this machine; else empty.
// Both throw system_error.
std::string remembered_id(const std::filesystem::path& data);
void remember_id(const std::filesystem::path& data, const std::string& id);

}  // namespace geres::host
