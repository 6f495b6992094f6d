// SPDX-License-Identifier: Apache-2.0
// The address that events are published to, as the operator gives it, and the checks that are possible without
// connecting.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace geres::hub::amqp {

// The values of the flags.
struct Access {
  std::string url;       // amqp[s]://host[:port]/ADDRESS
  std::string user;      // SASL PLAIN; empty: ANONYMOUS
  std::string password;  // never logged
  std::string ca_file;   // the authorities to trust over TLS; empty: the system's
};

struct SharedAccessKey {  // of Azure
  std::string name, key;  // the key is never logged
};

// For brokers that take tokens instead of a login; see token.h. Of a client of an identity provider, or of a shared
// access key, or of nobody.
struct TokenAccess {
  std::string issuer;
  std::string client_id, client_secret;  // the secret is never logged
  std::string scope = "https://servicebus.azure.net/.default";
  SharedAccessKey shared;

  bool wanted() const {
    return !issuer.empty() || !client_id.empty() || !client_secret.empty() || !shared.name.empty();
  }
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

// badValue with the flag as its field: a user besides, half a client, both ways at once, an issuer that may not be
// asked, tokens that would go unencrypted to another machine.
Result<void> check_tokens(const TokenAccess& tokens, const Access& access, const Target& target);

// A connection string as Azure's portal shows it, of which the name and the key count:
// "Endpoint=sb://…;SharedAccessKeyName=hub;SharedAccessKey=…=". badValue without the text: it has a secret in it.
Result<SharedAccessKey> parse_shared_access_key(std::string_view text);

}  // namespace geres::hub::amqp
