// SPDX-License-Identifier: Apache-2.0
// A file in the making: it grows beside its place under a short name of its own (the place's name may be as long as
// names can be), and is there in full or not at all. All throw std::system_error that names the place.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/file.h"

namespace geres {

class NewFile {
 public:
  // Beside `place`, whose directory must be there.
  explicit NewFile(const std::filesystem::path& place);
  // To be `name` in this directory; `place` is what messages say.
  NewFile(Fd directory, std::string name, std::filesystem::path place);
  ~NewFile();  // what was not placed is removed
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  int fd() const { return fd_.get(); }
  const std::filesystem::path& place() const { return place_; }
  void write(std::string_view bytes);
  void restart();  // as if nothing had been written

  enum class There { replace, refuse };  // what to do with a file that has the name; a link goes, not what it names
  void put(There there = There::replace);

 private:
  [[noreturn]] void failed() const;

  Fd directory_, fd_;
  std::string name_, beside_;
  std::filesystem::path place_;
};

}  // namespace geres
