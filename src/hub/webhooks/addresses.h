// SPDX-License-Identifier: Apache-2.0
// Which addresses a webhook may reach. A tenant names the address, but the hub makes the call, from inside: so what
// lies inside the machine or a private network is refused unless the operator allows it. Asked with the very address
// that a connection is about to be made to, so that no name, redirect or change in between gets around it.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace geres::hub::webhooks {

// An IPv6 address, or an IPv4 one in its mapped form.
using Address = std::array<std::uint8_t, 16>;
std::optional<Address> parse_address(std::string_view text);  // "10.0.0.1", "fd00::1"
std::optional<Address> address_of(const sockaddr* address);   // nullopt: of no family that we call

class AddressRules {
 public:
  AddressRules() = default;
  // What the operator allows: "10.0.0.0/8", "fd00::/8", "127.0.0.1", or a host's name, whatever its address. badValue.
  static Result<AddressRules> allowing(const std::vector<std::string>& allowed);

  // Empty: it may be called; else what it is ("a private address"). `host`: as the URL names it, lower case.
  std::string refused(const Address& address, std::string_view host) const;
  bool allows_host(std::string_view host) const;

 private:
  struct Network {
    Address first{};
    unsigned bits = 0;
    bool has(const Address& address) const;
  };
  std::vector<Network> networks_;
  std::vector<std::string> hosts_;
};

}  // namespace geres::hub::webhooks
