// SPDX-License-Identifier: Apache-2.0
#include "http/cors.h"

#include <algorithm>
#include <cctype>

namespace geres::http {
namespace {

// The origin is always named, never "*", because pages may send cookies and client certificates along, as SignalR's
// client asks for.
void name_origin(Response& response, std::string_view origin) {
  response.headers.emplace_back("Access-Control-Allow-Origin", origin);
  response.headers.emplace_back("Access-Control-Allow-Credentials", "true");
}

Response answer_preflight(const Cors& cors, std::string_view origin) {
  Response response;
  response.status = 204;
  name_origin(response, origin);
  response.headers.emplace_back("Access-Control-Allow-Methods", cors.methods);
  response.headers.emplace_back("Access-Control-Allow-Headers", cors.headers);
  response.headers.emplace_back("Access-Control-Max-Age", std::to_string(cors.max_age / 1'000));
  return response;
}

awaitable<Response> serve(const Cors& cors, Request& request, const Handler& next) {
  const auto origin = request.headers.get("Origin");
  const bool ours = origin && std::find(cors.origins.begin(), cors.origins.end(), *origin) != cors.origins.end();
  Response response;
  if (ours && request.method == Method::options && request.headers.get("Access-Control-Request-Method")) {
    response = answer_preflight(cors, *origin);
  } else {
    response = co_await next(request);
    if (ours) {
      name_origin(response, *origin);
      response.headers.emplace_back("Access-Control-Expose-Headers", cors.exposed);
    }
  }
  response.headers.emplace_back("Vary", "Origin");  // for caches, since another origin gets another answer
  co_return response;
}

}  // namespace

bool foreign_page(const Request& request, const std::vector<std::string>& origins) {
  const auto origin = request.headers.get("Origin");
  if (!origin || std::find(origins.begin(), origins.end(), *origin) != origins.end()) return false;
  const auto scheme = origin->find("://");
  if (scheme == std::string_view::npos) return true;  // the origin "null": a file or a sandboxed frame
  const auto host = request.headers.get("Host").value_or("");
  const auto page = origin->substr(scheme + 3);
  if (request.tls && origin->substr(0, scheme) == "http") return true;  // anybody on the way may have written that page
  const auto same = [](char a, char b) { return std::tolower(std::uint8_t(a)) == std::tolower(std::uint8_t(b)); };
  return !std::equal(page.begin(), page.end(), host.begin(), host.end(), same);
}

Around share_with(Cors cors) {
  auto shared = std::make_shared<const Cors>(std::move(cors));
  return [shared](Request& request, const Handler& next) { return serve(*shared, request, next); };
}

}  // namespace geres::http
