// SPDX-License-Identifier: Apache-2.0
#include "hub/amqp/target.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "identity/auth_config.h"

namespace geres::hub::amqp {
namespace {

constexpr std::string_view kExample = "amqps://broker.example.com/events";
constexpr std::size_t kUrlMax = 2'048;

Error wrong(std::string message, std::string field = "url", std::string hint = std::string(kExample)) {
  return fail(Code::badValue, std::move(message), std::move(field), std::move(hint));
}

bool is_loopback(const std::string& host) {
  if (host == "localhost" || host == "::1") return true;
  in_addr address{};
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

// "host", "host:port", "[::1]:port".
Result<void> parse_place(std::string_view place, Target& target) {
  const auto end = place.starts_with('[') ? place.find(']') : std::string_view::npos;
  const auto colon = place.find(':', end == std::string_view::npos ? 0 : end);
  target.host = place.substr(0, colon);
  if (target.host.starts_with('[')) {
    in6_addr address{};
    if (!target.host.ends_with(']')) return wrong("the AMQP URL has a '[' without its ']'");
    target.host = target.host.substr(1, target.host.size() - 2);
    if (::inet_pton(AF_INET6, target.host.c_str(), &address) != 1)
      return wrong(fmt::format("'{}' in the AMQP URL is not an IPv6 address", target.host));
  }
  std::transform(target.host.begin(), target.host.end(), target.host.begin(), ::tolower);
  if (target.host.empty()) return wrong("the AMQP URL has no host");
  target.port = target.tls ? "5671" : "5672";
  if (colon == std::string_view::npos) return {};
  target.port = place.substr(colon + 1);
  const bool digits = !target.port.empty() && target.port.size() <= 5 &&
                      target.port.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || std::stoi(target.port) < 1 || std::stoi(target.port) > 65'535)
    return wrong(fmt::format("'{}' in the AMQP URL is not a port", target.port));
  return {};
}

Result<void> check_login(const Access& access, const Target& target) {
  if (access.user.empty() && !access.password.empty())
    return wrong("there is an AMQP password, but no user", "user", "NAME");
  if (!access.user.empty() && access.password.empty())
    return wrong("there is an AMQP user, but no password", "password",
                 "FILE, or GERES_AMQP_PASSWORD in the environment");
  if (!access.user.empty() && !target.tls && !is_loopback(target.host))
    return wrong(fmt::format("over amqp:// the password would travel to {} in the clear", target.host), "url",
                 "amqps:// instead of amqp://");
  if (!access.ca_file.empty() && !target.tls)
    return wrong("AMQP has a CA file, but its URL is not one of TLS", "ca_file", "amqps:// instead of amqp://");
  return {};
}

}  // namespace

std::string Target::server() const {
  const bool six = host.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", tls ? "amqps" : "amqp", six ? "[" : "", host, six ? "]" : "", port);
}

std::string Target::text() const {
  return fmt::format("{}/{}", server(), address);
}

Result<Target> parse_target(const Access& access) {
  // Error messages do not repeat a text that may contain a password.
  std::string_view rest = access.url;
  if (rest.size() > kUrlMax) return wrong(fmt::format("the AMQP URL has more than {} bytes", kUrlMax));
  if (std::any_of(rest.begin(), rest.end(), [](unsigned char c) { return c <= 0x20 || c == 0x7f; }))
    return wrong("the AMQP URL has a space or a control character");
  Target target;
  target.tls = rest.starts_with("amqps://");
  if (!target.tls && !rest.starts_with("amqp://")) return wrong("the AMQP URL does not begin with amqp:// or amqps://");
  rest.remove_prefix(target.tls ? 8 : 7);
  const auto slash = rest.find('/');
  const auto place = rest.substr(0, slash);
  if (place.find('@') != std::string_view::npos)
    return wrong("the AMQP URL has a user or a password, which everybody on this machine could read", "password",
                 "FILE instead, or GERES_AMQP_PASSWORD in the environment");
  if (auto parsed = parse_place(place, target); !parsed) return parsed.error();
  if (slash != std::string_view::npos) target.address = rest.substr(slash + 1);
  if (target.address.empty())
    return wrong("the AMQP URL names no address to send to", "url",
                 fmt::format("{}/ADDRESS: a queue's or a topic's name", target.server()));
  if (auto login = check_login(access, target); !login) return login.error();
  return target;
}

Result<void> check_tokens(const TokenAccess& tokens, const Access& access, const Target& target) {
  if (!tokens.wanted()) return {};
  const bool client = !tokens.issuer.empty() || !tokens.client_id.empty() || !tokens.client_secret.empty();
  if (!access.user.empty())
    return wrong("AMQP has a user and a token: a broker takes one of them", "user", "leave it out");
  if (client && !tokens.shared.name.empty())
    return wrong("AMQP has a shared access key and a client of an identity provider", "shared", "one of them");
  if (!target.tls && !is_loopback(target.host))
    return wrong(fmt::format("over amqp:// the token would travel to {} in the clear", target.host), "url",
                 "amqps:// instead of amqp://");
  if (!client) return {};
  if (tokens.issuer.empty())
    return wrong("it is not said which identity provider gives AMQP's tokens", "issuer",
                 "https://login.microsoftonline.com/TENANT-ID/v2.0");
  if (const auto why = identity::refused_url(tokens.issuer); !why.empty())
    return wrong(fmt::format("the issuer of AMQP's tokens, '{}', {}", tokens.issuer, why), "issuer",
                 "https://login.microsoftonline.com/TENANT-ID/v2.0");
  if (tokens.client_id.empty())
    return wrong("AMQP's tokens have an issuer, but no client", "client_id", "ID, of the application");
  if (tokens.client_secret.empty())
    return wrong("AMQP's tokens have a client, but no secret of it", "client_secret", "FILE, with the secret");
  if (tokens.scope.empty()) return wrong("AMQP's tokens need a scope", "scope", TokenAccess().scope);
  return {};
}

Result<SharedAccessKey> parse_shared_access_key(std::string_view text) {
  SharedAccessKey found;
  while (!text.empty()) {
    const auto end = text.find_first_of(";\r\n");
    const auto part = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const auto equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    const auto name = part.substr(0, equals), value = part.substr(equals + 1);
    if (name == "SharedAccessKeyName") found.name = value;
    if (name == "SharedAccessKey") found.key = value;
  }
  if (found.name.empty() || found.key.empty())
    return wrong(fmt::format("there is no {} in it", found.name.empty() ? "SharedAccessKeyName" : "SharedAccessKey"),
                 "shared", "Endpoint=sb://NAMESPACE/;SharedAccessKeyName=NAME;SharedAccessKey=KEY");
  return found;
}

}  // namespace geres::hub::amqp
