// SPDX-License-Identifier: Apache-2.0
// Which user of the machine a tenant's jobs run as (isolation "user"): drawn once per tenant from a range that nobody
// else should use, and kept in DATA/uids.json, so that a user never serves two tenants.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "base/error.h"
#include "host/workspace.h"

namespace geres::host {

// The loop's thread.
class TenantUsers {
 public:
  TenantUsers(std::filesystem::path file, std::uint32_t first, std::uint32_t count)
      : file_(std::move(file)), first_(first), count_(count) {}

  void load();  // throws when the file cannot be read or is broken: guessing could give a user to two tenants
  // Drawn and on disk when it returns. tooMany: the range is used up.
  Result<JobUser> user_of(const std::string& tenant);

 private:
  std::filesystem::path file_;
  std::uint32_t first_, count_;
  std::map<std::string, std::uint32_t> users_;
};

}  // namespace geres::host
