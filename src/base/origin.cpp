// SPDX-License-Identifier: Apache-2.0
#include "base/origin.h"

#include <arpa/inet.h>

#include <charconv>
#include <string>

namespace geres {
namespace {

constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz", kDigits = "0123456789";

Error wrong(std::string why) {
  return fail(Code::badValue, std::move(why));
}

bool is_host(std::string_view host) {
  if (host.starts_with('[') && host.ends_with(']')) {
    unsigned char raw[16];
    return ::inet_pton(AF_INET6, std::string(host.substr(1, host.size() - 2)).c_str(), raw) == 1;
  }
  const std::string known = std::string(kLower) + std::string(kDigits) + "-.";
  return !host.empty() && host.size() <= 253 && host.front() != '.' && host.find("..") == std::string_view::npos &&
         host.find_first_not_of(known) == std::string_view::npos;
}

}  // namespace

Result<void> check_origin(std::string_view text) {
  if (text == "*") return wrong("a page of any origin may not call with a token: name each origin");
  const bool secure = text.starts_with("https://");
  if (!secure && !text.starts_with("http://")) return wrong("it does not begin with https:// or http://");
  auto host = text.substr(secure ? 8 : 7);
  if (const auto slash = host.find_first_of("/?#@"); slash != std::string_view::npos)
    return wrong("an origin is scheme, host and port alone, without '" + std::string(host.substr(slash)) + "'");
  const auto colon = host.rfind(':');
  if (colon != std::string_view::npos && !host.ends_with(']')) {
    const auto digits = host.substr(colon + 1);
    host = host.substr(0, colon);
    unsigned port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    const bool number = error == std::errc() && end == digits.data() + digits.size() && !digits.starts_with('0');
    if (!number || port > 65'535) return wrong("'" + std::string(digits) + "' is not a port");
    if (port == (secure ? 443 : 80))
      return wrong("browsers leave out the scheme's own port: without ':" + std::string(digits) + "'");
  }
  if (!is_host(host))
    return wrong("'" + std::string(host) +
                 "' is not a host as browsers send it: lower case, no wildcard, other letters as punycode");
  return {};
}

std::string hub_address(std::string_view text) {
  const auto authority = text.substr(0, text.find('/'));
  const auto colon = authority.rfind(':');
  const bool host_and_port = colon != std::string_view::npos && colon > 0 && colon + 1 < authority.size() &&
                             authority.find_first_not_of("0123456789", colon + 1) == std::string_view::npos;
  return (host_and_port ? "http://" : "") + std::string(text);
}

bool names_server(std::string_view url) {
  const bool secure = url.starts_with("https://");
  if (!secure && !url.starts_with("http://")) return false;
  auto server = url.substr(secure ? 8 : 7);
  server = server.substr(0, server.find_first_of("/?#"));
  server.remove_prefix(server.rfind('@') + 1);  // a name and password; where there are none, npos + 1 is 0
  const bool number = server.starts_with('[');
  const auto end = number ? server.find(']') : server.find(':');
  if (number && end == std::string_view::npos) return false;
  const auto host = server.substr(0, number ? end + 1 : end);
  const auto rest = server.substr(host.size());
  if (host.empty() || (number && !is_host(host)) || (!number && host.find_first_of(" []") != std::string_view::npos))
    return false;
  unsigned port = 0;
  const auto [after, error] = std::from_chars(rest.data() + !rest.empty(), rest.data() + rest.size(), port);
  return rest.empty() || (rest.front() == ':' && error == std::errc() && after == rest.data() + rest.size() &&
                          port > 0 && port <= 65'535);
}

}  // namespace geres
