// SPDX-License-Identifier: Apache-2.0
#include "hub/webhooks/addresses.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>

namespace geres::hub::webhooks {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_v4(const Address& address) {
  return std::equal(kMapped.begin(), kMapped.end(), address.begin());
}

Address mapped(const std::uint8_t* v4) {
  Address address{};
  std::copy(kMapped.begin(), kMapped.end(), address.begin());
  std::copy(v4, v4 + 4, address.begin() + 12);
  return address;
}

bool within(const Address& address, const Address& first, unsigned bits) {
  const unsigned bytes = bits / 8;
  if (!std::equal(first.begin(), first.begin() + bytes, address.begin())) return false;
  if (bits % 8 == 0) return true;
  const auto mask = std::uint8_t(0xff << (8 - bits % 8));
  return (address[bytes] & mask) == (first[bytes] & mask);
}

struct Special {
  const char* network;
  unsigned bits;
  const char* what;
};

// From IANA's registries of special addresses (RFC 6890 and its successors).
constexpr Special kSpecial4[] = {
    {"0.0.0.0", 8, "an address of this machine"},
    {"10.0.0.0", 8, "a private address"},
    {"100.64.0.0", 10, "a provider's private address"},
    {"127.0.0.0", 8, "a loopback address"},
    {"169.254.0.0", 16, "a link-local address"},
    {"172.16.0.0", 12, "a private address"},
    {"192.0.0.0", 24, "a reserved address"},
    {"192.0.2.0", 24, "a reserved address"},
    {"192.88.99.0", 24, "a reserved address"},
    {"192.168.0.0", 16, "a private address"},
    {"198.18.0.0", 15, "a private address"},
    {"198.51.100.0", 24, "a reserved address"},
    {"203.0.113.0", 24, "a reserved address"},
    {"224.0.0.0", 4, "a multicast address"},
    {"240.0.0.0", 4, "a reserved address"},
};

// Outside of 2000::/3 nothing is public. Inside of it, these are not public, or contain an IPv4 address that may not
// be.
constexpr Special kSpecial6[] = {
    {"2001::", 23, "a reserved address"},  // Teredo, ORCHID and others
    {"2001:db8::", 32, "a reserved address"},
    {"2002::", 16, "an address that carries another"},  // 6to4
    {"3fff::", 20, "a reserved address"},
};

std::string special(const Address& address) {
  if (is_v4(address)) {
    for (const auto& one : kSpecial4)
      if (within(address, *parse_address(one.network), 96 + one.bits)) return one.what;
    return {};
  }
  static const Address kLoopback = *parse_address("::1");
  if (address == kLoopback) return "a loopback address";
  if (within(address, *parse_address("fe80::"), 10)) return "a link-local address";
  if (within(address, *parse_address("fc00::"), 7)) return "a private address";
  if (within(address, *parse_address("ff00::"), 8)) return "a multicast address";
  if (within(address, *parse_address("64:ff9b::"), 32)) return "an address that carries another";  // NAT64
  if (!within(address, *parse_address("2000::"), 3)) return "a reserved address";
  for (const auto& one : kSpecial6)
    if (within(address, *parse_address(one.network), one.bits)) return one.what;
  return {};
}

bool of_this_machine(const Address& address) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return false;
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, ::freeifaddrs);
  for (const auto* one = list; one != nullptr; one = one->ifa_next)
    if (one->ifa_addr != nullptr && address_of(one->ifa_addr) == address) return true;
  return false;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  const std::string word(text);
  std::uint8_t bytes[16];
  if (::inet_pton(AF_INET, word.c_str(), bytes) == 1) return mapped(bytes);
  if (::inet_pton(AF_INET6, word.c_str(), bytes) != 1) return std::nullopt;
  Address address;
  std::copy(bytes, bytes + 16, address.begin());
  return address;
}

std::optional<Address> address_of(const sockaddr* from) {
  if (from->sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, from, sizeof v4);
    std::uint8_t bytes[4];
    std::memcpy(bytes, &v4.sin_addr, 4);
    return mapped(bytes);
  }
  if (from->sa_family != AF_INET6) return std::nullopt;
  sockaddr_in6 v6;
  std::memcpy(&v6, from, sizeof v6);
  Address address;
  std::memcpy(address.data(), &v6.sin6_addr, 16);
  return address;
}

bool AddressRules::Network::has(const Address& address) const {
  return within(address, first, bits);
}

Result<AddressRules> AddressRules::allowing(const std::vector<std::string>& allowed) {
  AddressRules rules;
  for (const auto& word : allowed) {
    const auto wrong = [&](const std::string& why) {
      return fail(Code::badValue, fmt::format("'{}' {}", word, why), {},
                  "10.0.0.0/8, fd00::/8, 127.0.0.1 or a host's name");
    };
    const auto slash = word.find('/');
    const auto address = parse_address(word.substr(0, slash));
    if (address) {
      const unsigned most = word.find(':') == std::string::npos ? 32 : 128;
      unsigned bits = most;
      if (slash != std::string::npos) {
        const char* end = word.data() + word.size();
        const auto [stop, trouble] = std::from_chars(word.data() + slash + 1, end, bits);
        if (trouble != std::errc() || stop != end || bits > most) return wrong("is not a network");
      }
      rules.networks_.push_back({*address, most == 32 ? bits + 96 : bits});
      continue;
    }
    const bool a_name =
        !word.empty() && slash == std::string::npos && std::all_of(word.begin(), word.end(), [](unsigned char c) {
          return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
        });
    if (!a_name) return wrong("is neither a network nor a host's name");
    std::string host = word;
    for (auto& c : host) c = char(std::tolower(static_cast<unsigned char>(c)));
    rules.hosts_.push_back(host);
  }
  return rules;
}

bool AddressRules::allows_host(std::string_view host) const {
  return std::find(hosts_.begin(), hosts_.end(), host) != hosts_.end();
}

std::string AddressRules::refused(const Address& address, std::string_view host) const {
  if (allows_host(host)) return {};
  for (const auto& network : networks_)
    if (network.has(address)) return {};
  if (auto what = special(address); !what.empty()) return what;
  return of_this_machine(address) ? "an address of this machine" : std::string();
}

}  // namespace geres::hub::webhooks
