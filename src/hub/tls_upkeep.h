// SPDX-License-Identifier: Apache-2.0
// The hub's certificate over time: taken from files or made by the hub's own authority, read again when it changes or
// somebody asks, renewed in time, and said to be running out.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/repeated.h"
#include "tls/authority.h"
#include "tls/server_context.h"

namespace geres::hub {

struct TlsOptions {
  tls::ServerFiles files;    // the operator's; no certificate: see self_signed
  bool self_signed = false;  // by an authority of the hub's own, in DATA/tls
};

class TlsUpkeep {
 public:
  // `names`: DNS names and addresses for a certificate of the hub's own. Throws CannotStart.
  TlsUpkeep(const TlsOptions& options, const std::filesystem::path& directory, std::vector<std::string> names,
            const Clock& clock);

  const std::shared_ptr<tls::ServerContext>& context() const { return context_; }
  // Of the hub's own authority; empty: there is none.
  std::string ca_pin() const { return authority_ ? authority_->pin() : std::string(); }

  void start(Millis look_every = 10'000);
  // Reads the files now, whether they look changed or not. Any thread; all or nothing.
  void reload();

 private:
  void look();
  void renew();
  void warn_in_time();

  const Clock& clock_;
  const std::vector<std::string> names_;
  std::optional<tls::Authority> authority_;
  std::shared_ptr<tls::ServerContext> context_;
  Millis warn_again_ = 0;
  Repeated looking_;
};

// All that clients may call this machine, for a certificate that is to be good for each: `listening` are the addresses.
std::vector<std::string> names_of_machine(const std::vector<std::string>& listening);

}  // namespace geres::hub
