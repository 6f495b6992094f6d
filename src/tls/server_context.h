// SPDX-License-Identifier: Apache-2.0
// What a server shows to its clients: a certificate with its key, as files that somebody may replace at any time.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "tls/certificate.h"

typedef struct ssl_ctx_st SSL_CTX;

namespace geres::tls {

struct ServerFiles {
  std::filesystem::path certificate;  // PEM: the server's own first, then those that lead to its authority
  std::filesystem::path key;          // PEM, without a passphrase
  std::filesystem::path client_ca;  // authorities whose clients may show a certificate; empty: nobody is asked for one
};

struct ServerIdentity {
  std::shared_ptr<SSL_CTX> context;
  Certificate certificate;
};

// Whole and usable at `now` (wall clock), or what is wrong: unreadable, no pair, expired, not yet valid, weak. The
// error's field is "tls-cert", "tls-key" or "tls-client-ca".
Result<ServerIdentity> load_server_identity(const ServerFiles& files, Millis now);

// The identity that new connections get. Any thread. Connections keep the one that they began with.
class ServerContext {
 public:
  ServerContext(ServerFiles files, ServerIdentity identity);

  std::shared_ptr<SSL_CTX> current() const;
  Certificate certificate() const;

  // Reads the files again. All or nothing: after an error the old identity goes on.
  Result<void> reload(Millis now);
  // Whether one of the files is another than at the last load or reload, by inode, time and size.
  bool files_changed() const;

 private:
  std::string marks() const;
  const ServerFiles files_;
  mutable std::mutex mutex_;
  ServerIdentity identity_;
  std::string loaded_marks_;
};

}  // namespace geres::tls
