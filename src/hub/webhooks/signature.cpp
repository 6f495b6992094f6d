// SPDX-License-Identifier: Apache-2.0
#include "hub/webhooks/signature.h"

#include <openssl/hmac.h>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/uuid.h"

namespace geres::hub::webhooks {
namespace {

constexpr std::string_view kPrefix = "whsec_";

std::string signature(const std::string& secret, std::string_view text) {
  const auto key = from_base64(std::string_view(secret).substr(kPrefix.size())).value_or(std::string());
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), int(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       digest, &size);
  return "v1," + to_base64({reinterpret_cast<const char*>(digest), size});
}

}  // namespace

std::string new_webhook_secret() {
  const auto hex = random_hex(32);
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) bytes += char(hex_digit(hex[i]) << 4 | hex_digit(hex[i + 1]));
  return std::string(kPrefix) + to_base64(bytes);
}

Result<void> check_webhook_secret(const std::string& secret, std::string_view field) {
  const auto key =
      secret.starts_with(kPrefix) ? from_base64(std::string_view(secret).substr(kPrefix.size())) : std::nullopt;
  if (key && key->size() >= 24 && key->size() <= 64) return {};
  return fail(Code::badValue, "this is not a webhook secret", std::string(field),
              "whsec_ and 24 to 64 random bytes in base64; or leave it out, and one is drawn");
}

std::string signatures(const model::Webhook& webhook, Millis wall, std::string_view id, std::string_view timestamp,
                       std::string_view body) {
  std::string text;
  text.reserve(id.size() + timestamp.size() + body.size() + 2);
  text.append(id).append(".").append(timestamp).append(".").append(body);
  auto all = signature(webhook.secret, text);
  if (!webhook.old_secret.empty() && wall < webhook.old_secret_until) all += " " + signature(webhook.old_secret, text);
  return all;
}

}  // namespace geres::hub::webhooks
