// SPDX-License-Identifier: Apache-2.0
// A server's address in the parts that a signature covers.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace geres::objects {

struct Endpoint {
  std::string scheme;     // "http", "https"
  std::string authority;  // as clients send it in the header Host: in lower case, without the scheme's own port

  std::string url() const { return scheme + "://" + authority; }
};

// `badValue` for what is no address of a server alone, and for http:// to another machine unless `plaintext`.
[[nodiscard]] Result<Endpoint> read_endpoint(std::string_view text, bool plaintext);

// "amazonaws.com", or China's.
std::string aws_domain(std::string_view region);

}  // namespace geres::objects
