// SPDX-License-Identifier: Apache-2.0
// Where events are published to, as the operator gives it, and what can be said against it before anything is tried.
#pragma once

#include <string>

#include "base/error.h"

namespace geres::hub::amqp {

// As given: the flags' values.
struct Access {
  std::string url;       // amqp[s]://host[:port]/ADDRESS
  std::string user;      // SASL PLAIN; empty: ANONYMOUS
  std::string password;  // never logged
  std::string ca_file;   // who is trusted over TLS; empty: whom the system trusts
};

struct Target {
  bool tls = false;
  std::string host;     // without brackets
  std::string port;     // "5672", with TLS "5671", unless given
  std::string address;  // the rest behind the host's '/', as it stands: a queue, a topic, "/exchange/events"

  std::string server() const;  // "amqps://host:5671", to be connected to
  std::string text() const;    // the same with the address, for people
};

// badValue with the flag as its field: no such URL, a password in it, a user without a password, a password that would
// travel in the clear to another machine, a CA without TLS.
Result<Target> parse_target(const Access& access);

}  // namespace geres::hub::amqp
