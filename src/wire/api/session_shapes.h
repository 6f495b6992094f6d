// SPDX-License-Identifier: Apache-2.0
// What /v1/session takes.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"

namespace geres::wire {

// POST /v1/session: one of the two
struct SignInShape {
  std::optional<std::string> token;
  std::optional<std::string> code;
};
BOOST_DESCRIBE_STRUCT(SignInShape, (), (token, code))

}  // namespace geres::wire
