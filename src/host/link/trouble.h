// SPDX-License-Identifier: Apache-2.0
// What went wrong between a member and its hub, for the log. If the hub answered, it named the call, so that its own
// log can be searched for it.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "host/link/hub_link.h"

namespace geres::host {

struct Trouble {
  std::string_view call;   // "registration", "fetch", "report"
  std::string error;       // one sentence
  int status = 0;          // of the hub's answer; 0: there was none
  std::string request_id;  // of the hub's answer; empty: it gave none
  std::string sentence() const { return std::string(call) + ": " + error; }
};

inline Trouble trouble_of(std::string_view call, const HubAnswer& answer) {
  return {call, answer.trouble, answer.status, answer.request_id};
}

inline Trouble makes_no_sense(std::string_view call, const HubAnswer& answer, const Error& why) {
  return {call, "the hub's answer makes no sense: " + why.message + " (" + why.field + ")", answer.status, {}};
}

}  // namespace geres::host
