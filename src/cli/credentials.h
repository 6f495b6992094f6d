// SPDX-License-Identifier: Apache-2.0
// The token that `geres up` and `geres hub` leave for their own user. It is sent only to the hub that it belongs to,
// whose address is stored beside it: a command that names another hub must also be given a token.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace geres::cli {

struct LeftToken {
  std::filesystem::path file;     // where the token is, or would be
  std::string token;              // empty: there is none, or it cannot be read
  std::string hub;                // the address of its hub; empty if a hub before 0.2 left none
  std::vector<std::string> also;  // further addresses of it
  bool belongs_to(std::string_view url) const;
  std::string owner() const { return hub.empty() ? "another hub" : hub; }
};

// Never fails: what cannot be read counts as absent.
LeftToken read_left_token(const std::filesystem::path& data);

}  // namespace geres::cli
