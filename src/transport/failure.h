// SPDX-License-Identifier: Apache-2.0
// What can come of a call to a hub when it is not an answer: nobody there, a problem answer (RFC 9457), an answer that
// is none of ours, or the caller's own wish to stop.
#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"

namespace geres::transport {

struct Failure {
  enum class Kind {
    unreachable,  // nobody answered; error.message says what the network said
    problem,      // the hub answered with a problem; `status` and `error` are its own
    foreign,      // something answered, but no GeRes hub: not our shape
    untrusted,    // TLS: not the server it should be
    stopped,      // the caller's own wish
  };
  Kind kind = Kind::problem;
  unsigned status = 0;  // HTTP; 0 when there was no answer
  Error error;
  json::value problem;      // the whole problem document; null if there was none
  bool maybe_done = false;  // a write whose answer was lost: it is not known whether it happened

  // Of the last try.
  bool unseen = false;       // not a byte of the request went to the hub
  bool late = false;         // a time limit ended it
  unsigned status_line = 0;  // `status`, but also of an answer that broke off
  Millis retry_after = 0;    // asked for by the answer, at most Options::retry_after_max
  std::string network;       // the network's words in full, if it was the network
};

// What an answer says about the same call made once more.
enum class Verdict {
  good,
  passing,  // nothing is wrong with the call, and soon it may do: everybody makes it again
  broken,   // the hub is in trouble: who must get through makes it again, who has somebody waiting tells it
  refused,  // the answer would be the same
};
Verdict verdict(unsigned status);

// Nobody there for now, or such an answer.
bool passing(const Failure& failure);

template <class T>
using Answer = boost::system::result<T, Failure>;

[[noreturn]] void throw_exception_from_error(const Failure& failure, const boost::source_location& where);

// Reads a problem document, or makes one up from the status for an answer that has none.
Failure read_problem(unsigned status, const std::string& body);

// The code of that name; internal if it is not known here (a newer hub's).
Code code_named(std::string_view name);

}  // namespace geres::transport
