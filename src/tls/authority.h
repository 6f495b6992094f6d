// SPDX-License-Identifier: Apache-2.0
// A hub's own authority: for those who have no certificate, the hub signs one for itself and renews it in time. Clients
// trust it by the authority's certificate or by the pin of its key, both of which last ten years.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "tls/server_context.h"

namespace geres::tls {

class Authority {
 public:
  // In `directory`, which is made with its authority (ca.pem, ca.key) if absent. Throws std::system_error if that
  // cannot be; an Error if what is there is broken.
  static Result<Authority> open(const std::filesystem::path& directory, Millis now);

  const std::string& pin() const { return pin_; }
  std::filesystem::path certificate_file() const { return directory_ / "ca.pem"; }

  // The server's certificate and key (server.pem, server.key), for these DNS names and addresses; made anew if absent,
  // for other names, or past two thirds of its 90 days. The error is a broken authority.
  Result<ServerFiles> server_files(const std::vector<std::string>& names, Millis now) const;

 private:
  Authority(std::filesystem::path directory, std::string pin);
  std::filesystem::path directory_;
  std::string pin_;
};

}  // namespace geres::tls
