// SPDX-License-Identifier: Apache-2.0
#include "client/failures.h"

#include <boost/json/serialize.hpp>

namespace geres::client {
namespace {

std::string whole_sentence(const Error::Details& details) {
  std::string text = details.message;
  if (!details.field.empty()) text += " (" + details.field + ")";
  if (!details.code.empty()) text += " [" + details.code + "]";
  if (!details.hint.empty()) text += "; " + details.hint;
  return text;
}

Error::Details details_of(const Failure& failure) {
  Error::Details details;
  details.message = failure.error.message;
  details.code = std::string(error_name(failure.error.code));
  details.status = int(failure.status);
  details.field = failure.error.field;
  details.hint = failure.error.hint;
  details.maybe_done = failure.maybe_done;
  if (!failure.problem.is_object()) return details;
  const auto& problem = failure.problem.get_object();
  details.problem = boost::json::serialize(problem);
  // A newer hub's code is not in our enum, but its name is kept.
  if (const auto* code = problem.if_contains("code"); code != nullptr && code->is_string())
    details.code = std::string(code->get_string());
  if (const auto* known = problem.if_contains("known"); known != nullptr && known->is_array())
    for (const auto& one : known->get_array())
      if (one.is_string()) details.known.emplace_back(one.get_string());
  return details;
}

template <class E>
std::exception_ptr make(Error::Details details) {
  return std::make_exception_ptr(E(std::move(details)));
}

std::exception_ptr of_status(Error::Details details) {
  switch (details.status) {
    case 401:
      return make<Unauthorized>(std::move(details));
    case 403:
      return make<Forbidden>(std::move(details));
    case 404:
    case 410:
      return make<NotFound>(std::move(details));
    case 409:
      return make<Conflict>(std::move(details));
    case 429:
    case 507:
      return make<Limited>(std::move(details));
    case 408:
    case 502:
    case 503:
    case 504:
      return make<Unavailable>(std::move(details));
    default:
      break;
  }
  if (details.status >= 500) return make<HubFailed>(std::move(details));
  return make<Refused>(std::move(details));
}

}  // namespace

Error::Error(Details details)
    : std::runtime_error(whole_sentence(details)), details_(std::make_shared<const Details>(std::move(details))) {}
Error::~Error() = default;
Error::Error(const Error&) noexcept = default;
Error& Error::operator=(const Error&) noexcept = default;
const std::string& Error::message() const noexcept {
  return details_->message;
}
const std::string& Error::code() const noexcept {
  return details_->code;
}
int Error::status() const noexcept {
  return details_->status;
}
const std::string& Error::field() const noexcept {
  return details_->field;
}
const std::string& Error::hint() const noexcept {
  return details_->hint;
}
const std::vector<std::string>& Error::known() const noexcept {
  return details_->known;
}
const std::string& Error::problem() const noexcept {
  return details_->problem;
}
bool Error::maybe_done() const noexcept {
  return details_->maybe_done;
}

// Defined here and not inline, so that all libraries of a program share one type and catching works across them.
Refused::~Refused() = default;
Unauthorized::~Unauthorized() = default;
Forbidden::~Forbidden() = default;
NotFound::~NotFound() = default;
Conflict::~Conflict() = default;
Limited::~Limited() = default;
Unavailable::~Unavailable() = default;
Untrusted::~Untrusted() = default;
Foreign::~Foreign() = default;
HubFailed::~HubFailed() = default;
Stopped::~Stopped() = default;

std::exception_ptr exception_of(const Failure& failure) {
  auto details = details_of(failure);
  switch (failure.kind) {
    case Failure::Kind::stopped:
      details.code = "stopped";
      return make<Stopped>(std::move(details));
    case Failure::Kind::untrusted:
      details.code = "untrusted";
      return make<Untrusted>(std::move(details));
    case Failure::Kind::unreachable:
      details.code = "unreachable";
      return make<Unavailable>(std::move(details));
    case Failure::Kind::foreign:
      // Such an answer may come from a proxy in front of the hub.
      if (details.status >= 502 && details.status <= 504) return of_status(std::move(details));
      details.code = "foreign";
      return make<Foreign>(std::move(details));
    case Failure::Kind::problem:
      break;
  }
  return of_status(std::move(details));
}

Failure stopped_failure() {
  return Failure{Failure::Kind::stopped, 0, fail(Code::unavailable, "the call was ended by its caller"), nullptr};
}

Failure foreign_failure(unsigned status, const std::string& what) {
  return Failure{Failure::Kind::foreign, status,
                 fail(Code::internal, "the answer is not what a GeRes hub says: " + what), nullptr};
}

Failure refused_failure(Code code, std::string message, std::string field, std::string hint) {
  return Failure{Failure::Kind::problem, 0, fail(code, std::move(message), std::move(field), std::move(hint)), nullptr};
}

}  // namespace geres::client
