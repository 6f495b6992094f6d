// SPDX-License-Identifier: Apache-2.0
#include "identity/sign_in.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <optional>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/uuid.h"
#include "transport/loop.h"

namespace geres::identity {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

constexpr std::size_t kAnswerBytesMax = 256 << 10;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    if (plain)
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string form_of(const Fields& fields) {
  std::string text;
  for (const auto& [name, value] : fields) text += (text.empty() ? "" : "&") + escaped(name) + "=" + escaped(value);
  return text;
}

// What PKCE shows of its verifier at first.
std::string challenge_of(std::string_view verifier) {
  const auto hex = sha256_hex(verifier);
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) bytes += char(std::stoi(hex.substr(i, 2), nullptr, 16));
  auto text = to_base64(bytes);
  std::erase(text, '=');
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

// Without the one that asks for refresh tokens: none is kept.
std::string scopes_of(const Login& login) {
  std::string text = "openid";
  for (const auto& scope : login.scopes)
    if (scope != "openid" && scope != "offline_access") text += " " + scope;
  return text;
}

Refusal away(const std::string& provider, std::string_view why = {}) {
  return refuse(Outcome::away,
                fmt::format("the identity provider '{}' cannot be asked now", provider) +
                    (why.empty() ? "" : fmt::format(" ({})", why)),
                "try again in a moment");
}

// In words of the provider's, cut and on one line.
Refusal declined(const std::string& provider, const SignIns::Answer& answer) {
  const auto word = [](const std::string& text) { return plain_line(utf8_prefix(replace_bad_utf8(text), 200)); };
  if (answer.error == "access_denied")
    return refuse(Outcome::kind, fmt::format("'{}' has not signed you in: it was declined there", provider));
  return refuse(Outcome::kind, fmt::format("'{}' has not signed you in: {}{}{}", provider, word(answer.error),
                                           answer.description.empty() ? "" : ": ", word(answer.description)));
}

Refusal lost() {
  return refuse(Outcome::kind, "this sign-in is not known, was finished before, or took longer than 10 minutes",
                "begin it again in this browser");
}

bool names_another(const ProviderConfig& config, const Endpoints& endpoints, const std::string& issuer) {
  if (issuer.empty()) return endpoints.answers_name_issuer;
  const auto issuers = issuers_of(config);
  return std::none_of(issuers.begin(), issuers.end(), [&](const Issuer& one) { return one.name == issuer; });
}

std::shared_ptr<const Endpoints> endpoints_of(Provider& provider) {
  if (auto known = provider.endpoints()) return known;
  const auto fetched = std::make_shared<std::promise<void>>();
  auto over = fetched->get_future();
  if (provider.fetch([fetched] { fetched->set_value(); })) over.wait();
  return provider.endpoints();
}

}  // namespace

SignIns::SignIns(Verifier& verifier, transport::Options http, Millis answer_max, const Clock& clock)
    : verifier_(verifier),
      http_([&] {
        http.answer_bytes_max = kAnswerBytesMax;
        http.answer_time_max = answer_max;
        http.connect_time_max = std::min(http.connect_time_max, answer_max);
        http.patience = 0;
        http.on_retry = nullptr;
        return std::move(http);
      }()),
      clock_(clock) {}

SignIns::~SignIns() {
  stop();
}

void SignIns::stop() {
  stopping_ = true;
  pool_.stop();
}

Checked<SignIns::Begun> SignIns::begin(const std::string& provider, const std::string& redirect,
                                       const std::string& to) {
  const auto at = verifier_.login_at(provider);
  if (!at)
    return refuse(Outcome::issuer, fmt::format("nobody signs in at '{}' here", plain_line(utf8_prefix(provider, 100))));
  const auto endpoints = endpoints_of(*at->provider);
  if (!endpoints) return away(provider);
  if (endpoints->authorization.empty() || endpoints->token.empty())
    return away(provider, "it does not say where people sign in");
  const auto secret = random_hex(32);
  Open open{provider, redirect, to, random_hex(16), random_hex(32), random_hex(16), clock_.wall() + kSignInMax};
  const Fields query{{"client_id", at->config.login->clientId},
                     {"response_type", "code"},
                     {"redirect_uri", redirect},
                     {"scope", scopes_of(*at->config.login)},
                     {"state", open.state},
                     {"nonce", open.nonce},
                     {"code_challenge", challenge_of(open.verifier)},
                     {"code_challenge_method", "S256"}};
  const char joint = endpoints->authorization.find('?') == std::string::npos ? '?' : '&';
  Begun begun{secret, endpoints->authorization + joint + form_of(query)};
  put(secret, std::move(open));
  return begun;
}

void SignIns::put(const std::string& secret, Open open) {
  const auto digest = sha256_hex(secret);
  const std::lock_guard lock(mutex_);
  const auto now = clock_.wall();
  while (!by_end_.empty() && (by_end_.begin()->first <= now || by_end_.size() >= kOpenMax)) {
    open_.erase(by_end_.begin()->second);
    by_end_.erase(by_end_.begin());
  }
  by_end_.emplace(open.until, digest);
  open_.emplace(digest, std::move(open));
}

Checked<SignIns::Open> SignIns::take(const std::string& secret, const std::string& state) {
  const auto digest = sha256_hex(secret);
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(digest);
  if (found == open_.end() || found->second.until <= clock_.wall() || found->second.state != state) return lost();
  auto open = std::move(found->second);
  open_.erase(found);
  return open;
}

Checked<SignIns::Done> SignIns::finish(const std::string& secret, const Answer& answer) {
  auto open = take(secret, answer.state);
  if (!open) return open.error();
  const auto at = verifier_.login_at(open->provider);
  const auto endpoints = at ? at->provider->endpoints() : nullptr;
  if (!endpoints || endpoints->token.empty()) return away(open->provider);
  if (names_another(at->config, *endpoints, answer.issuer))
    return refuse(Outcome::issuer,
                  fmt::format("the answer is not of the provider '{}', which was asked (`iss`)", open->provider));
  if (!answer.error.empty()) return declined(open->provider, answer);
  if (answer.code.empty()) return lost();
  const auto tokens = exchange(*at, *endpoints, *open, answer.code);
  if (!tokens) return tokens.error();
  auto caller = verifier_.signed_in(open->provider, tokens->id, tokens->access, open->nonce);
  if (!caller) return caller.error();
  return Done{std::move(*caller), std::move(open->to)};
}

Checked<SignIns::Tokens> SignIns::exchange(const Verifier::LoginAt& at, const Endpoints& endpoints, const Open& open,
                                           const std::string& code) {
  const auto& login = *at.config.login;
  Fields fields{{"grant_type", "authorization_code"},
                {"code", code},
                {"redirect_uri", open.redirect},
                {"code_verifier", open.verifier}};
  transport::Call call;
  call.method = "POST";
  call.other = endpoints.token;
  call.content_type = "application/x-www-form-urlencoded";
  call.headers.emplace_back("Accept", "application/json");
  std::string secret;
  if (!login.clientSecretFile.empty()) {
    auto read = read_secret(login.clientSecretFile, "clientSecretFile");
    if (!read) {
      log::event(log::Level::err, "a client secret cannot be read",
                 {{"provider", open.provider}, {"error", read.error().message}});
      return away(open.provider, "the hub cannot read its client secret");
    }
    secret = std::move(*read);
  }
  if (!secret.empty() && !endpoints.secret_in_body) {
    call.headers.emplace_back("Authorization", "Basic " + to_base64(escaped(login.clientId) + ":" + escaped(secret)));
  } else {
    fields.emplace_back("client_id", login.clientId);
    if (!secret.empty()) fields.emplace_back("client_secret", secret);
  }
  call.body = form_of(fields);
  auto options = http_;
  options.ca_file = at.config.ca;
  transport::Loop loop(options);
  std::optional<transport::Answer<transport::Reply>> answer;
  const auto id = loop.start(std::move(call), [&](auto got) { answer.emplace(std::move(got)); });
  while (!answer) {
    loop.turn(200);
    if (stopping_ && !answer) loop.cancel(id);
  }
  if (!*answer) {
    const auto& failure = answer->error();
    const auto body = json::parse(failure.body);
    const auto* members = body ? body->if_object() : nullptr;
    const std::string error(members != nullptr ? text_of(*members, "error") : std::string_view());
    log::event(log::Level::warn, "a code was not changed for tokens",
               {{"provider", open.provider},
                {"status", failure.status},
                {"error", plain_line(utf8_prefix(error.empty() ? failure.error.message : error, 200))}});
    if (failure.status >= 400 && failure.status < 500)
      return refuse(Outcome::kind,
                    fmt::format("'{}' does not take the hub's request: {}", open.provider,
                                error.empty() ? "it says no more" : plain_line(utf8_prefix(error, 100))),
                    "an operator looks into the hub's log, and at the client's registration");
    return away(open.provider);
  }
  const auto body = json::parse((*answer)->body);
  const auto* members = body ? body->if_object() : nullptr;
  if (members == nullptr || text_of(*members, "id_token").empty())
    return refuse(Outcome::malformed, fmt::format("the answer of '{}' has no ID token", open.provider));
  return Tokens{std::string(text_of(*members, "id_token")), std::string(text_of(*members, "access_token"))};
}

}  // namespace geres::identity
