// SPDX-License-Identifier: Apache-2.0
#include "identity/mapping.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/sha256.h"
#include "identity/jwt.h"
#include "model/names.h"

namespace geres::identity {
namespace {

constexpr std::size_t kStepsMax = 100, kTenantsMax = 1'000;

std::string shown(std::string_view text) {
  return plain_line(utf8_prefix(text, 200));
}

const json::value* below(const json::object& claims, std::string_view dotted) {
  const auto dot = dotted.find('.');
  const auto* member = claims.if_contains(dotted.substr(0, dot));
  if (member == nullptr || dot == std::string_view::npos) return member;
  return member->is_object() ? below(member->get_object(), dotted.substr(dot + 1)) : nullptr;
}

// Of a list each text; of a text each word, because that is how scopes are written.
std::vector<std::string> values_of(const json::value* claim) {
  std::vector<std::string> values;
  if (claim == nullptr) return values;
  if (const auto* list = claim->if_array()) {
    for (const auto& one : *list)
      if (one.is_string()) values.emplace_back(one.get_string());
    return values;
  }
  if (!claim->is_string()) return values;
  const std::string_view text = claim->get_string();
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(' ', at), text.size());
    if (end > at) values.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return values;
}

bool fits(const json::value* claim, const json::value& wanted) {
  if (const auto* list = wanted.if_array())
    return std::any_of(list->begin(), list->end(), [&](const json::value& one) { return fits(claim, one); });
  if (claim == nullptr || !wanted.is_string()) return false;
  if (*claim == wanted) return true;
  const auto values = values_of(claim);
  return std::find(values.begin(), values.end(), std::string_view(wanted.get_string())) != values.end();
}

std::string role_text(model::Role role) {
  return std::string(json::member_name(boost::describe::enum_to_string(role, "?")));
}

class Mapping {
 public:
  Mapping(const AuthConfig& config, const ProviderConfig& provider, const json::object& claims)
      : config_(config),
        provider_(provider),
        claims_(claims),
        at_(fmt::format("/providers/{}", &provider - config.providers.data())) {}

  Mapped run() {
    const auto* rule = fitting_rule();
    if (rule != nullptr) take_rule(*rule);
    if (rule == nullptr || !rule->roles) map_roles();
    if (rule == nullptr || !rule->tenants) map_tenants();
    cap();
    std::sort(out_.roles.begin(), out_.roles.end());
    return std::move(out_);
  }

 private:
  void note(std::string rule, std::string_view claim, std::string_view value, std::string gave) {
    if (out_.because.size() < kStepsMax)
      out_.because.push_back({std::move(rule), std::string(claim), shown(value), std::move(gave)});
  }
  void give(model::Role role) {
    if (std::find(out_.roles.begin(), out_.roles.end(), role) == out_.roles.end()) out_.roles.push_back(role);
  }
  void give(const std::string& tenant) {
    const auto has = std::find(out_.tenants.begin(), out_.tenants.end(), tenant) != out_.tenants.end();
    if (!has && out_.tenants.size() < kTenantsMax) out_.tenants.push_back(tenant);
  }

  const Rule* fitting_rule() const {
    const auto found = std::find_if(config_.rules.begin(), config_.rules.end(), [&](const Rule& rule) {
      return (!rule.provider || *rule.provider == provider_.name) &&
             std::all_of(rule.when.begin(), rule.when.end(),
                         [&](const auto& one) { return fits(claim_at(claims_, one.first), one.second); });
    });
    return found != config_.rules.end() ? &*found : nullptr;
  }

  void take_rule(const Rule& rule) {
    std::string gave;
    const auto add = [&](const std::string& what) { gave += (gave.empty() ? "" : ", ") + what; };
    for (const auto role : rule.roles.value_or(std::vector<model::Role>())) give(role), add(role_text(role));
    for (const auto& tenant : rule.tenants.value_or(std::vector<std::string>())) {
      if (tenant == TenantMap::kAny)
        out_.all_tenants = true, add("all tenants");
      else
        give(tenant), add("tenant " + tenant);
    }
    std::string claims, values;
    for (const auto& [path, wanted] : rule.when) {
      claims += (claims.empty() ? "" : ", ") + path;
      values += (values.empty() ? "" : ", ") + boost::json::serialize(wanted);
    }
    note(fmt::format("/rules/{}", &rule - config_.rules.data()), claims, values, gave);
  }

  void map_roles() {
    if (!provider_.roles) return;
    const auto& roles = *provider_.roles;
    const auto values = values_of(claim_at(claims_, roles.claim));
    if (values.empty()) note(at_ + "/roles", roles.claim, "", "");
    for (const auto& value : values) {
      const auto found = roles.map.find(value);
      if (found != roles.map.end()) give(found->second);
      note(at_ + "/roles/map" + (found != roles.map.end() ? json::pointer_token(value) : ""), roles.claim, value,
           found != roles.map.end() ? role_text(found->second) : "");
    }
  }

  // The tenant that a value gives; empty: none. A value is never "all tenants", whatever it says.
  static std::string tenant_for(const std::string& gives, const std::string& value) {
    if (gives != TenantMap::kSame) return gives;
    return model::is_name(value) ? value : std::string();
  }

  void map_tenants() {
    if (!provider_.tenants) return;
    const auto& tenants = *provider_.tenants;
    for (const auto& value : values_of(claim_at(claims_, tenants.claim))) {
      auto found = value != TenantMap::kAny ? tenants.map.find(value) : tenants.map.end();
      if (found == tenants.map.end()) found = tenants.map.find(std::string(TenantMap::kAny));
      const auto tenant = found != tenants.map.end() ? tenant_for(found->second, value) : std::string();
      if (!tenant.empty()) give(tenant);
      note(at_ + "/tenants/map" + (found != tenants.map.end() ? json::pointer_token(found->first) : ""), tenants.claim,
           value, tenant.empty() ? "" : "tenant " + tenant);
    }
    if (!out_.tenants.empty()) return;
    const bool denied = tenants.else_ == TenantMap::kDeny;
    if (!denied) give(tenants.else_);
    note(at_ + "/tenants/else", tenants.claim, "", denied ? "" : "tenant " + tenants.else_);
  }

  // What a client may do for its user bounds what the user may do through it; it gives nothing by itself.
  void cap() {
    if (!provider_.scopes) return;
    const auto& scopes = *provider_.scopes;
    const auto* claim = claim_at(claims_, scopes.claim);
    if (claim == nullptr) return;
    std::optional<model::Role> highest;
    for (const auto& value : values_of(claim)) {
      const auto found = scopes.map.find(value);
      if (found == scopes.map.end()) continue;
      if (!highest || found->second < *highest) highest = found->second;
      note(at_ + "/scopes/map" + json::pointer_token(value), scopes.claim, value,
           "at most " + role_text(found->second));
    }
    if (!highest) note(at_ + "/scopes", scopes.claim, boost::json::serialize(*claim), "no role at all");
    const auto had = std::exchange(out_.roles, {});
    for (const auto role : had) {
      if (!highest) continue;
      // The role of hosts is part of an operator's, and of no lower one.
      if (role == model::Role::host ? *highest <= model::Role::operator_ : role >= *highest)
        give(role);
      else if (role != model::Role::host)
        give(*highest);
    }
  }

  const AuthConfig& config_;
  const ProviderConfig& provider_;
  const json::object& claims_;
  const std::string at_;
  Mapped out_;
};

std::string readable(const ProviderConfig& provider, const json::object& claims) {
  const auto text = [&](const ClaimPath& path) {
    const auto* claim = claim_at(claims, path);
    return claim != nullptr && claim->is_string() ? shown(std::string_view(claim->get_string()).substr(0, 100))
                                                  : std::string();
  };
  if (!provider.nameClaim.empty()) return text(provider.nameClaim);
  for (const auto* name : {"preferred_username", "upn", "unique_name", "email"})
    if (auto found = text(name); !found.empty()) return found;
  return {};
}

bool is_application(const json::object& claims, std::string_view client) {
  const auto kind = text_of(claims, "idtyp"), subject = text_of(claims, "sub");
  if (!kind.empty()) return kind == "app";
  return subject == client || (!claims.contains("scp") && !subject.empty() && subject == text_of(claims, "oid"));
}

}  // namespace

bool Mapped::same_rights(const Mapped& other) const {
  return roles == other.roles && tenants == other.tenants && all_tenants == other.all_tenants;
}

Mapped map_claims(const AuthConfig& config, const ProviderConfig& provider, const json::object& claims) {
  return Mapping(config, provider, claims).run();
}

Checked<void> check_mapped(const Mapped& mapped) {
  const auto no_role = [&](std::string message, std::string hint = {}) {
    auto refusal = refuse(Outcome::no_role, std::move(message), std::move(hint));
    refusal.because = mapped.because;
    return refusal;
  };
  if (mapped.roles.empty()) return no_role("the token is good, but nothing in it gives a role on this hub");
  if (!mapped.all_tenants && mapped.tenants.empty())
    return no_role("the token is good and gives a role, but no tenant",
                   "map a claim to tenants, or name them in a rule (\"tenants\": [\"acme\"], or [\"*\"] for all)");
  return {};
}

Subject subject_of(const ProviderConfig& provider, const json::object& claims) {
  Subject who;
  const auto tid = text_of(claims, "tid"), oid = text_of(claims, "oid");
  who.subject = !tid.empty() && !oid.empty()      ? fmt::format("{}/{}", tid, oid)
                : !text_of(claims, "sub").empty() ? std::string(text_of(claims, "sub"))
                                                  : std::string(oid);
  for (const auto* name : {"azp", "appid", "client_id"})
    if (who.client.empty()) who.client = text_of(claims, name);
  who.application = is_application(claims, who.client);
  const auto plain = readable(provider, claims);
  const auto digest = sha256_hex(provider.name + "\n" + who.subject);
  who.id = {std::stoull(digest.substr(0, 16), nullptr, 16), std::stoull(digest.substr(16, 16), nullptr, 16)};
  const auto called = who.application ? shown(who.client) : plain.empty() ? shown(who.subject) : plain;
  who.name = fmt::format("{}:{}#{}", provider.name, utf8_prefix(called, 100), digest.substr(0, 8));
  return who;
}

const json::value* claim_at(const json::object& claims, const ClaimPath& path) {
  if (path.starts_with('/')) {
    const json::value* found = nullptr;
    const json::object* in = &claims;
    for (std::size_t at = 1; in != nullptr && at <= path.size();) {
      const auto end = std::min(path.find('/', at), path.size());
      std::string name = path.substr(at, end - at);
      for (const auto& [escaped, plain] : {std::pair("~1", "/"), std::pair("~0", "~")})
        for (std::size_t i = 0; (i = name.find(escaped, i)) != std::string::npos; ++i) name.replace(i, 2, plain);
      found = in->if_contains(name);
      in = found != nullptr ? found->if_object() : nullptr;
      at = end + 1;
      if (at <= path.size() && in == nullptr) return nullptr;
    }
    return found;
  }
  if (const auto* member = claims.if_contains(path)) return member;
  return below(claims, path);
}

}  // namespace geres::identity
