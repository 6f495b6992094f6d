// SPDX-License-Identifier: Apache-2.0
#include "objects/address.h"

#include <arpa/inet.h>

namespace geres::objects {

// An address, not a name that begins like one: "127.0.0.1.example" is anybody's.
bool on_loopback(std::string_view url) {
  if (const auto scheme = url.find("://"); scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  const auto authority = url.substr(0, url.find_first_of("/?#"));
  if (authority.find('@') != std::string_view::npos) return false;
  if (authority.starts_with("[::1]")) return true;
  const std::string host(authority.substr(0, authority.find(':')));
  in_addr address{};
  return host == "localhost" || (host.starts_with("127.") && ::inet_pton(AF_INET, host.c_str(), &address) == 1);
}

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

}  // namespace geres::objects
