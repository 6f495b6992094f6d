// SPDX-License-Identifier: Apache-2.0
// What a certificate (X.509) says, as data.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

typedef struct x509_st X509;

namespace geres::tls {

struct Certificate {
  std::string subject, issuer;     // "CN=hub.example,O=Example"
  std::string common_name;         // the last one of the subject; empty: it has none
  std::vector<std::string> names;  // the DNS names and addresses that it is for; a common name counts for nothing
  std::vector<std::string> uris;   // "geres://host/NAME" of a host's
  Millis from = 0, until = 0;      // wall clock
  std::string pin;                 // of its key, see is_pin()
};

Certificate describe(X509* certificate);

// Of which host this is the certificate: the NAME of "geres://host/NAME" among its URIs, else its common name. Empty:
// of none.
std::string host_named(const Certificate& certificate);

// "sha256:" and 64 lower-case hex digits: the SHA-256 of a certificate's SubjectPublicKeyInfo, as in RFC 7469.
bool is_pin(std::string_view text);

// All certificates of a file in PEM, in its order, at least one.
Result<std::vector<Certificate>> read_certificates(const std::filesystem::path& file);

std::string day_of(Millis wall);                            // "2027-02-28"
std::string listed(const std::vector<std::string>& names);  // "a, b and 3 more"; "no name" if there is none

}  // namespace geres::tls
