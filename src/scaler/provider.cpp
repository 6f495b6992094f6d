// SPDX-License-Identifier: Apache-2.0
#include "scaler/provider.h"

#include <algorithm>
#include <stdexcept>

#include "scaler/command_provider.h"
#include "scaler/hub.h"
#include "scaler/local_provider.h"

namespace geres::scaler {

std::string_view why_name(Why why) {
  return boost::describe::enum_to_string(why, "unknown");
}

bool is_instance(std::string_view name) {
  return !name.empty() && name.size() <= 200 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

Result<std::unique_ptr<Provider>> make_provider(const Pool& pool, const Join& join) {
  if (pool.provider == "local") return LocalProvider::make(pool, join);
  if (pool.provider == "command") return CommandProvider::make(pool, join);
  return fail(Code::badValue, "'" + pool.provider + "' is no provider", "/name", "local or command");
}

void throw_exception_from_error(const Refusal& refusal, const boost::source_location&) {
  throw std::runtime_error(std::string(why_name(refusal.why)) + ": " + refusal.text);
}

void throw_exception_from_error(const HubTrouble& trouble, const boost::source_location&) {
  throw std::runtime_error(trouble.text);
}

}  // namespace geres::scaler
