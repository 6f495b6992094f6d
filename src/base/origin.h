// SPDX-License-Identifier: Apache-2.0
// Origins of web pages as browsers send them in the header Origin (RFC 6454, 6.1).
//
//   origin = ("http" | "https") "://" host [":" port]     "https://app.example", "http://[::1]:8080"
//
// A host is of lower-case letters, digits, "-" and "." (other letters as punycode), or an IPv6 address in brackets. A
// port is 1 to 65535, but not the scheme's own (80, 443): browsers leave that out.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace geres {

// Nothing if a browser could send exactly this text; else badValue, whose message says why not. Browsers compare
// origins byte by byte, so what is nearly right would never fit.
Result<void> check_origin(std::string_view text);

// A hub's address as people write it: host and port without a scheme ("localhost:8080") are http://. All else stays as
// it is; one word alone is more likely a slip.
std::string hub_address(std::string_view text);

// Whether a URL says where to connect to: http or https, a host, and a port where it has one.
bool names_server(std::string_view url);

}  // namespace geres
