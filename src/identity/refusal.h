// SPDX-License-Identifier: Apache-2.0
// Why a token of an identity provider is not taken: an outcome to count, and an error for whoever sent it.
#pragma once

#include <boost/describe/class.hpp>
#include <boost/describe/enum.hpp>
#include <boost/describe/enum_to_string.hpp>
#include <boost/system/result.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace geres::identity {

enum class Outcome {
  good,
  malformed,  // no JWT, or one that nobody should make
  algorithm,
  kind,  // an ID token, one for Microsoft Graph, one of another `typ`
  issuer,
  audience,
  expired,
  times,  // absent, absurd, or still to come
  subject,
  key,  // the provider has none of that name, or one for something else
  signature,
  away,  // the provider's keys cannot be had
  no_role,
};
BOOST_DESCRIBE_ENUM(Outcome, good, malformed, algorithm, kind, issuer, audience, expired, times, subject, key,
                    signature, away, no_role)
constexpr std::size_t kOutcomes = std::size_t(Outcome::no_role) + 1;

std::string_view outcome_name(Outcome outcome);  // "noRole"

// One step from claims to rights: what of the configuration looked at which claim, and what came of it.
struct Because {
  std::string rule;  // a JSON pointer into the configuration
  std::string claim, value;
  std::string gave;  // "submitter", "tenant acme"; empty: nothing
};
BOOST_DESCRIBE_STRUCT(Because, (), (rule, claim, value, gave))

struct Refusal {
  Outcome outcome = Outcome::malformed;
  Error error;
  std::vector<Because> because = {};  // of no_role
};

template <class T>
using Checked = boost::system::result<T, Refusal>;

[[noreturn]] void throw_exception_from_error(const Refusal& refusal, const boost::source_location& where);

// The error's code follows from the outcome.
Refusal refuse(Outcome outcome, std::string message, std::string hint = {});

}  // namespace geres::identity
