// SPDX-License-Identifier: Apache-2.0
#include "identity/verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <system_error>

#include "base/bytes.h"
#include "base/file.h"
#include "base/sha256.h"
#include "identity/sign_in.h"

namespace geres::identity {
namespace {

constexpr std::size_t kConfigBytesMax = 1 << 20;

Provider::Settings settings_of(const ProviderConfig& provider) {
  return {provider.name, provider.issuer, discovery_url_of(provider), provider.ca};
}

bool is_entras(std::string_view issuer) {
  return issuer.starts_with("https://sts.windows.net/") || issuer.starts_with("https://login.microsoftonline.com/");
}

Refusal unknown_issuer(const AuthConfig& config, std::string_view issuer) {
  if (issuer.empty()) return refuse(Outcome::issuer, "the token does not say who issued it (`iss`)");
  std::string hint = "known here: ";
  bool entra = is_entras(issuer);
  for (const auto& provider : config.providers) {
    hint += (&provider == &config.providers.front() ? "" : ", ") + provider.issuer;
    entra = entra && is_entras(provider.issuer);
  }
  if (entra)
    hint += "; the API's requestedAccessTokenVersion decides which of its two issuers Microsoft Entra ID names";
  return refuse(
      Outcome::issuer,
      fmt::format("the token is of the issuer '{}', whom this hub does not know", plain_line(utf8_prefix(issuer, 200))),
      hint);
}

ClaimRules rules_of(const ProviderConfig& provider, std::string issuer, std::string tenant_id) {
  return {std::move(issuer), provider.audiences, provider.types == "at+jwt", std::move(tenant_id)};
}

}  // namespace

struct Verifier::Begun {
  Jwt jwt;
  std::size_t provider = 0;
};

Verifier::Verifier(AuthConfig config, Options options, const Clock& clock)
    : options_(std::move(options)), clock_(clock), state_(made(std::move(config), nullptr)) {
  sign_ins_ = std::make_unique<SignIns>(*this, options_.http, options_.times.answer, clock_);
}

Verifier::~Verifier() {
  stop();
}

void Verifier::start() {
  const std::lock_guard lock(mutex_);
  running_ = true;
  for (const auto& provider : state_->providers) provider->start();
}

void Verifier::stop() {
  sign_ins_->stop();
  StatePtr state;
  {
    const std::lock_guard lock(mutex_);
    running_ = false;
    state = state_;
  }
  for (const auto& provider : state->providers) provider->stop();
}

Verifier::StatePtr Verifier::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

Verifier::StatePtr Verifier::made(AuthConfig config, const State* before) const {
  auto state = std::make_shared<State>();
  state->number = before != nullptr ? before->number + 1 : 1;
  for (const auto& wanted : config.providers) {
    const auto settings = settings_of(wanted);
    std::shared_ptr<Provider> provider;
    for (const auto& old : before != nullptr ? before->providers : std::vector<std::shared_ptr<Provider>>())
      if (old->settings() == settings) provider = old;
    if (!provider) provider = std::make_shared<Provider>(settings, options_.http, options_.times, clock_);
    for (auto& issuer : issuers_of(wanted))
      state->by_issuer[issuer.name] = {state->providers.size(), std::move(issuer.tenant_id)};
    state->providers.push_back(std::move(provider));
  }
  state->config = std::make_shared<const AuthConfig>(std::move(config));
  return state;
}

void Verifier::reload(AuthConfig config) {
  StatePtr before, now;
  {
    const std::lock_guard lock(mutex_);
    before = state_;
    now = state_ = made(std::move(config), before.get());
    if (running_)
      for (const auto& provider : state_->providers) provider->start();
  }
  // Outside of the lock, because those who wait for it are answered now. Its thread may be the last to let go of the
  // old state, so it must be over before.
  for (const auto& old : before->providers)
    if (std::find(now->providers.begin(), now->providers.end(), old) == now->providers.end()) old->stop();
}

std::shared_ptr<const AuthConfig> Verifier::config() const {
  return state()->config;
}

std::vector<std::shared_ptr<const Provider>> Verifier::providers() const {
  const auto now = state();
  return {now->providers.begin(), now->providers.end()};
}

// ---- one token ------------------------------------------------------------------------------------------------------

std::optional<Checked<CallerPtr>> Verifier::check(std::string_view token) {
  auto result = judge(*state(), token, nullptr);
  if (!result) return std::nullopt;
  return counted(std::move(*result));
}

void Verifier::check(std::string token, std::function<void(Checked<CallerPtr>)> then) {
  const auto now = state();
  Provider* asked = nullptr;
  if (auto result = judge(*now, token, &asked)) return then(counted(std::move(*result)));
  const auto shared = std::make_shared<std::string>(std::move(token));
  if (asked->fetch([this, shared, then] { then(judge_at_last(*shared)); })) return;
  then(judge_at_last(*shared));
}

std::optional<Checked<CallerPtr>> Verifier::judge(const State& state, std::string_view token, Provider** asks) {
  if (token.size() > kTokenBytesMax) return begin(state, token, 0).error();
  const auto now = clock_.wall();
  auto digest = sha256_hex(token);
  if (auto found = known(digest, now)) return found;
  auto begun = begin(state, token, now);
  if (!begun) return begun.error();
  auto& provider = *state.providers[begun->provider];
  const auto keys = provider.keys();
  if (!keys || !keys->has(begun->jwt.key_id)) {
    if (asks != nullptr) *asks = &provider;
    return std::nullopt;
  }
  auto caller = finish(state, std::move(*begun), *keys, now);
  if (caller) remember(std::move(digest), *caller);
  return caller;
}

Checked<CallerPtr> Verifier::judge_at_last(std::string_view token) {
  const auto now = state();
  Provider* asked = nullptr;
  if (auto result = judge(*now, token, &asked)) return counted(std::move(*result));
  if (asked->keys())
    return counted(refuse(
        Outcome::key, fmt::format("the token is signed with a key that '{}' does not publish", asked->settings().name),
        "where the provider signs for each application with a key of its own, set \"discoveryUrl\""));
  return counted(refuse(
      Outcome::away, fmt::format("the keys of the identity provider '{}' cannot be had now", asked->settings().name)));
}

Checked<Verifier::Begun> Verifier::begin(const State& state, std::string_view token, Millis now) {
  auto jwt = parse_jwt(token);
  if (!jwt) return jwt.error();
  if (is_for_graph(*jwt))
    return refuse(Outcome::kind, "this token is for Microsoft Graph, which alone can check it",
                  scope_hint(state.config->providers.front().audiences.front()));
  const std::string issuer(text_of(jwt->claims, "iss"));
  const auto place = state.by_issuer.find(issuer);
  if (place == state.by_issuer.end()) return unknown_issuer(*state.config, issuer);
  const auto& provider = state.config->providers[place->second.provider];
  const auto ok = check_claims(*jwt, rules_of(provider, issuer, place->second.tenant_id), now);
  if (!ok) return ok.error();
  return Begun{std::move(*jwt), place->second.provider};
}

Checked<CallerPtr> Verifier::finish(const State& state, Begun begun, const KeySet& keys, Millis now) {
  auto& jwt = begun.jwt;
  const auto* key = keys.find(jwt.key_id, jwt.algorithm);
  if (key == nullptr)
    return refuse(Outcome::key, fmt::format("the token's key is not one for {}", algorithm_name(jwt.algorithm)));
  const auto stamp = state.stamp(begun.provider);
  if (!is_signed_by(jwt, *key)) return refuse(Outcome::signature, "the token's signature is wrong");
  const auto& provider = state.config->providers[begun.provider];
  auto caller = std::make_shared<Caller>();
  caller->provider = provider.name;
  caller->who = subject_of(provider, jwt.claims);
  caller->rights = map_claims(*state.config, provider, jwt.claims);
  if (auto ok = check_mapped(caller->rights); !ok) return ok.error();
  caller->expires = expiry_of(jwt.claims);
  caller->ends = caller->expires + kSkewMax;
  caller->key = *key;
  jwt.payload = {}, jwt.signature = {}, jwt.signed_text = {};
  caller->token = std::move(jwt);
  caller->good_for = stamp;
  if (caller->ends <= now) return refuse(Outcome::expired, "the token has expired");
  return CallerPtr(std::move(caller));
}

// ---- people who sign in by the provider's form ----------------------------------------------------------------------

std::optional<Verifier::LoginAt> Verifier::login_at(std::string_view name) const {
  const auto now = state();
  for (std::size_t i = 0; i < now->providers.size(); ++i)
    if (const auto& config = now->config->providers[i]; config.name == name && config.login)
      return LoginAt{config, now->providers[i]};
  return std::nullopt;
}

Checked<Verifier::Begun> Verifier::begin_id_token(const State& state, const std::string& provider,
                                                  const std::string& token, const std::string& nonce) const {
  auto jwt = parse_jwt(token);
  if (!jwt) return jwt.error();
  const std::string issuer(text_of(jwt->claims, "iss"));
  const auto place = state.by_issuer.find(issuer);
  if (place == state.by_issuer.end()) return unknown_issuer(*state.config, issuer);
  const auto& config = state.config->providers[place->second.provider];
  if (config.name != provider || !config.login)
    return refuse(Outcome::issuer, "the ID token is of another provider than the one that was asked");
  const ClaimRules rules{issuer, {config.login->clientId}, false, place->second.tenant_id};
  if (auto ok = check_id_token(*jwt, rules, nonce, clock_.wall()); !ok) return ok.error();
  return Begun{std::move(*jwt), place->second.provider};
}

Checked<CallerPtr> Verifier::signed_in(const std::string& provider, const std::string& id_token,
                                       const std::string& access_token, const std::string& nonce) {
  const auto now = state();
  auto begun = begin_id_token(*now, provider, id_token, nonce);
  if (!begun) return counted(begun.error());
  auto& of = *now->providers[begun->provider];
  if (const auto keys = of.keys(); !keys || !keys->has(begun->jwt.key_id)) {
    const auto fetched = std::make_shared<std::promise<void>>();
    auto over = fetched->get_future();
    if (of.fetch([fetched] { fetched->set_value(); })) over.wait();
  }
  const auto keys = of.keys();
  if (!keys)
    return counted(
        refuse(Outcome::away, fmt::format("the keys of the identity provider '{}' cannot be had now", provider)));
  const auto* key = keys->find(begun->jwt.key_id, begun->jwt.algorithm);
  if (key == nullptr || !is_signed_by(begun->jwt, *key))
    return counted(refuse(Outcome::signature, "the ID token is not signed by its provider"));
  const auto& config = now->config->providers[begun->provider];
  auto caller = std::make_shared<Caller>();
  caller->who = subject_of(config, begun->jwt.claims);
  caller->token = std::move(begun->jwt);
  // Roles of an API are in its access tokens: where this is one, the page lets people do what other clients would.
  if (const auto access = judge(*now, access_token, nullptr)) {
    if (!*access && access->error().outcome == Outcome::no_role) return counted(access->error());
    if (*access && (**access)->provider == provider && (**access)->who.subject == caller->who.subject)
      caller->who = (**access)->who, caller->token = (**access)->token;
  }
  caller->provider = provider;
  caller->rights = map_claims(*now->config, config, caller->token.claims);
  if (auto ok = check_mapped(caller->rights); !ok) return counted(ok.error());
  caller->expires = caller->ends = clock_.wall() + kSignedInMax;
  caller->key = *key;
  caller->signed_in_for = config.login->clientId;
  caller->token.payload = {}, caller->token.signature = {}, caller->token.signed_text = {};
  caller->good_for = now->stamp(begun->provider);
  return counted(CallerPtr(std::move(caller)));
}

Checked<CallerPtr> Verifier::counted(Checked<CallerPtr> result) {
  ++checks_[std::size_t(result ? Outcome::good : result.error().outcome)];
  return result;
}

bool Verifier::is_current(const State& state, const Caller& caller, Millis now) {
  if (caller.ends <= now) return false;
  const std::string issuer(text_of(caller.token.claims, "iss"));
  const auto place = state.by_issuer.find(issuer);
  if (place == state.by_issuer.end()) return false;
  const auto stamp = state.stamp(place->second.provider);
  if (caller.good_for == stamp) return true;
  const auto& provider = state.config->providers[place->second.provider];
  if (provider.name != caller.provider) return false;
  if (!caller.signed_in_for.empty()) {
    if (!provider.login || provider.login->clientId != caller.signed_in_for) return false;
  } else {
    if (!check_claims(caller.token, rules_of(provider, issuer, place->second.tenant_id), now)) return false;
    const auto keys = state.providers[place->second.provider]->keys();
    if (keys && !keys->holds(caller.key)) return false;
  }
  if (!map_claims(*state.config, provider, caller.token.claims).same_rights(caller.rights)) return false;
  caller.good_for = stamp;
  return true;
}

bool Verifier::current(const Caller& caller, Millis now) const {
  return is_current(*state(), caller, now);
}

// ---- what is known --------------------------------------------------------------------------------------------------

CallerPtr Verifier::known(const std::string& digest, Millis now) {
  CallerPtr caller;
  {
    const std::lock_guard lock(known_mutex_);
    const auto found = by_digest_.find(digest);
    if (found == by_digest_.end()) return nullptr;
    by_use_.splice(by_use_.begin(), by_use_, found->second);
    caller = found->second->caller;
  }
  if (is_current(*state(), *caller, now)) return ++known_again_, caller;
  const std::lock_guard lock(known_mutex_);
  if (const auto found = by_digest_.find(digest); found != by_digest_.end()) {
    const auto entry = found->second;
    by_digest_.erase(found);
    by_use_.erase(entry);
  }
  return nullptr;
}

void Verifier::remember(std::string digest, CallerPtr caller) {
  const std::lock_guard lock(known_mutex_);
  if (by_digest_.contains(digest)) return;
  by_use_.push_front({std::move(digest), std::move(caller)});
  by_digest_.emplace(by_use_.front().digest, by_use_.begin());
  if (by_use_.size() <= options_.known_max) return;
  by_digest_.erase(by_use_.back().digest);
  by_use_.pop_back();
}

// ---- the file -------------------------------------------------------------------------------------------------------

Result<AuthConfig> read_auth_config(const std::filesystem::path& file) {
  std::string text;
  try {
    if (std::filesystem::file_size(file) > kConfigBytesMax)
      return fail(Code::tooLarge, fmt::format("{} is larger than 1 MiB", file.string()));
    text = read_file(file);
  } catch (const std::system_error& trouble) {
    return fail(Code::badValue, fmt::format("{}: {}", file.string(), trouble.code().message()));
  }
  auto config = parse_auth_config(text);
  auto files = config ? check_files(*config, file.parent_path()) : Result<void>();
  if (config && files) return config;
  auto error = config ? files.error() : config.error();
  error.message = fmt::format("{}{}: {}", file.string(), error.field.empty() ? "" : ", " + error.field, error.message);
  return error;
}

Result<void> reread(Verifier& verifier, const std::filesystem::path& file) {
  auto config = read_auth_config(file);
  if (!config) return config.error();
  verifier.reload(std::move(*config));
  return {};
}

}  // namespace geres::identity
