// SPDX-License-Identifier: Apache-2.0
// A directory of the user's that files of a job are put into. Their paths come from the job: none leads out of the
// directory, be it by name or through a link, and none takes the place of what the user has there, unless told so.
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
    std::string path;        // as the hub tells it
    std::string sha256;      // empty: not known
    std::int64_t size = -1;  // likewise
  };
  // Looks, changing nothing. `same`: that file, with that content, is there already. Throws Trouble if it cannot lie
  // there at all: the path leads out, or something that is no directory, or is a link, is in its way.
  enum class There { nothing, same, other };
  There look(const Wanted& file) const;

  // A file to be written and put at `path`, with the directories above it made.
  std::unique_ptr<NewFile> begin(const std::string& path) const;

 private:
  std::filesystem::path directory_;
  Fd root_;
};

}  // namespace geres::cli
