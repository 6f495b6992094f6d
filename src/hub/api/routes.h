// SPDX-License-Identifier: Apache-2.0
// The whole API as one table.
#pragma once

#include <span>

#include "http/router.h"
#include "hub/api/handlers.h"

namespace geres::hub::api {

// Which callers a route accepts.
enum class Needs {
  nothing,  // open to all
  caller,   // whoever is known, hosts among them
  token,    // any valid token, whatever its roles
  viewer,   // this role or a higher one, as for the next three
  submitter,
  operator_,
  admin,
  registrar,  // the role host, or an operator
  host,       // the secret of the host that the path names
  download,   // a viewer, or a host for a lease it holds
};

struct Route {
  http::Method method;
  std::string_view pattern;
  Needs needs;
  Handle handle;
  bool legacy = false;  // errors as in GeRes2: any bad input is 400
  // The token may also be the query's access_token, because browsers can send no header with event streams and
  // WebSockets.
  bool token_in_query = false;
};

std::span<const Route> routes();

// The table as a router, surrounded by access checks, problem answers, figures and the access log. Web pages of
// `cors_origins` may call it from browsers. `api` must outlive the server.
http::Router make_router(Api& api, std::vector<std::string> cors_origins);

}  // namespace geres::hub::api
