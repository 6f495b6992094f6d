// SPDX-License-Identifier: Apache-2.0
// A first look at a ZIP, before any library sees it: its end record, its central directory, and each local header,
// which must agree. What passes is bounded in entries and announced bytes, has no hidden, doubled or overlapping parts,
// and means the same to every reader.
//
//   file    = 1*( local header, name, extra, data [descriptor] ) 1*central [zip64 end, zip64 locator] end
//   central = "PK\1\2" … flags at 8, method 10, packed 20, size 24, name 28, extra 30, comment 32, local offset 42
//   local   = "PK\3\4" … flags at 6, method 8, name 26, extra 28          all numbers little-endian
//   end     = "PK\5\6" … entries at 10, directory size 12, directory offset 16, comment 20
#pragma once

#include <cstdint>

#include "base/error.h"

namespace geres::package {

struct Limits;

struct Directory {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  // announced, all entries
};

// `fd` is an open regular file of `file_size` bytes. All trouble is `badPackage`; a failing read is an exception.
Result<Directory> check_zip_directory(int fd, std::uint64_t file_size, const Limits& limits);

}  // namespace geres::package
