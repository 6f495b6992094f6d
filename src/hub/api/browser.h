// SPDX-License-Identifier: Apache-2.0
// Calls that a browser makes for somebody who has signed in. Browsers send a cookie along with whatever any page asks
// of a server, so it counts only for calls that the hub's own page makes: those say so in headers that no page can set.
#pragma once

#include <string>

#include "hub/api/call.h"

namespace geres::hub::api {

enum class From { own_page, foreign_page, unsaid };
From made_by(const PublicUrl& own, const http::Request& request);

// The peer, without its port.
std::string address_of(const http::Request& request);

// Set-Cookie, in the answer to `request`; of no secret: removes it.
std::string session_cookie(const PublicUrl& own, const http::Request& request, std::string_view secret);

// The same for other cookies of the hub's own; of no value: removes it.
std::string own_cookie(const PublicUrl& own, const http::Request& request, std::string_view name,
                       std::string_view value, Millis max_age, bool for_scripts = false);
std::vector<std::string_view> own_cookies(const PublicUrl& own, const http::Request& request, std::string_view name);

// Who has signed in; nullptr: no cookie was sent. foreignOrigin: it does not count for this call. unauthenticated: it
// is over.
Result<std::shared_ptr<const Identity>> signed_in(Api& api, const http::Request& request);

}  // namespace geres::hub::api
