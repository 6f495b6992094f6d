// SPDX-License-Identifier: Apache-2.0
// Origins of web pages as browsers send them in the header Origin (RFC 6454, 6.1).
//
//   origin = ("http" | "https") "://" host [":" port]     "https://app.example", "http://[::1]:8080"
//
// A host consists of lower-case letters, digits, "-" and "." (other letters as punycode), or is an IPv6 address in
// brackets. A port is 1 to 65535, but not the scheme's own (80, 443), because browsers leave that out.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace geres {

// An error (badValue, saying why) unless a browser could send exactly this text. Browsers compare origins byte by byte,
// so one that is nearly right would never match.
Result<void> check_origin(std::string_view text);

// A hub's address as people write it: host and port without a scheme ("localhost:8080") become http://. Everything else
// stays as it is; a single word is more likely a slip.
std::string hub_address(std::string_view text);

// Whether a URL says where to connect: http or https, a host, and a valid port if it has one.
bool names_server(std::string_view url);

}  // namespace geres
