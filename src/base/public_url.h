// SPDX-License-Identifier: Apache-2.0
// Where browsers find a hub: perhaps through a proxy, under another name, below a path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace geres {

struct PublicUrl {
  std::string origin;                 // "https://app.example"; empty: not known
  std::vector<std::string> segments;  // of its path
  bool secure() const { return origin.starts_with("https://"); }
  std::string base() const;  // "/", "/ops/geres/"
};

// "https://app.example/ops/geres/", with or without the last slash. An error (badValue) says what is wrong with it.
Result<PublicUrl> parse_public_url(std::string_view text);

}  // namespace geres
