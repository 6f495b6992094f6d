// SPDX-License-Identifier: Apache-2.0
// What a call to a hub can end in other than an answer: nobody there, a problem answer (RFC 9457), an answer that no
// hub would give, or the caller's own wish to stop.
#pragma once

#include <boost/system/result.hpp>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"

namespace geres::transport {

constexpr std::size_t kForeignBytesMax = 4'096;

struct Failure {
  enum class Kind {
    unreachable,  // nobody answered; error.message says what the network said
    problem,      // the hub answered with a problem; `status` and `error` are its own
    foreign,      // something answered, but not in a hub's form
    untrusted,    // TLS: not the server it should be
    stopped,      // the caller's own wish
  };
  Kind kind = Kind::problem;
  unsigned status = 0;  // HTTP; 0 when there was no answer
  Error error;
  json::value problem;      // the whole problem document; null if there was none
  bool maybe_done = false;  // a write whose answer was lost, so it is unknown whether it happened

  // About the last try.
  bool unseen = false;       // not a byte of the request went to the hub
  bool late = false;         // a time limit ended it
  unsigned status_line = 0;  // like `status`, but also set for an answer that broke off
  Millis retry_after = 0;    // as the answer asked, at most Options::retry_after_max
  std::string network;       // the network's full message, if the network failed
  // Of what answered, if it was no hub or broke off; for callers that speak to other servers. The body is what fits.
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // at most kForeignBytesMax
};

// What an answer says about sending the same call again.
enum class Verdict {
  good,
  passing,  // the call is fine and may soon succeed: everybody repeats it
  broken,   // the hub is in trouble: callers that have to get through repeat it, callers with a user waiting report it
  refused,  // the answer would be the same
};
Verdict verdict(unsigned status);

// The hub is away for now, or gave such an answer.
bool passing(const Failure& failure);

template <class T>
using Answer = boost::system::result<T, Failure>;

[[noreturn]] void throw_exception_from_error(const Failure& failure, const boost::source_location& where);

// Reads a problem document. For an answer without one, makes one up from the status.
Failure read_problem(unsigned status, const std::string& body);

// The code of that name; internal if it is unknown here (from a newer hub).
Code code_named(std::string_view name);

}  // namespace geres::transport
