// SPDX-License-Identifier: Apache-2.0
#include "identity/refusal.h"

#include <stdexcept>

namespace geres::identity {

std::string_view outcome_name(Outcome outcome) {
  if (outcome == Outcome::no_role) return "noRole";
  return boost::describe::enum_to_string(outcome, "?");
}

void throw_exception_from_error(const Refusal& refusal, const boost::source_location&) {
  throw std::runtime_error(std::string(outcome_name(refusal.outcome)) + ": " + refusal.error.message);
}

Refusal refuse(Outcome outcome, std::string message, std::string hint) {
  const auto code = outcome == Outcome::expired   ? Code::tokenExpired
                    : outcome == Outcome::away    ? Code::identityProviderAway
                    : outcome == Outcome::no_role ? Code::noRole
                                                  : Code::unauthenticated;
  return {outcome, fail(code, std::move(message), {}, std::move(hint))};
}

}  // namespace geres::identity
