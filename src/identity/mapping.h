// SPDX-License-Identifier: Apache-2.0
// From claims to roles and tenants, and why. Claims that nobody mapped give nothing.
#pragma once

#include <string>
#include <vector>

#include "base/uuid.h"
#include "identity/auth_config.h"
#include "identity/refusal.h"

namespace geres::identity {

struct Mapped {
  std::vector<model::Role> roles;  // the highest first
  std::vector<std::string> tenants;
  bool all_tenants = false;
  std::vector<Because> because;

  bool same_rights(const Mapped& other) const;
};

// `provider` is one of the configuration's.
Mapped map_claims(const AuthConfig& config, const ProviderConfig& provider, const json::object& claims);
// noRole unless it may do something.
Checked<void> check_mapped(const Mapped& mapped);

// Whose token it is. A subject never changes and is unique at its provider.
struct Subject {
  std::string subject;  // "TID/OID" at Microsoft Entra ID, else `sub`
  std::string client;   // the application that got the token
  bool application = false;
  Uuid id{};         // for what is counted by caller; follows from provider and subject
  std::string name;  // for people: "entra:ann@example.com#1f3a9c2e", unique because its end follows from the subject
};
Subject subject_of(const ProviderConfig& provider, const json::object& claims);

const json::value* claim_at(const json::object& claims, const ClaimPath& path);

}  // namespace geres::identity
