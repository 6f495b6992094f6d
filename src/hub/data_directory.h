// SPDX-License-Identifier: Apache-2.0
// A hub's directory: whose it is, and that what it kept is still there.
#pragma once

#include <filesystem>

#include "base/file.h"

namespace geres::hub {

// Makes the directory if absent, closes it to other users, and locks it for as long as the result lives. Throws
// std::runtime_error with a sentence for people: another hub uses it, or it cannot be closed.
Fd lock_data_directory(const std::filesystem::path& directory);

// A hub has been here, and its store is gone: an empty one in its place would look as if all were well. Throws
// std::runtime_error then.
void check_store_is_there(const std::filesystem::path& data, const std::filesystem::path& store,
                          const std::filesystem::path& token);

}  // namespace geres::hub
