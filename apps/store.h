// SPDX-License-Identifier: Apache-2.0
// What the commands on a hub's store do: the store's own verbs, put into the words of the command line.
#pragma once

#include "cli/serve.h"

namespace geres::apps {

json::object check_store(const cli::StoreSettings& settings);
json::object backup_store(const cli::StoreSettings& settings, const std::filesystem::path& to);
// Afterwards the secret in DATA/admin.token is an admin's; it is drawn if there is none.
json::object restore_store(const cli::StoreSettings& settings, const std::filesystem::path& from, bool replace);

// All that a hub keeps, in a directory (hub/backup.h).
json::object backup_all(const cli::StoreSettings& settings, const std::filesystem::path& to);
json::object copy_blobs(const cli::StoreSettings& settings, const std::string& from, const std::string& to,
                        const std::function<void(std::int64_t, std::int64_t)>& progress);
json::object restore_all(const cli::StoreSettings& settings, const std::filesystem::path& from);

}  // namespace geres::apps
