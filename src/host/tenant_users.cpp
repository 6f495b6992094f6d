// SPDX-License-Identifier: Apache-2.0
#include "host/tenant_users.h"

#include <pwd.h>

#include <algorithm>
#include <stdexcept>

#include "base/file.h"
#include "base/json.h"

namespace geres::host {

void TenantUsers::load() {
  const auto text = read_file_if(file_);
  if (!text) return;
  auto users = json::read_text<std::map<std::string, std::uint32_t>>(*text);
  if (!users) throw std::runtime_error(file_.string() + " is broken: " + users.error().message);
  users_ = std::move(*users);
}

Result<JobUser> TenantUsers::user_of(const std::string& tenant) {
  if (const auto known = users_.find(tenant); known != users_.end()) return JobUser{known->second, known->second};
  const auto taken = [&](std::uint32_t uid) {
    return std::any_of(users_.begin(), users_.end(), [&](const auto& user) { return user.second == uid; }) ||
           ::getpwuid(uid) != nullptr;
  };
  std::uint32_t uid = first_;
  while (uid - first_ < count_ && taken(uid)) ++uid;
  if (uid - first_ >= count_) return fail(Code::tooMany, "no user is left for tenant '" + tenant + "' on this host");
  auto users = users_;
  users.emplace(tenant, uid);
  replace_file(file_, json::write_text(users), 0600);
  users_ = std::move(users);
  return JobUser{uid, uid};
}

}  // namespace geres::host
