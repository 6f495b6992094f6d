// SPDX-License-Identifier: Apache-2.0
// A directory of the user's that a job's files are put into. The paths come from the job, so none may lead out of the
// directory, by name or through a link, and none may replace a file of the user's unless the user says so.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/new_file.h"

namespace geres::cli {

class OutputDirectory {
 public:
  // Makes it if it is absent. Throws Trouble if it cannot be written.
  explicit OutputDirectory(std::filesystem::path directory);

  struct Wanted {
    std::string path;        // as the hub names it
    std::string sha256;      // empty: not known
    std::int64_t size = -1;  // likewise
  };
  // Looks without changing anything. `same`: this file, with this content, is already there. Throws Trouble if it
  // cannot be put there: the path leads out, or something in its way is a link or not a directory.
  enum class There { nothing, same, other };
  There look(const Wanted& file) const;

  // A file to be written and then moved to `path`; makes the directories above it.
  std::unique_ptr<NewFile> begin(const std::string& path) const;

 private:
  std::filesystem::path directory_;
  Fd root_;
};

}  // namespace geres::cli
