// SPDX-License-Identifier: Apache-2.0
// Which names a file in a package may have, and the set of those taken, so that no two entries meet on the disk.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"

namespace geres::package {

struct Limits;

// "bin/run.sh" as it stands in an archive. A leading "./" and a trailing "/" are dropped; the result may be empty then
// (the root itself). Everything that could leave the directory or upset a terminal is `badPackage`.
Result<std::string> checked_name(std::string_view raw, const Limits& limits);

std::vector<std::string_view> segments_of(std::string_view name);

// A name for people to read in an error: control and non-UTF-8 bytes replaced, cut at 120 bytes.
// What to do about symbolic links, which a package has none of: a Python venv, node_modules/.bin, a library's soname.
inline constexpr std::string_view kNoLinksHint =
    "push a copy with the files that the links lead to: cp -rL DIRECTORY COPY (zip does so by itself)";

std::string shown(std::string_view name);

// Grows with the archive; bounded by Limits::entries and names_bytes.
class NameSet {
 public:
  explicit NameSet(const Limits& limits) : limits_(limits) {}
  // `name` is a checked one. Refuses what is there already, in whatever case, and a file used as a directory.
  Result<void> add_file(std::string_view name);
  Result<void> add_directory(std::string_view name);

 private:
  struct Taken {
    std::string spelling;
    bool directory = false;
    bool listed = false;  // by an entry of its own, not only as somebody's parent
  };
  Result<void> add_parents(std::string_view name);
  Result<void> count(std::size_t bytes);

  const Limits& limits_;
  std::unordered_map<std::string, Taken> taken_;  // by folded name
  std::uint64_t bytes_ = 0;
};

}  // namespace geres::package
