// SPDX-License-Identifier: Apache-2.0
// The token that `geres up` and `geres hub` leave for their own user. It is sent to the hub that it belongs to, whose
// address stands beside it, and to no other: whoever names another hub must name a token too.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace geres::cli {

struct LeftToken {
  std::filesystem::path file;  // where it is, or would be
  std::string token;           // empty: there is none that may be read
  std::string hub;             // whose it is; empty where a hub before 0.2 left no address
  bool belongs_to(std::string_view url) const;
  std::string owner() const { return hub.empty() ? "another hub" : hub; }
};

// Never fails: what cannot be read is not there.
LeftToken read_left_token(const std::filesystem::path& data);

}  // namespace geres::cli
