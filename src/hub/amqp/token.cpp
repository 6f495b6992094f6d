// SPDX-License-Identifier: Apache-2.0
#include "hub/amqp/token.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <optional>
#include <utility>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/json.h"
#include "identity/auth_config.h"
#include "identity/jwt.h"

namespace geres::hub::amqp {
namespace {

constexpr Millis kSignatureLife = 3'600'000;
constexpr Millis kLifeWhereUntold = 600'000;  // RFC 6749 5.1 lets a provider leave it out
constexpr Millis kLifeMax = 24 * 3'600'000LL;
constexpr std::size_t kAnswerBytesMax = 256 << 10, kTokenBytesMax = 32 << 10, kWordsMax = 300;

transport::Options bounded() {
  transport::Options options;
  options.answer_bytes_max = kAnswerBytesMax;
  options.answer_time_max = 10'000;
  options.patience = 0;
  return options;
}

std::string words(std::string_view text) {
  return plain_line(utf8_prefix(text, kWordsMax));
}

// What the provider says about a refusal: `error` and `error_description` (RFC 6749 5.2).
std::string refusal_of(const transport::Failure& failure) {
  const auto document = json::parse(failure.body);
  const auto* members = document ? document->if_object() : nullptr;
  if (members == nullptr || identity::text_of(*members, "error").empty()) return failure.error.message;
  const auto error = identity::text_of(*members, "error"), more = identity::text_of(*members, "error_description");
  return more.empty() ? std::string(error) : fmt::format("{} ({})", error, more);
}

Millis life_of(const json::object& answer) {
  const auto* seconds = answer.if_contains("expires_in");
  if (seconds == nullptr || !seconds->is_number()) return kLifeWhereUntold;
  const auto life = seconds->to_number<double>();
  return life > 0 && life < double(kLifeMax) / 1'000 ? Millis(life * 1'000) : kLifeWhereUntold;
}

}  // namespace

std::string entity_of(const Target& target) {
  return fmt::format("sb://{}/{}", target.host, target.address);
}

Token shared_access_signature(const SharedAccessKey& key, const std::string& entity, Millis expires) {
  const auto resource = transport::escaped(entity);
  const auto until = std::to_string(expires / 1'000);
  const auto text = resource + "\n" + until;
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  HMAC(EVP_sha256(), key.key.data(), int(key.key.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), mac.data(), &size);
  const auto signature = to_base64({reinterpret_cast<const char*>(mac.data()), size});
  return {"servicebus.windows.net:sastoken",
          fmt::format("SharedAccessSignature sr={}&sig={}&se={}&skn={}", resource, transport::escaped(signature), until,
                      transport::escaped(key.name)),
          expires / 1'000 * 1'000};
}

TokenSource::TokenSource(TokenAccess access, std::string entity, const Clock& clock)
    : access_(std::move(access)), entity_(std::move(entity)), clock_(clock), loop_(bounded()) {
  thread_ = std::thread([this] { run(); });
}

TokenSource::~TokenSource() {
  stop();
}

void TokenSource::ask(Then then) {
  const std::lock_guard lock(mutex_);
  then_ = std::move(then);
  changed_.notify_all();
}

void TokenSource::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    then_ = nullptr;
  }
  changed_.notify_all();
  loop_.wake();
  if (thread_.joinable()) thread_.join();
}

void TokenSource::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (!then_) {
      changed_.wait(lock);
      continue;
    }
    const auto then = std::exchange(then_, nullptr);
    lock.unlock();
    auto token = fetch();
    lock.lock();
    if (stopping_) return;
    lock.unlock();
    then(std::move(token));
    lock.lock();
  }
}

Result<Token> TokenSource::fetch() {
  if (!access_.shared.name.empty())
    return shared_access_signature(access_.shared, entity_, clock_.wall() + kSignatureLife);
  const auto endpoint = token_endpoint();
  if (!endpoint) return endpoint.error();
  transport::Call ask;
  ask.method = "POST";
  ask.other = *endpoint;
  ask.content_type = "application/x-www-form-urlencoded";
  ask.body = fmt::format("grant_type=client_credentials&scope={}", transport::escaped(access_.scope));
  ask.headers.emplace_back("Accept", "application/json");
  ask.headers.emplace_back("Authorization", "Basic " + to_base64(transport::escaped(access_.client_id) + ":" +
                                                                 transport::escaped(access_.client_secret)));
  const Millis asked = clock_.wall();
  const auto text = call(std::move(ask));
  if (!text) return text.error();
  const auto answer = json::parse(*text);
  const auto* members = answer ? answer->if_object() : nullptr;
  const auto token = members != nullptr ? std::string(identity::text_of(*members, "access_token")) : std::string();
  if (token.empty() || token.size() > kTokenBytesMax)
    return fail(Code::badValue, fmt::format("{} answers without an access token", *endpoint));
  return Token{"jwt", token, asked + life_of(*members)};
}

Result<std::string> TokenSource::token_endpoint() {
  identity::ProviderConfig provider;
  provider.issuer = access_.issuer;
  transport::Call ask;
  ask.other = identity::discovery_url_of(provider);
  ask.headers.emplace_back("Accept", "application/json");
  const auto url = ask.other;
  const auto text = call(std::move(ask));
  if (!text) return text.error();
  const auto about = json::parse(*text);
  const auto* members = about ? about->if_object() : nullptr;
  if (members == nullptr) return fail(Code::badValue, fmt::format("{} is no JSON object", url));
  if (identity::text_of(*members, "issuer") != access_.issuer)
    return fail(Code::badValue, fmt::format("{} is of the issuer '{}', and not of '{}'", url,
                                            words(identity::text_of(*members, "issuer")), access_.issuer));
  std::string endpoint(identity::text_of(*members, "token_endpoint"));
  auto why = identity::refused_url(endpoint);
  if (why.empty() && endpoint.starts_with("http:") && !identity::on_loopback(access_.issuer))
    why = "is on this machine";
  if (!why.empty())
    return fail(Code::badValue,
                fmt::format("where it gives tokens (`token_endpoint`), '{}', {}", words(endpoint), why));
  return endpoint;
}

Result<std::string> TokenSource::call(transport::Call call) {
  const auto url = call.other;
  std::optional<transport::Answer<transport::Reply>> answer;
  const auto id = loop_.start(std::move(call), [&](auto got) { answer.emplace(std::move(got)); });
  while (!answer) {
    loop_.turn(1'000);
    bool over = false;
    {
      const std::lock_guard lock(mutex_);
      over = stopping_;
    }
    if (over && !answer) loop_.cancel(id);
  }
  if (*answer) return std::move((*answer)->body);
  return fail(Code::unavailable, fmt::format("{}: {}", url, words(refusal_of(answer->error()))));
}

}  // namespace geres::hub::amqp
