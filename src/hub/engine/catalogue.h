// SPDX-License-Identifier: Apache-2.0
// Tenants, packages and tokens: what jobs and their owners refer to.
#pragma once

#include "hub/engine/lanes.h"

namespace geres::hub::engine {

class Catalogue {
 public:
  Catalogue(Round& round, Lanes& lanes)
      : round_(round), state_(round.state), store_(round.store), ids_(round.ids), now_(round.now), lanes_(lanes) {}

  Result<model::Tenant> put_tenant(const std::string& tenant, const TenantSettings& settings);
  Result<KeptPackage> put_package(const model::PackageVersion& package);
  Result<std::int64_t> delete_package(const std::string& tenant, const std::string& name, const std::string& sha256);
  Result<model::Token> create_token(const model::Token& token);
  Result<bool> delete_token(Uuid id);

 private:
  Round& round_;
  State& state_;
  BufferedStore& store_;
  IdSource& ids_;
  const Now& now_;
  Lanes& lanes_;
};

}  // namespace geres::hub::engine
