// SPDX-License-Identifier: Apache-2.0
#include "transport/failure.h"

#include <stdexcept>

namespace geres::transport {
namespace {

std::string member(const json::object& from, std::string_view name) {
  const auto* v = from.if_contains(name);
  return v != nullptr && v->is_string() ? std::string(v->get_string()) : std::string();
}

Code code_of_status(unsigned status) {
  switch (status) {
    case 401:
      return Code::unauthenticated;
    case 403:
      return Code::forbidden;
    case 404:
      return Code::notFound;
    case 405:
      return Code::methodNotAllowed;
    case 409:
      return Code::conflict;
    case 413:
      return Code::tooLarge;
    case 429:
      return Code::tooManyRequests;
    case 503:
      return Code::unavailable;
    case 507:
      return Code::storageFull;
    default:
      return status >= 500 ? Code::internal : Code::badRequest;
  }
}

}  // namespace

void throw_exception_from_error(const Failure& failure, const boost::source_location&) {
  throw std::runtime_error(std::string(error_name(failure.error.code)) + ": " + failure.error.message);
}

Verdict verdict(unsigned status) {
  switch (status) {
    case 408:
    case 429:
    case 502:  // this and 504: a proxy that cannot reach the hub
    case 503:
    case 504:
      return Verdict::passing;
    default:
      if (status >= 500) return Verdict::broken;
      return status >= 200 && status < 300 ? Verdict::good : Verdict::refused;
  }
}

bool passing(const Failure& failure) {
  if (failure.kind == Failure::Kind::unreachable) return failure.error.code == Code::unavailable;
  return verdict(failure.status) == Verdict::passing;
}

Code code_named(std::string_view name) {
  for (int i = 0; i < int(Code::internal); ++i)
    if (error_name(Code(i)) == name) return Code(i);
  return Code::internal;
}

Failure read_problem(unsigned status, const std::string& body) {
  auto document = json::parse(body);
  if (!document || !document->is_object() || !document->get_object().contains("code")) {
    Failure failure{Failure::Kind::foreign, status, {}, nullptr};
    failure.error = fail(code_of_status(status),
                         "the answer was HTTP " + std::to_string(status) + " without a reason that GeRes would give");
    if (document && document->is_object()) failure.problem = *document;
    return failure;
  }
  const auto& object = document->get_object();
  Failure failure{Failure::Kind::problem, status, {}, *document};
  failure.error.code = code_named(member(object, "code"));
  failure.error.message = member(object, "detail");
  if (failure.error.message.empty()) failure.error.message = member(object, "title");
  failure.error.field = member(object, "field");
  failure.error.hint = member(object, "hint");
  return failure;
}

}  // namespace geres::transport
