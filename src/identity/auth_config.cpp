// SPDX-License-Identifier: Apache-2.0
#include "identity/auth_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/origin.h"
#include "model/names.h"

namespace geres::identity {
namespace {

constexpr std::size_t kProvidersMax = 16, kRulesMax = 1'000, kListMax = 1'000;
constexpr std::string_view kTemplate = "{tenantid}";
constexpr std::string_view kWellKnown = "/.well-known/openid-configuration";

using Check = Result<void>;

Error bad(std::string field, std::string message, std::string hint = {}) {
  return fail(Code::badValue, std::move(message), std::move(field), std::move(hint));
}

std::string replaced(std::string text, std::string_view with) {
  if (const auto at = text.find(kTemplate); at != std::string::npos) text.replace(at, kTemplate.size(), with);
  return text;
}

Check check_url(const std::string& field, const std::string& url) {
  const auto why = refused_url(replaced(url, "tenant"));
  if (why.empty()) return {};
  return bad(field, fmt::format("'{}' {}", utf8_prefix(url, 200), why), "https://HOST/PATH");
}

Check check_filled(const std::string& field, const std::vector<std::string>& list, std::string_view what) {
  if (list.size() > kListMax) return bad(field, fmt::format("more than {} {}s", kListMax, what));
  for (std::size_t i = 0; i < list.size(); ++i)
    if (list[i].empty()) return bad(fmt::format("{}/{}", field, i), fmt::format("an empty {}", what));
  return {};
}

Check check_path(const std::string& field, const ClaimPath& path) {
  if (!path.empty() && path.size() <= 200) return {};
  return bad(field, "a claim is named by 1 to 200 bytes", "\"roles\", \"realm_access.roles\"");
}

Check check_tenant(const std::string& field, const std::string& name) {
  if (name == TenantMap::kAny)
    return bad(field, "all tenants are given by a rule alone, so that nobody has them by accident",
               "in \"rules\": {\"when\": {…}, \"tenants\": [\"*\"]}");
  return model::check_name(name, "tenant", field);
}

Check check_issuer(const std::string& at, const ProviderConfig& provider) {
  const bool open = provider.issuer.find(kTemplate) != std::string::npos;
  if (open != provider.multiTenant)
    return bad(at + (open ? "/multiTenant" : "/issuer"),
               open ? "an issuer with {tenantid} is of many tenants" : "the issuer of many tenants contains {tenantid}",
               open ? "\"multiTenant\": true, and \"tenantIds\" with those whose tokens are taken"
                    : "https://login.microsoftonline.com/{tenantid}/v2.0");
  if (provider.multiTenant == provider.tenantIds.empty())
    return bad(at + "/tenantIds",
               provider.multiTenant ? "no tenant's tokens would be taken" : "this provider is of one tenant",
               "the directory ids whose tokens are taken, with \"multiTenant\": true");
  if (auto ok = check_filled(at + "/tenantIds", provider.tenantIds, "directory id"); !ok) return ok;
  if (auto ok = check_url(at + "/issuer", provider.issuer); !ok) return ok;
  return provider.discoveryUrl.empty() ? Check() : check_url(at + "/discoveryUrl", provider.discoveryUrl);
}

Check check_roles(const std::string& at, const std::optional<RoleMap>& roles) {
  if (!roles) return {};
  if (auto ok = check_path(at + "/claim", roles->claim); !ok) return ok;
  return roles->map.empty() ? bad(at + "/map", "no value gives a role", "{\"Jobs.Submit\": \"submitter\"}") : Check();
}

Check check_tenants(const std::string& at, const std::optional<TenantMap>& tenants) {
  if (!tenants) return {};
  if (auto ok = check_path(at + "/claim", tenants->claim); !ok) return ok;
  for (const auto& [value, tenant] : tenants->map)
    if (tenant != TenantMap::kSame)
      if (auto ok = check_tenant(at + "/map" + json::pointer_token(value), tenant); !ok) return ok;
  return tenants->else_ == TenantMap::kDeny ? Check() : check_tenant(at + "/else", tenants->else_);
}

Check check_provider(const std::string& at, const ProviderConfig& provider) {
  if (auto ok = model::check_name(provider.name, "provider", at + "/name"); !ok) return ok;
  if (auto ok = check_issuer(at, provider); !ok) return ok;
  if (provider.audiences.empty())
    return bad(at + "/audiences", "tokens for anybody would be taken", "the API's client id, or its App ID URI");
  if (auto ok = check_filled(at + "/audiences", provider.audiences, "audience"); !ok) return ok;
  if (provider.types != "any" && provider.types != "at+jwt")
    return bad(at + "/types", fmt::format("'{}' is not known here", provider.types), "one of any, at+jwt");
  if (provider.login && provider.login->clientId.empty()) return bad(at + "/login/clientId", "an empty client id");
  if (auto ok = check_roles(at + "/roles", provider.roles); !ok) return ok;
  if (auto ok = check_roles(at + "/scopes", provider.scopes); !ok) return ok;
  for (const auto& [scope, role] : provider.scopes ? provider.scopes->map : std::map<std::string, model::Role>())
    if (role == model::Role::host)
      return bad(at + "/scopes/map" + json::pointer_token(scope), "the role host is no bound for people",
                 "one of admin, operator, submitter, viewer");
  if (auto ok = check_tenants(at + "/tenants", provider.tenants); !ok) return ok;
  return provider.nameClaim.empty() ? Check() : check_path(at + "/nameClaim", provider.nameClaim);
}

Check check_condition(const std::string& at, const json::value& wanted) {
  if (wanted.is_string()) return {};
  const auto* list = wanted.if_array();
  const bool texts = list != nullptr && !list->empty() &&
                     std::all_of(list->begin(), list->end(), [](const json::value& one) { return one.is_string(); });
  if (texts) return {};
  auto error = json::wrong_kind("a text, or a list of texts", wanted);
  error.field = at;
  return error;
}

Check check_rule(const std::string& at, const Rule& rule, const std::vector<ProviderConfig>& providers) {
  if (rule.when.empty()) return bad(at + "/when", "the rule would be for everybody", "{\"azp\": \"CLIENT-ID\"}");
  for (const auto& [path, wanted] : rule.when) {
    if (auto ok = check_path(at + "/when", path); !ok) return ok;
    if (auto ok = check_condition(at + "/when" + json::pointer_token(path), wanted); !ok) return ok;
  }
  const bool known = rule.provider && std::any_of(providers.begin(), providers.end(), [&](const auto& provider) {
                       return provider.name == *rule.provider;
                     });
  if (rule.provider && !known)
    return bad(at + "/provider", fmt::format("no provider is called '{}'", utf8_prefix(*rule.provider, 100)));
  // One provider must not be able to name what another one's claims give.
  if (!rule.provider && providers.size() > 1)
    return fail(Code::missingField, "with several providers a rule says whose tokens it is for", at + "/provider");
  if (!rule.roles && !rule.tenants)
    return fail(Code::missingField, "the rule gives nothing", at + "/roles", "\"roles\", \"tenants\", or both");
  for (std::size_t i = 0; rule.tenants && i < rule.tenants->size(); ++i)
    if (rule.tenants->size() > 1 || (*rule.tenants)[i] != TenantMap::kAny)
      if (auto ok = model::check_name((*rule.tenants)[i], "tenant", fmt::format("{}/tenants/{}", at, i)); !ok)
        return ok;
  return {};
}

Check check(const AuthConfig& config) {
  if (config.providers.empty()) return bad("/providers", "there is no provider");
  if (config.providers.size() > kProvidersMax)
    return bad("/providers", fmt::format("more than {} providers", kProvidersMax));
  std::set<std::string> names, issuers;
  for (std::size_t i = 0; i < config.providers.size(); ++i) {
    const auto at = fmt::format("/providers/{}", i);
    const auto& provider = config.providers[i];
    if (auto ok = check_provider(at, provider); !ok) return ok;
    if (!names.insert(provider.name).second)
      return bad(at + "/name", fmt::format("two providers are called '{}'", provider.name));
    for (const auto& issuer : issuers_of(provider))
      if (!issuers.insert(issuer.name).second)
        return bad(at + "/issuer", fmt::format("two providers have the issuer '{}'", issuer.name),
                   "one provider with the audiences of both");
  }
  if (config.rules.size() > kRulesMax) return bad("/rules", fmt::format("more than {} rules", kRulesMax));
  for (std::size_t i = 0; i < config.rules.size(); ++i)
    if (auto ok = check_rule(fmt::format("/rules/{}", i), config.rules[i], config.providers); !ok) return ok;
  return {};
}

}  // namespace

bool ProviderConfig::operator==(const ProviderConfig& other) const {
  return json::write_text(*this) == json::write_text(other);
}

Result<AuthConfig> parse_auth_config(std::string_view text) {
  auto config = json::read_text<AuthConfig>(text);
  if (!config) return config;
  if (auto ok = check(*config); !ok) return ok.error();
  return config;
}

std::vector<Issuer> issuers_of(const ProviderConfig& provider) {
  if (!provider.multiTenant) return {{provider.issuer, {}}};
  std::vector<Issuer> issuers;
  for (const auto& id : provider.tenantIds) issuers.push_back({replaced(provider.issuer, id), id});
  return issuers;
}

std::string discovery_url_of(const ProviderConfig& provider) {
  if (!provider.discoveryUrl.empty()) return provider.discoveryUrl;
  auto url = replaced(provider.issuer, "organizations");
  if (url.ends_with('/')) url.pop_back();
  return url + std::string(kWellKnown);
}

bool on_loopback(std::string_view url) {
  const auto start = url.find("://");
  if (start == std::string_view::npos) return false;
  auto authority = url.substr(start + 3);
  authority = authority.substr(0, authority.find_first_of("/?#"));
  if (authority.find('@') != std::string_view::npos) return false;
  const auto host = authority.starts_with('[') ? authority.substr(0, authority.find(']') + 1)
                                               : authority.substr(0, authority.find(':'));
  const bool numbers = std::all_of(host.begin(), host.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
  return host == "localhost" || host == "[::1]" || (numbers && host.starts_with("127."));
}

std::string refused_url(std::string_view url) {
  const auto plain = std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!plain || !names_server(url)) return "is not an address of a server";
  if (url.size() > 2'000) return "is longer than 2,000 bytes";
  const auto authority = url.substr(url.find("://") + 3);
  if (authority.substr(0, authority.find_first_of("/?#")).find('@') != std::string_view::npos)
    return "contains a user's name";
  if (url.find('#') != std::string_view::npos) return "contains a fragment";
  if (!url.starts_with("https://") && !on_loopback(url)) return "is not https, so anybody on the way could change it";
  return {};
}

}  // namespace geres::identity
