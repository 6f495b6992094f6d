// SPDX-License-Identifier: Apache-2.0
// What a machine needs to become a host, as one string: `geresj1.` and the base64url of a JSON object.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace geres::wire {

struct JoinString {
  std::string hub;     // its URL
  std::string ca_pin;  // what its certificates are known by; empty: nothing
  std::string id;      // of the join token
  std::string secret;
  bool operator==(const JoinString&) const = default;
};

std::string join_string(const JoinString& parts);
// An error (badValue) says what is wrong with it, and nothing that is in it.
Result<JoinString> parse_join_string(std::string_view text);

}  // namespace geres::wire
