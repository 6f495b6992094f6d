// SPDX-License-Identifier: Apache-2.0
// Readable names of packages in an object store, as GeRes2 had them: jobprocessorfiles/<tenant>/<package>.zip
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace geres::hub::packages {

struct PackageName {
  std::string tenant, package;
  auto operator<=>(const PackageName&) const = default;
};

// A pattern such as "{tenant}/{package}.zip", with both words once, each in a segment of its own.
class Layout {
 public:
  // Splits "KIND:CONTAINER[/PREFIX]/PATTERN[?option=value…]" where the first segment with a brace begins. `badValue`
  // if that is not what it is.
  struct Placed;
  [[nodiscard]] static Result<Placed> parse(std::string_view text);

  // nullopt: the object has another shape, or names that cannot be.
  [[nodiscard]] std::optional<PackageName> match(std::string_view key) const;
  [[nodiscard]] std::string object_of(const PackageName& name) const;

 private:
  std::string pattern_;
};

struct Layout::Placed {
  std::string place;  // as objects::open_object_store takes it
  Layout layout;
};

}  // namespace geres::hub::packages
