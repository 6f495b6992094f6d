// SPDX-License-Identifier: Apache-2.0
// /v1/packages: ZIPs by tenant and name; every version is kept under its digest.
#include <fmt/format.h>

#include <algorithm>

#include "hub/api/handlers.h"
#include "hub/api/query.h"
#include "hub/api/scaler_json.h"
#include "hub/api/small_list.h"
#include "hub/api/transfer.h"
#include "model/names.h"
#include "package/archive.h"
#include "wire/api/things.h"

namespace geres::hub::api {
namespace {

Error no_such_package(const std::string& tenant, const std::string& name) {
  return fail(Code::unknownPackage, fmt::format("tenant '{}' has no package '{}'", tenant, name));
}

// The version that `sha256` or `version` names, else the newest.
std::optional<model::PackageVersion> pick(const std::vector<model::PackageVersion>& packages, const std::string& tenant,
                                          const std::string& name, const std::string& sha256,
                                          std::optional<std::int64_t> version) {
  std::optional<model::PackageVersion> best;
  for (const auto& package : packages) {
    if (package.tenant != tenant || package.name != name) continue;
    if (!sha256.empty() && package.sha256 != sha256) continue;
    if (version && package.version != *version) continue;
    if (!best || package.version > best->version) best = package;
  }
  return best;
}

awaitable<Result<model::PackageVersion>> find_here(Call& call) {
  const auto& query = call.request.query;
  const auto version = number_parameter(query, "version", 1, 1'000'000'000);
  if (!version) co_return version.error();
  auto read = [&] { return call.api.reads.packages(); };
  const auto packages = co_await blocking(call, read);
  const auto& tenant = call.capture("tenant");
  const auto& name = call.capture("name");
  auto found = pick(packages, tenant, name, text_parameter(query, "sha256"), *version);
  if (!found) co_return no_such_package(tenant, name);
  co_return std::move(*found);
}

}  // namespace

awaitable<Answered> put_package(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"sha256"}); !ok) co_return ok.error();
  const auto& tenant = call.capture("tenant");
  const auto& name = call.capture("name");
  if (auto ok = model::check_name(tenant, "tenant name", ""); !ok) co_return ok.error();
  if (auto ok = model::check_name(name, "package name", ""); !ok) co_return ok.error();
  if (auto ok = co_await may_write(call, tenant); !ok) co_return ok.error();

  auto upload = co_await receive(call, tenant, call.api.limits.package_bytes);
  if (!upload) co_return upload.error();
  auto look_inside = [&] { return package::inspect((*upload)->file()); };
  const auto contents = co_await blocking(call, look_inside);
  if (!contents) co_return contents.error();
  const std::string expected = text_parameter(call.request.query, "sha256");
  const auto blob = co_await commit(call, **upload, expected);
  if (!blob) co_return blob.error();

  model::PackageVersion version;
  version.tenant = tenant;
  version.name = name;
  version.sha256 = blob->sha256;
  version.size = std::int64_t(blob->size);
  version.types = contents->types;
  version.open = contents->open;
  version.created_at = call.api.clock.wall();
  engine::PutPackage verb{std::move(version)};
  const auto kept = co_await ask_engine(call, std::move(verb));
  if (!kept) co_return kept.error();
  co_return json_response(kept->was_there ? 200 : 201, wire::package_json(kept->version));
}

awaitable<Answered> get_package(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"sha256", "version", "lease"}); !ok) co_return ok.error();
  const auto& tenant = call.capture("tenant");
  const auto& name = call.capture("name");
  if (!may_download(call, tenant)) co_return no_such_package(tenant, name);
  const auto found = co_await find_here(call);
  if (!found) co_return found.error();
  const std::string file_name = name + ".zip";
  auto response = co_await send_blob(call, tenant, found->sha256, file_name);
  if (response) response->headers.emplace_back("Geres-Package-Version", std::to_string(found->version));
  co_return response;
}

awaitable<Answered> delete_package(Call& call) {
  if (auto ok = only_parameters(call.request.query, {"sha256", "version"}); !ok) co_return ok.error();
  const auto& tenant = call.capture("tenant");
  const auto& name = call.capture("name");
  if (!call.who.sees(tenant)) co_return no_such_package(tenant, name);
  const auto found = co_await find_here(call);
  if (!found) co_return found.error();
  const bool one = call.request.query.get("sha256") || call.request.query.get("version");
  const engine::DeletePackage verb{tenant, name, one ? found->sha256 : std::string()};
  const auto deleted = co_await ask_engine(call, verb);
  if (!deleted) co_return deleted.error();
  const json::object body{{"deleted", *deleted}};
  co_return json_response(200, body);
}

awaitable<Answered> list_packages(Call& call) {
  const auto& query = call.request.query;
  if (auto ok = only_parameters(query, {"tenant", "name", "limit", "cursor"}); !ok) co_return ok.error();
  const auto tenant = text_parameter(query, "tenant");
  const auto name = text_parameter(query, "name");
  auto read = [&] { return call.api.reads.packages(); };
  const auto packages = co_await blocking(call, read);
  SmallList list;
  for (const auto& package : packages) {
    if (!call.who.sees(package.tenant)) continue;
    if ((!tenant.empty() && package.tenant != tenant) || (!name.empty() && package.name != name)) continue;
    // Newest version first within a package.
    list.add(fmt::format("{}/{}/{:010}", package.tenant, package.name, 9'999'999'999 - package.version),
             [&] { return wire::package_json(package); });
  }
  co_return list.answer(query);
}

awaitable<Answered> sync_packages(Call& call) {
  if (auto ok = only_parameters(call.request.query, {}); !ok) co_return ok.error();
  if (auto ok = above_tenants(call); !ok) co_return ok.error();
  if (call.api.import == nullptr)
    co_return fail(Code::notSupported, "this hub looks for packages in no store", {},
                   "geres hub --import-layout azure:ACCOUNT/jobprocessorfiles/{tenant}/{package}.zip");
  auto look = [&] { return call.api.import->sync(); };
  const auto round = co_await carried(call, look);
  if (!round) co_return round.error();
  json::array taken, given, refused;
  for (const auto& version : round->taken) taken.push_back(wire::package_json(version));
  for (const auto& version : round->given) given.push_back(wire::package_json(version));
  for (const auto& [object, why] : round->refused)
    refused.push_back(json::object{{"object", std::string_view(object)}, {"why", std::string_view(why)}});
  const json::object body{
      {"seen", round->seen}, {"taken", std::move(taken)}, {"given", std::move(given)}, {"refused", std::move(refused)}};
  co_return json_response(200, body);
}

}  // namespace geres::hub::api
