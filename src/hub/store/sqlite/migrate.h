// SPDX-License-Identifier: Apache-2.0
// The schema's versions: numbered .sql files, each run once, in a transaction of its own that also raises user_version.
// A new version is a new file in migrations/ and a line in CMakeLists.txt; files that have shipped never change.
#pragma once

#include <string_view>
#include <vector>

#include "hub/store/sqlite/connection.h"

namespace geres::hub::store::sqlite {

const std::vector<std::string_view>& migrations();  // the file with number n at n - 1

// Brings the store to the newest version. Refuses one that a newer program made, and a file that is something else.
void migrate(Database& database, const std::vector<std::string_view>& steps, std::string_view file);

// Refuses every file that is not a store of exactly this version.
void require_newest(Database& database, std::size_t newest, std::string_view file);

}  // namespace geres::hub::store::sqlite
