// SPDX-License-Identifier: Apache-2.0
// Packages as ZIP files: made, looked into, and unpacked so that a hostile one does no harm.
//
// inspect() and unpack() refuse exactly the same archives, since both walk it through the same checks: anything but
// plain files and directories; names that leave the directory, name one thing twice (in any case), are not UTF-8 or
// have control characters or backslashes; encryption; compression other than deflate; headers that contradict each
// other; data before, behind or between that belongs to nothing; wrong checksums; more than the limits allow. Counted
// is what really comes out, not what is announced.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "package/manifest.h"

namespace geres::package {

struct Limits {
  std::uint64_t bytes = std::uint64_t(4) << 30;  // unpacked, all files together
  std::uint64_t entries = 100'000;
  std::uint64_t names_bytes = 16 << 20;  // all names together: they are held in memory
  std::size_t depth = 32;                // segments of one name
  std::size_t name_bytes = 4'096;
  std::size_t segment_bytes = 255;
  std::uint64_t ratio = 200;            // unpacked to packed …
  std::uint64_t ratio_from = 10 << 20;  // … beyond this size
};

// Trouble with the archive is `badPackage` (or a manifest's error), naming the entry; trouble with the disk is an
// exception. Any thread.

// Reads the whole archive, writes nothing, and says what it can run.
Result<Contents> inspect(const std::filesystem::path& zip, const Limits& limits = {});

// Makes `directory`, which must be absent, and fills it; files are 0755 or 0644. Whatever goes wrong, `directory` is
// absent again afterwards. Nothing is synced.
Result<void> unpack(const std::filesystem::path& zip, const std::filesystem::path& directory,
                    const Limits& limits = {});

struct PackSummary {
  std::vector<std::string> files;  // sorted
  std::uint64_t bytes = 0;         // of the files
  std::uint64_t zip_bytes = 0;
  std::string sha256;  // of the ZIP
};

// Packs a directory with all in it. The same tree gives the same bytes: names sorted, no times, only the executable bit
// of the modes. Links and special files are refused, and so is all that unpack would refuse. `zip` is replaced; it is
// absent or the old one after a failure.
Result<PackSummary> pack(const std::filesystem::path& directory, const std::filesystem::path& zip,
                         const Limits& limits = {});

// One file to be packed: `content` if given, else what is in `file` (its executable bit goes along).
struct Item {
  std::string name;  // in the package, "bin/run.sh"
  std::filesystem::path file;
  std::optional<std::string> content;
};
Result<PackSummary> pack_items(std::vector<Item> items, const std::filesystem::path& zip, const Limits& limits = {});

}  // namespace geres::package
