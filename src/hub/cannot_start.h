// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace geres::hub {

// What keeps a hub from starting, in a sentence for people. `option`: whose value is at fault, as HubOptions names it
// ("webhook_allow", "amqp.access.user"); empty: none's. `hint`: a value that would be right, where that is known.
class CannotStart : public std::runtime_error {
 public:
  CannotStart(std::string option, const std::string& what, std::string hint = {})
      : std::runtime_error(what), option(std::move(option)), hint(std::move(hint)) {}
  const std::string option, hint;
};

}  // namespace geres::hub
