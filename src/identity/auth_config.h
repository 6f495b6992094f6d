// SPDX-License-Identifier: Apache-2.0
// Which identity providers a hub trusts, and what their claims mean here: the file of --auth-config (docs/identity.md).
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "model/batch.h"

namespace geres::identity {

// Where a claim is: the name of a member, or a path ("realm_access.roles", or a JSON pointer where names have dots).
using ClaimPath = std::string;

struct Login {  // for clients that sign people in; all but the secret's place is public
  static constexpr std::string_view kRequired[] = {"clientId"};
  std::string clientId;
  std::vector<std::string> scopes;
  std::string clientSecretFile;  // what the hub shows when its page signs people in; empty: a public client
};
BOOST_DESCRIBE_STRUCT(Login, (), (clientId, scopes, clientSecretFile))

struct RoleMap {
  static constexpr std::string_view kRequired[] = {"claim", "map"};
  ClaimPath claim;
  std::map<std::string, model::Role> map;
};
BOOST_DESCRIBE_STRUCT(RoleMap, (), (claim, map))

struct TenantMap {
  static constexpr std::string_view kRequired[] = {"claim"};
  static constexpr std::string_view kSame = "same", kDeny = "deny", kAny = "*";
  ClaimPath claim;
  std::map<std::string, std::string> map;  // to a tenant, or kSame; kAny: every other value
  std::string else_{kDeny};                // where no value gives one: a tenant
};
BOOST_DESCRIBE_STRUCT(TenantMap, (), (claim, map, else_))

struct ProviderConfig {
  static constexpr std::string_view kRequired[] = {"name", "issuer", "audiences"};
  std::string name;
  std::string issuer;        // exactly as tokens have it; with multiTenant it contains {tenantid}
  std::string discoveryUrl;  // empty: below the issuer, where RFC 8414 and OpenID Connect have it
  bool multiTenant = false;
  std::vector<std::string> tenantIds;  // with multiTenant: whose tokens are taken
  std::vector<std::string> audiences;
  std::string types = "any";  // or "at+jwt": only tokens that say they are access tokens
  std::optional<Login> login;
  std::optional<RoleMap> roles;
  std::optional<RoleMap> scopes;  // the highest role that a client may use for its user
  std::optional<TenantMap> tenants;
  ClaimPath nameClaim;  // what callers are called in lists; empty: what providers usually have
  std::string ca;       // PEM file of the authorities of its servers; empty: the system's

  bool operator==(const ProviderConfig&) const;
};
BOOST_DESCRIBE_STRUCT(ProviderConfig, (),
                      (name, issuer, discoveryUrl, multiTenant, tenantIds, audiences, types, login, roles, scopes,
                       tenants, nameClaim, ca))

// The first one whose claims all fit decides in place of the provider's maps.
struct Rule {
  static constexpr std::string_view kRequired[] = {"when"};
  std::optional<std::string> provider;
  std::map<ClaimPath, json::value> when;  // a text, or a list of which one fits
  std::optional<std::vector<model::Role>> roles;
  std::optional<std::vector<std::string>> tenants;  // {"*"}: all
};
BOOST_DESCRIBE_STRUCT(Rule, (), (provider, when, roles, tenants))

struct AuthConfig {
  static constexpr std::string_view kRequired[] = {"providers"};
  std::vector<ProviderConfig> providers;
  std::vector<Rule> rules;
};
BOOST_DESCRIBE_STRUCT(AuthConfig, (), (providers, rules))

// Error::field is the JSON pointer of what is wrong.
Result<AuthConfig> parse_auth_config(std::string_view text);
// Names of files in it are taken from `directory`, and the files are looked at.
Result<void> check_files(AuthConfig& config, const std::filesystem::path& directory);
// Of a file that its owner alone can read, without the line's end.
Result<std::string> read_secret(const std::string& file, const std::string& field);

// An issuer as its tokens have it, and the `tid` that they must have; empty: any.
struct Issuer {
  std::string name, tenant_id;
};
std::vector<Issuer> issuers_of(const ProviderConfig& provider);
std::string discovery_url_of(const ProviderConfig& provider);

// Empty if this may be asked for keys; else why not. Plain http only on this machine.
std::string refused_url(std::string_view url);
bool on_loopback(std::string_view url);

}  // namespace geres::identity
