// SPDX-License-Identifier: Apache-2.0
// The one way through an archive: every check, then each entry to a visitor.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

namespace geres::package {

struct Limits;

// What is done with the entries. Names are checked ones; parents may come after their children or not at all.
class Visitor {
 public:
  virtual ~Visitor() = default;
  virtual void directory(const std::string& name) = 0;
  virtual void begin_file(const std::string& name, bool executable) = 0;
  virtual void data(std::string_view bytes) = 0;
  virtual void end_file() = 0;
};

// `badPackage` for all that is wrong with the archive; the visitor may have seen a part by then.
Result<void> walk(const std::filesystem::path& zip, const Limits& limits, Visitor& visitor);

}  // namespace geres::package
