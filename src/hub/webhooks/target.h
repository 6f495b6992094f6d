// SPDX-License-Identifier: Apache-2.0
// A webhook's URL as it is handed in: what can be said against it before anybody is called.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "hub/webhooks/addresses.h"

namespace geres::hub::webhooks {

struct Target {
  std::string host;    // lower case, without brackets
  std::string origin;  // "https://example.com:443"
};

// badValue, tooLarge: no http or https URL, with a user, or of a host that `rules` refuse by what it is called.
Result<Target> check_target(const std::string& url, const AddressRules& rules, std::string_view field);

}  // namespace geres::hub::webhooks
