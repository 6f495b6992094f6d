// SPDX-License-Identifier: Apache-2.0
#include "base/public_url.h"

#include <algorithm>
#include <array>

#include "base/origin.h"

namespace geres {
namespace {

Error wrong(std::string message) {
  return fail(Code::badValue, std::move(message), {}, "https://app.example or https://app.example/ops/geres/");
}

bool plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-_.~").find(c) != std::string_view::npos;
}

// Names that the hub's own paths begin with: nobody could tell whether a proxy has taken the prefix off.
bool taken(std::string_view segment) {
  constexpr std::array<std::string_view, 9> kOurs{"v1",      "auth",   "assets",       "api",   "hubs",
                                                  "metrics", "errors", "openapi.yaml", "readyz"};
  return std::find(kOurs.begin(), kOurs.end(), segment) != kOurs.end();
}

}  // namespace

std::string PublicUrl::base() const {
  std::string path = "/";
  for (const auto& segment : segments) path += segment + "/";
  return path;
}

Result<PublicUrl> parse_public_url(std::string_view text) {
  PublicUrl url;
  const auto scheme = text.find("://");
  const auto path = scheme == std::string_view::npos ? scheme : text.find('/', scheme + 3);
  url.origin = text.substr(0, path);
  if (const auto ok = check_origin(url.origin); !ok) return wrong(ok.error().message);
  auto rest = path == std::string_view::npos ? std::string_view() : text.substr(path + 1);
  if (rest.find_first_of("?#") != std::string_view::npos) return wrong("a query or fragment has no place in it");
  while (!rest.empty()) {
    const auto segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(segment.size() + 1, rest.size()));
    if (segment.empty() || segment == "." || segment == ".." || !std::all_of(segment.begin(), segment.end(), plain))
      return wrong("its path has a segment that is not made of letters, digits, '-', '_', '.' and '~'");
    if (url.segments.empty() && taken(segment))
      return wrong("its path begins with '" + std::string(segment) + "', as some of the hub's own do");
    url.segments.emplace_back(segment);
  }
  return url;
}

}  // namespace geres
