// SPDX-License-Identifier: Apache-2.0
// A file in the making. It grows beside its final place under a short name of its own (the final name may already be as
// long as names can be), and appears in full or not at all. Everything here throws std::system_error that names the
// place.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"

namespace geres {

class NewFile {
 public:
  // Beside `place`, whose directory must exist.
  explicit NewFile(const std::filesystem::path& place);
  // To become `name` in this directory; `place` is what error messages say.
  NewFile(Fd directory, std::string name, std::filesystem::path place);
  ~NewFile();  // what was not placed is removed
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  int fd() const { return fd_.get(); }
  const std::filesystem::path& place() const { return place_; }
  void write(std::string_view bytes);
  void restart();  // forgets what was written

  enum class There { replace, refuse };  // if the name is taken; replacing a link replaces the link, not its target
  void put(There there = There::replace);

 private:
  [[noreturn]] void failed() const;

  Fd directory_, fd_;
  std::string name_, beside_;
  std::filesystem::path place_;
};

}  // namespace geres
