// SPDX-License-Identifier: Apache-2.0
#include "cli/credentials.h"

#include <algorithm>
#include <sstream>
#include <system_error>

#include "base/file.h"

namespace geres::cli {
namespace {

struct Place {
  std::string_view scheme, host, port;
};

// The parts of a well-formed address; others match nothing.
Place place_of(std::string_view url) {
  const auto colons = url.find("://");
  if (colons == std::string_view::npos) return {};
  Place place;
  place.scheme = url.substr(0, colons);
  auto rest = url.substr(colons + 3);
  rest = rest.substr(0, rest.find_first_of("/?#"));
  if (rest.find('@') != std::string_view::npos) return {};
  const auto after_host = rest.starts_with('[') ? rest.find(']') : 0;
  if (after_host == std::string_view::npos) return {};
  const auto colon = rest.find(':', after_host);
  place.host = rest.substr(0, colon);
  place.port = colon == std::string_view::npos ? (place.scheme == "https" ? "443" : "80") : rest.substr(colon + 1);
  return place;
}

bool is_digits_and_dots(std::string_view text) {
  return text.find_first_not_of("0123456789.") == std::string_view::npos;
}

// By name or number; a name such as 127.evil.example may be anybody's.
bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "[::1]" || (host.starts_with("127.") && is_digits_and_dots(host));
}

bool is_every_address(std::string_view host) {
  return host == "0.0.0.0" || host == "[::]";
}

bool is_at(const Place& asked, const Place& own) {
  if (asked.scheme != own.scheme || asked.port != own.port) return false;
  return asked.host == own.host || (is_loopback(asked.host) && (is_loopback(own.host) || is_every_address(own.host)));
}

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::vector<std::string> lines;
  std::istringstream text(read_file_if(file).value_or(""));
  for (std::string line; std::getline(text, line);)
    if (!line.empty()) lines.push_back(line.substr(0, line.find('\r')));
  return lines;
}

std::string first_line(const std::filesystem::path& file) {
  const auto text = read_file_if(file).value_or("");
  return text.substr(0, text.find_first_of("\r\n"));
}

}  // namespace

bool LeftToken::belongs_to(std::string_view url) const {
  const auto asked = place_of(url);
  if (asked.host.empty()) return false;
  // A hub that left no address is most likely at the default place; any other port may be anybody's.
  if (hub.empty()) return asked.scheme == "http" && is_loopback(asked.host) && asked.port == "8080";
  return is_at(asked, place_of(hub)) ||
         std::any_of(also.begin(), also.end(), [&](const auto& other) { return is_at(asked, place_of(other)); });
}

LeftToken read_left_token(const std::filesystem::path& data) {
  LeftToken left{data / "admin.token", {}, {}, {}};
  try {
    left.token = first_line(left.file);
    left.also = lines_of(data / "admin.hub");
    if (!left.also.empty()) left.hub = left.also.front(), left.also.erase(left.also.begin());
  } catch (const std::system_error&) {
    left.token.clear();
  }
  return left;
}

}  // namespace geres::cli
