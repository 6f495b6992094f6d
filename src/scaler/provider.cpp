// SPDX-License-Identifier: Apache-2.0
#include "scaler/provider.h"

#include <algorithm>
#include <stdexcept>

#include "scaler/hub.h"

namespace geres::scaler {

std::string_view why_name(Why why) {
  return boost::describe::enum_to_string(why, "unknown");
}

bool is_instance(std::string_view name) {
  return !name.empty() && name.size() <= 200 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

void throw_exception_from_error(const Refusal& refusal, const boost::source_location&) {
  throw std::runtime_error(std::string(why_name(refusal.why)) + ": " + refusal.text);
}

void throw_exception_from_error(const HubTrouble& trouble, const boost::source_location&) {
  throw std::runtime_error(trouble.text);
}

}  // namespace geres::scaler
