// SPDX-License-Identifier: Apache-2.0
// Cross-origin resource sharing (the Fetch standard, 3.2) lets web pages of other origins call this server and read its
// answers. A browser asks first (a preflight: OPTIONS without credentials), then sends the call with its Origin. If the
// answer does not name that origin, the browser withholds it from the page.
#pragma once

#include <string>
#include <vector>

#include "http/router.h"

namespace geres::http {

struct Cors {
  std::vector<std::string> origins;  // exactly as browsers send them, see base/origin.h
  std::string methods;               // that pages may use: "GET, PUT"
  std::string headers;               // that pages may send, besides those that are always safe
  std::string exposed;               // of an answer that pages may read, besides those that are always safe
  Millis max_age = 7'200'000;        // how long a browser remembers the answer to a preflight
};

// Goes around all routes: answers preflights of these origins, and adds the headers that their browsers look for to
// every other answer, errors included. A call of another origin is answered as usual; it is the browser that withholds
// the answer.
Around share_with(Cors cors);

// Whether this request comes from a web page of an origin that is neither this server's own (its Host) nor one of
// these.
bool foreign_page(const Request& request, const std::vector<std::string>& origins);

}  // namespace geres::http
