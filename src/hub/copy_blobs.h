// SPDX-License-Identifier: Apache-2.0
// All that a hub's store names, and the logs of jobs that have ended, copied from one place to another while the hub
// goes on. What is there already is not copied again, so it can be repeated: once beside the running hub, once more
// when it has stopped. A directory of blobs has no logs in it: those lie in the hub's data directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace geres::hub {

struct CopiedBlobs {
  std::int64_t named = 0;  // by the store
  std::int64_t copied = 0, bytes = 0;
  std::int64_t there = 0;         // were there before
  std::vector<std::string> lost;  // "tenant/sha256": not in the first place, or other bytes; the first 20
  std::int64_t lost_count = 0;
  std::int64_t logs = 0;  // of jobs, copied
};

// Places as --blobs names them; `store`: the hub's. With `progress`, it is called after each blob. Fails with badValue
// for a place that cannot be, conflict for one of another GeRes, blobStoreAway; throws StoreFailed or
// std::system_error. When nothing is lost, the hub of `data` may be started with the new place.
[[nodiscard]] Result<CopiedBlobs> copy_blobs(const std::filesystem::path& data, const std::filesystem::path& store,
                                             const std::string& from, const std::string& to,
                                             const std::function<void(const CopiedBlobs&)>& progress);

}  // namespace geres::hub
