// SPDX-License-Identifier: Apache-2.0
// Which addresses a webhook may reach. The tenant names the address, but the hub makes the call, from inside the
// network. So addresses of this machine or of private networks are refused unless the operator allows them. The check
// is made with the address that is about to be connected to, so that no name, redirect or later change gets around it.
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
std::optional<Address> address_of(const sockaddr* address);   // nullopt: a family that we do not call

class AddressRules {
 public:
  AddressRules() = default;
  // What the operator allows: "10.0.0.0/8", "fd00::/8", "127.0.0.1", or a host's name, whatever its address is.
  // badValue.
  static Result<AddressRules> allowing(const std::vector<std::string>& allowed);

  // Empty: it may be called; else the kind of address ("a private address"). `host`: as in the URL, in lower case.
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
