// SPDX-License-Identifier: Apache-2.0
// The file of --auth-config, and the claims of a token after a NUL. Promises: a refusal of what is JSON names its
// place; what is taken means the same when it is written and read again; all tenants are given by rules alone.
#include "base/bytes.h"
#include "identity/mapping.h"
#include "target.h"

using namespace geres;
using fuzz::must;

namespace {

bool has_rule_for_all(const identity::AuthConfig& config) {
  return std::any_of(config.rules.begin(), config.rules.end(),
                     [](const identity::Rule& rule) { return rule.tenants == std::vector<std::string>{"*"}; });
}

}  // namespace

GERES_FUZZ_TARGET(auth_config) {
  const auto end = std::min(bytes.find('\0'), bytes.size());
  const auto text = bytes.substr(0, end);
  const auto config = identity::parse_auth_config(text);
  if (!config) {
    must(valid_utf8(config.error().message) && !config.error().message.empty(), "a refusal says why");
    must(config.error().field.empty() || config.error().field.starts_with('/'), "a field is a JSON pointer");
    const auto document = json::parse(text);
    must(!config.error().field.empty() || !document || !document->is_object(), "a refusal names its field", text);
    return;
  }
  const auto written = json::write_text(*config);
  const auto again = identity::parse_auth_config(written);
  must(again.has_value() && json::write_text(*again) == written, "it means the same", written);
  for (const auto& provider : config->providers) {
    must(identity::refused_url(identity::discovery_url_of(provider)).empty(), "it is asked where it may be", written);
    const auto claims = json::parse(bytes.substr(std::min(end + 1, bytes.size())));
    if (!claims || !claims->is_object()) continue;
    const auto mapped = identity::map_claims(*config, provider, claims->get_object());
    must(!mapped.all_tenants || has_rule_for_all(*config), "all tenants come from a rule", bytes);
    must(std::find(mapped.tenants.begin(), mapped.tenants.end(), "*") == mapped.tenants.end(), "no tenant is called *");
    const auto who = identity::subject_of(provider, claims->get_object());
    must(who.name.starts_with(provider.name + ":") && valid_utf8(who.name) && who.name.size() < 400, "it has a name",
         who.name);
  }
}
