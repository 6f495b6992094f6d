// SPDX-License-Identifier: Apache-2.0
// What a host or worker keeps on disk about itself: the id that its hub gave it, and where it was then. Coming back
// under that id ends what the earlier life ran. So a copy (an image of the machine, a backup, a volume's snapshot) must
// not come back as its original, which may be alive.
//
// Any thread.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace geres::host {

// The text to keep. `home`: the directory or file in which it is kept.
std::string remembered_text(const std::string& id, const struct stat& home);

struct RememberedId {
  std::string id;       // as it was kept
  bool copied = false;  // it was written in another home or on another machine
};
// nullopt: not such a text. One that does not say where it was kept (written by 0.1.0) counts as kept here.
std::optional<RememberedId> read_remembered(std::string_view text, const struct stat& home);

// For a host, in DATA/host.json: its id if `data` is the directory in which it was written, on this machine; else
// empty. Both throw system_error.
std::string remembered_id(const std::filesystem::path& data);
void remember_id(const std::filesystem::path& data, const std::string& id);

}  // namespace geres::host
