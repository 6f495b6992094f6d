// SPDX-License-Identifier: Apache-2.0
// What /v1/session and /v1/auth take.
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

// POST /v1/auth/test
struct TestTokenShape {
  static constexpr std::string_view kRequired[] = {"token"};
  std::string token;
};
BOOST_DESCRIBE_STRUCT(TestTokenShape, (), (token))

}  // namespace geres::wire
