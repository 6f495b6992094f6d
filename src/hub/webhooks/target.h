// SPDX-License-Identifier: Apache-2.0
// A webhook's URL as submitted, and the checks that are possible without calling it.
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

// badValue, tooLarge: not an http or https URL, with a user in it, or naming a host that `rules` refuse.
Result<Target> check_target(const std::string& url, const AddressRules& rules, std::string_view field);

}  // namespace geres::hub::webhooks
