// SPDX-License-Identifier: Apache-2.0
#include "objects/sigv4.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <stdexcept>

#include "base/bytes.h"
#include "base/sha256.h"

namespace geres::objects {
namespace {

constexpr auto kAlgorithm = "AWS4-HMAC-SHA256";

std::string hmac(std::string_view key, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), int(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
           digest, &size) == nullptr)
    throw std::runtime_error("OpenSSL has no HMAC-SHA256");
  return {reinterpret_cast<const char*>(digest), size};
}

// "20130524T000000Z"
std::string amz_time(Millis wall) {
  auto text = format_time(wall).substr(0, 19);
  std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
  return text + "Z";
}

// Without the blanks around it, and with one where there are several.
std::string trimmed(std::string_view value) {
  std::string out;
  for (const char c : value)
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

std::string signed_names(const AwsRequest& request) {
  std::string names;
  for (const auto& [name, value] : request.headers) names += (names.empty() ? "" : ";") + name;
  return names;
}

std::string canonical_request(const AwsRequest& request) {
  std::string headers;
  for (const auto& [name, value] : request.headers) headers += name + ":" + trimmed(value) + "\n";
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, request.path, canonical_query(request.query), headers,
                     signed_names(request), request.payload);
}

std::string place_of(const AwsScope& scope, const std::string& time) {
  return fmt::format("{}/{}/{}/aws4_request", time.substr(0, 8), scope.region, scope.service);
}

std::string signature(const AwsRequest& request, const AwsKeys& keys, const AwsScope& scope, const std::string& time) {
  const auto text =
      fmt::format("{}\n{}\n{}\n{}", kAlgorithm, time, place_of(scope, time), sha256_hex(canonical_request(request)));
  const auto of_day = hmac("AWS4" + keys.secret, time.substr(0, 8));
  const auto key = hmac(hmac(hmac(of_day, scope.region), scope.service), "aws4_request");
  return to_hex(hmac(key, text));
}

}  // namespace

std::string canonical_query(const transport::Query& query) {
  std::vector<std::pair<std::string, std::string>> items;
  for (const auto& [name, value] : query) items.emplace_back(transport::escaped(name), transport::escaped(value));
  std::sort(items.begin(), items.end());
  std::string text;
  for (const auto& [name, value] : items) text += (text.empty() ? "" : "&") + name + "=" + value;
  return text;
}

void sign(AwsRequest& request, const AwsKeys& keys, const AwsScope& scope, Millis wall) {
  const auto time = amz_time(wall);
  request.headers["x-amz-date"] = time;
  if (!keys.session_token.empty()) request.headers["x-amz-security-token"] = keys.session_token;
  auto authorization = fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm, keys.id,
                                   place_of(scope, time), signed_names(request), signature(request, keys, scope, time));
  request.headers["authorization"] = std::move(authorization);
}

std::string presigned_query(AwsRequest request, const AwsKeys& keys, const AwsScope& scope, Millis wall,
                            std::int64_t seconds) {
  const auto time = amz_time(wall);
  request.query.emplace_back("X-Amz-Algorithm", kAlgorithm);
  request.query.emplace_back("X-Amz-Credential", keys.id + "/" + place_of(scope, time));
  request.query.emplace_back("X-Amz-Date", time);
  request.query.emplace_back("X-Amz-Expires", std::to_string(seconds));
  request.query.emplace_back("X-Amz-SignedHeaders", signed_names(request));
  if (!keys.session_token.empty()) request.query.emplace_back("X-Amz-Security-Token", keys.session_token);
  if (request.payload.empty()) request.payload = kUnsignedPayload;
  return canonical_query(request.query) + "&X-Amz-Signature=" + signature(request, keys, scope, time);
}

}  // namespace geres::objects
