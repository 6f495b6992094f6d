// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace geres::model {

// What a host must offer. All labels must be equal on the host.
struct Requirements {
  int slots = 1;
  std::int64_t memory = 0;  // bytes
  std::map<std::string, std::string> labels;
  auto operator<=>(const Requirements&) const = default;
};

}  // namespace geres::model
