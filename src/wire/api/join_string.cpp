// SPDX-License-Identifier: Apache-2.0
#include "wire/api/join_string.h"

#include <algorithm>
#include <boost/describe/class.hpp>
#include <optional>

#include "base/base64.h"
#include "base/public_url.h"

namespace geres::wire {
namespace {

constexpr std::string_view kPrefix = "geresj1.";
constexpr std::size_t kLengthMax = 4'096;

struct Shape {
  static constexpr std::string_view kRequired[] = {"hub", "id", "secret"};
  std::string hub;
  std::optional<std::string> caPin;
  std::string id;
  std::string secret;
};
BOOST_DESCRIBE_STRUCT(Shape, (), (hub, caPin, id, secret))

// RFC 4648, section 5, without padding.
std::string to_base64url(std::string_view bytes) {
  auto text = to_base64(bytes);
  while (!text.empty() && text.back() == '=') text.pop_back();
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

std::optional<std::string> from_base64url(std::string text) {
  if (text.find_first_of("+/=") != std::string::npos) return std::nullopt;
  std::replace(text.begin(), text.end(), '-', '+');
  std::replace(text.begin(), text.end(), '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  return from_base64(text);
}

Error garbled(const std::string& why) {
  return fail(Code::badValue, "this is not a join string: " + why, {},
              "all of what 'geres hosts invite' printed, from geresj1. to its end");
}

}  // namespace

std::string join_string(const JoinString& parts) {
  Shape shape{parts.hub, std::nullopt, parts.id, parts.secret};
  if (!parts.ca_pin.empty()) shape.caPin = parts.ca_pin;
  return std::string(kPrefix) + to_base64url(json::write_text(shape));
}

Result<JoinString> parse_join_string(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  if (text.starts_with("geresj") && !text.starts_with(kPrefix))
    return garbled("it begins with " + std::string(text.substr(0, text.find('.')).substr(0, 12)) +
                   ", which a newer geres may know");
  if (!text.starts_with(kPrefix)) return garbled("it does not begin with geresj1.");
  if (text.size() > kLengthMax) return garbled("it is too long");
  const auto bytes = from_base64url(std::string(text.substr(kPrefix.size())));
  if (!bytes) return garbled("some of it is missing or was changed");
  const auto shape = json::read_text<Shape>(*bytes, json::Unknown::ignored);
  if (!shape) return garbled("some of it is missing or was changed");
  if (!parse_public_url(shape->hub)) return garbled("its hub is no http:// or https:// URL");
  if (shape->id.empty() || shape->secret.empty()) return garbled("it has no token");
  return JoinString{shape->hub, shape->caPin.value_or(""), shape->id, shape->secret};
}

}  // namespace geres::wire
