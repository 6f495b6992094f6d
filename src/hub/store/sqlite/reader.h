// SPDX-License-Identifier: Apache-2.0
// A read connection that keeps the rule of sqlite_store.h: it writes nothing into the store or its log and never
// checkpoints, also not when it is the last to close. In this process or another, beside a hub or without one.
//
// Beside a log that a dead hub has left behind, the first to open it (it may be a reader) finds its way through it and
// notes that in FILE-shm, which is an index and no data: the log and the store stay byte for byte as they were.
#pragma once

#include <filesystem>
#include <memory>

#include "hub/store/sqlite/connection.h"

namespace geres::hub::store::sqlite {

std::unique_ptr<Database> open_reader(const std::filesystem::path& file, const std::string& vfs, int cache_kib);

}  // namespace geres::hub::store::sqlite
