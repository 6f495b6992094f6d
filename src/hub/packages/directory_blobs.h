// SPDX-License-Identifier: Apache-2.0
// Blobs in a directory:
//
//   DIR/tmp/<random>                       unfinished uploads; emptied when the store is opened
//   DIR/tenants/<tenant>/<aa>/<sha256>     aa = the first two digits
//   DIR/lock                               held while the store is open
//
// A blob's age is its file's modification time. Only one hub may use the directory, because a second one would sweep
// away blobs that it does not know.
#pragma once

#include <filesystem>
#include <memory>

#include "hub/packages/blobs.h"

namespace geres::hub::packages {

inline constexpr std::uint64_t kReserveBytes = std::uint64_t(256) << 20;

// Makes what is missing of `directory`. Uploads are refused while the disk has less than `reserve` free, so that the
// hub's own database can go on. Throws std::system_error (EBUSY) if another process has the directory open.
std::unique_ptr<Blobs> open_directory_blobs(const std::filesystem::path& directory, const Named& named,
                                            std::uint64_t reserve = kReserveBytes);

}  // namespace geres::hub::packages
