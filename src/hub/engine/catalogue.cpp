// SPDX-License-Identifier: Apache-2.0
// Verbs that change one row each.
#include "hub/engine/catalogue.h"

#include <fmt/format.h>

#include <algorithm>

namespace geres::hub::engine {

// ---- tenants --------------------------------------------------------------------------------------------------------

Result<model::Tenant> Catalogue::put_tenant(const std::string& name, const TenantSettings& settings) {
  auto& row = lanes_.tenant(name).row;
  if (settings.weight) {
    // Of what it has had it keeps its place among the others.
    auto& account = lanes_.tenant(name).account;
    const double stands = virtual_time(account.spent(now_.monotonic), row.weight);
    row.weight = *settings.weight;
    account.set_spent(slot_time(stands, row.weight), now_.monotonic);
  }
  if (settings.max_running) row.max_running = *settings.max_running;
  state_.board.touch(lanes_.tenant(name));
  if (settings.max_queued) row.max_queued = *settings.max_queued;
  if (settings.max_memory_per_job) row.max_memory_per_job = *settings.max_memory_per_job;
  if (settings.keep_finished) row.keep_finished = *settings.keep_finished;
  if (settings.keep_failed) row.keep_failed = *settings.keep_failed;
  round_.newcomers = true;
  store_.changes().tenants.push_back(row);
  return row;
}

// ---- packages -------------------------------------------------------------------------------------------------------

Result<KeptPackage> Catalogue::put_package(const model::PackageVersion& package) {
  lanes_.tenant(package.tenant);
  auto& versions = state_.packages[{package.tenant, package.name}];
  if (!versions.empty() && versions.back().sha256 == package.sha256) return KeptPackage{versions.back(), true};
  auto row = package;
  row.version = versions.empty() ? 1 : versions.back().version + 1;
  row.created_at = now_.wall;
  // An older version pushed again becomes the newest; one row a digest.
  const auto same =
      std::find_if(versions.begin(), versions.end(), [&](const auto& v) { return v.sha256 == row.sha256; });
  if (same != versions.end()) versions.erase(same);
  versions.push_back(row);
  store_.changes().packages.push_back(row);
  return KeptPackage{std::move(row)};
}

Result<std::int64_t> Catalogue::delete_package(const std::string& owner, const std::string& name,
                                               const std::string& sha256) {
  const auto found = state_.packages.find({owner, name});
  std::vector<model::PackageVersion> doomed;
  if (found != state_.packages.end())
    for (const auto& version : found->second)
      if (sha256.empty() || version.sha256 == sha256) doomed.push_back(version);
  if (doomed.empty())
    return fail(Code::unknownPackage, fmt::format("tenant {} has no package '{}'{}", owner, name,
                                                  sha256.empty() ? "" : " with sha256 " + sha256));
  for (const auto& version : doomed)
    if (store_.read().package_in_use(owner, version.sha256))
      return fail(
          Code::packageInUse,
          fmt::format("version {} of {}/{} is needed by a job that has not ended", version.version, owner, name), {},
          "wait for its jobs, or cancel them");
  for (const auto& version : doomed) {
    store_.changes().packages_removed.push_back(version);
    std::erase_if(found->second, [&](const auto& v) { return v.sha256 == version.sha256; });
  }
  if (found->second.empty()) state_.packages.erase(found);
  return std::int64_t(doomed.size());
}

// ---- tokens ---------------------------------------------------------------------------------------------------------

Result<model::Token> Catalogue::create_token(const model::Token& token) {
  auto row = token;
  std::sort(row.tenants.begin(), row.tenants.end());
  row.tenants.erase(std::unique(row.tenants.begin(), row.tenants.end()), row.tenants.end());
  if (store_.read().token_named(row.name, row.tenants, now_.wall))
    return fail(Code::nameTaken, fmt::format("there is a token '{}' for the same tenants", row.name), "/name",
                "another name, or delete the token that is there first");
  row.id = ids_.next(now_.wall);
  row.created_at = now_.wall;
  store_.changes().tokens.push_back(row);
  return row;
}

Result<bool> Catalogue::delete_token(Uuid id) {
  store_.changes().tokens_removed.push_back(id);
  return true;
}

}  // namespace geres::hub::engine
