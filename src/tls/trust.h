// SPDX-License-Identifier: Apache-2.0
// How a client decides whether a server is the one that it means, and says why not.
//
// By the system's authorities, by a file of authorities, or by the pin of one key: then the chain must lead to the
// certificate with that key, which may be the server's own. In all cases the certificate must be for the name that was
// called, and valid today. There is no way around that.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "tls/certificate.h"

typedef struct ssl_ctx_st SSL_CTX;
typedef struct x509_store_ctx_st X509_STORE_CTX;

namespace geres::tls {

struct Trust {
  std::filesystem::path ca_file;  // PEM; empty: see pin
  std::string pin;                // used without ca_file; empty: the system's authorities
  // What the client shows of itself to a server that asks, PEM; empty: nothing. Read anew for each connection.
  std::filesystem::path certificate, key;
};

// What was given, else what GERES_CA and GERES_CA_PIN say.
Trust or_environment(Trust given);

// What is wrong with it (field "ca", "ca-pin", "cert" or "key"), as far as it can be known without a server.
Result<void> check_trust(const Trust& trust);

// Looks at what one server shows, in one handshake. Must outlive the handshake.
class ServerCheck {
 public:
  explicit ServerCheck(std::string pin) : pin_(std::move(pin)) {}
  ServerCheck(const ServerCheck&) = delete;
  ServerCheck& operator=(const ServerCheck&) = delete;

  // Once `context` has the authorities to trust.
  void watch(SSL_CTX* context);

  // Why the server at `host` was not trusted: what was expected, what came, and what to do about it. nullopt: it showed
  // no certificate.
  std::optional<Error> refusal(const std::string& host) const;

 private:
  static int verify(X509_STORE_CTX* chain, void* self);
  bool leads_to_pin(X509_STORE_CTX* chain);

  const std::string pin_;
  std::vector<Certificate> shown_;  // the server's own first
  int trouble_ = 0;                 // X509_V_ERR_…
  bool pin_seen_ = false;
};

}  // namespace geres::tls
