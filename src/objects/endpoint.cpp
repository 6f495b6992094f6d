// SPDX-License-Identifier: Apache-2.0
#include "objects/endpoint.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/origin.h"

namespace geres::objects {
namespace {

bool loopback(std::string_view authority) {
  const auto host = authority.starts_with('[') ? authority.substr(0, authority.find(']') + 1)
                                               : authority.substr(0, authority.find(':'));
  const bool numbers = std::all_of(host.begin(), host.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
  return host == "localhost" || host == "[::1]" || (numbers && host.starts_with("127."));
}

}  // namespace

Result<Endpoint> read_endpoint(std::string_view text, bool plaintext) {
  const auto shown = text.substr(0, text.find_first_of("@?"));
  const auto wrong = [&](const std::string& why) {
    return fail(Code::badValue, fmt::format("'{}' is not the address of a server: {}", shown, why), "--blobs",
                "https://HOST[:PORT]");
  };
  const auto end = text.find("://");
  if (end == std::string_view::npos) return wrong("it begins with neither https:// nor http://");
  Endpoint endpoint{std::string(text.substr(0, end)), std::string(text.substr(end + 3))};
  auto& authority = endpoint.authority;
  while (authority.ends_with('/')) authority.pop_back();
  if (authority.find_first_of("/?#@") != std::string::npos) return wrong("something stands beside host and port");
  std::transform(authority.begin(), authority.end(), authority.begin(),
                 [](unsigned char c) { return char(std::tolower(c)); });
  const std::string own_port = endpoint.scheme == "https" ? ":443" : ":80";
  if (authority.ends_with(own_port)) authority.resize(authority.size() - own_port.size());
  if (!check_origin(endpoint.url())) return wrong("its host or port cannot be read");
  if (endpoint.scheme == "http" && !plaintext && !loopback(authority))
    return fail(Code::badValue, fmt::format("'{}' would send everything in plain text over the network", shown),
                "--blobs", "use https://, or say plaintext=yes if nobody can listen there");
  return endpoint;
}

std::string aws_domain(std::string_view region) {
  return region.starts_with("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
}

}  // namespace geres::objects
