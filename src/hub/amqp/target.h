// SPDX-License-Identifier: Apache-2.0
// The address that events are published to, as the operator gives it, and the checks that are possible without
// connecting.
#pragma once

#include <string>

#include "base/error.h"

namespace geres::hub::amqp {

// The values of the flags.
struct Access {
  std::string url;       // amqp[s]://host[:port]/ADDRESS
  std::string user;      // SASL PLAIN; empty: ANONYMOUS
  std::string password;  // never logged
  std::string ca_file;   // the authorities to trust over TLS; empty: the system's
};

struct Target {
  bool tls = false;
  std::string host;     // without brackets
  std::string port;     // "5672", with TLS "5671", unless given
  std::string address;  // everything after the host's '/', unchanged: a queue, a topic, "/exchange/events"

  std::string server() const;  // "amqps://host:5671", to connect to
  std::string text() const;    // the same with the address, for people
};

// badValue with the flag as its field: not an AMQP URL, a password in it, a user without a password, a password that
// would go unencrypted to another machine, a CA without TLS.
Result<Target> parse_target(const Access& access);

}  // namespace geres::hub::amqp
