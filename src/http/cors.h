// SPDX-License-Identifier: Apache-2.0
// Cross-origin resource sharing (the Fetch standard, 3.2): lets web pages of other origins call this server and read
// its answers. A browser asks first (a preflight: OPTIONS without credentials), then sends the call with its Origin; it
// keeps an answer from the page that does not name that origin.
#pragma once

#include <string>
#include <vector>

#include "http/router.h"

namespace geres::http {

struct Cors {
  std::vector<std::string> origins;  // exactly as browsers send them; see base/origin.h
  std::string methods;               // that pages may use, "GET, PUT"
  std::string headers;               // that pages may send beside those that are always safe
  std::string exposed;               // that pages may read of an answer beside those that are always safe
  Millis max_age = 7'200'000;        // for which a browser remembers the answer to a preflight
};

// Around all routes: answers preflights of those origins itself, and adds what their browsers want to see to every
// other answer, errors too. Calls of other origins are answered as if there were none of this; it is their browsers
// that withhold the answer.
Around share_with(Cors cors);

// Does a web page make this request that is neither of this server's own origin (its Host) nor of these?
bool foreign_page(const Request& request, const std::vector<std::string>& origins);

}  // namespace geres::http
