// SPDX-License-Identifier: Apache-2.0
#include "objects/shared_key.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

#include "base/base64.h"

namespace geres::objects {
namespace {

std::string joined(const std::vector<std::string>& lines) {
  return fmt::format("{}", fmt::join(lines, "\n"));
}

std::string lower(std::string text) {
  for (auto& c : text)
    if (c >= 'A' && c <= 'Z') c = char(c + 32);
  return text;
}

// A link signed by a delegated key names that key besides.
std::string signed_query(const BlobSas& sas, const UserDelegationKey* delegated, std::string_view key) {
  transport::Query query{
      {"sv", std::string(kAzureVersion)}, {"sr", "b"}, {"sp", sas.permissions}, {"se", sas_time(sas.expires_at)}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) query.emplace_back(name, value);
  };
  add("spr", sas.https_only ? "https" : "");
  add("rscd", sas.content_disposition);
  add("rsct", sas.content_type);
  if (delegated != nullptr) {
    add("skoid", delegated->object_id);
    add("sktid", delegated->tenant_id);
    add("skt", delegated->start);
    add("ske", delegated->expiry);
    add("sks", delegated->service);
    add("skv", delegated->version);
  }
  query.emplace_back("sig", hmac_sha256_base64(key, blob_sas_text(sas, delegated)));
  std::string text;
  for (const auto& [name, value] : query) text += (text.empty() ? "" : "&") + name + "=" + transport::escaped(value);
  return text;
}

}  // namespace

std::string hmac_sha256_base64(std::string_view key, std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), int(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       digest, &size);
  return to_base64({reinterpret_cast<const char*>(digest), size});
}

std::string shared_key_text(std::string_view account, const SharedKeyRequest& request) {
  const auto header = [&](const char* name) {
    const auto found = request.headers.find(name);
    return found != request.headers.end() ? found->second : std::string();
  };
  // The date is empty because x-ms-date is there.
  std::vector<std::string> lines{request.method,
                                 header("content-encoding"),
                                 header("content-language"),
                                 request.content_length == 0 ? "" : std::to_string(request.content_length),
                                 header("content-md5"),
                                 header("content-type"),
                                 "",
                                 header("if-modified-since"),
                                 header("if-match"),
                                 header("if-none-match"),
                                 header("if-unmodified-since"),
                                 header("range")};
  for (const auto& [name, value] : request.headers)
    if (name.starts_with("x-ms-")) lines.push_back(name + ":" + value);
  // An endpoint that has the account in its path has it here twice.
  lines.push_back(fmt::format("/{}{}", account, request.path));
  auto query = request.query;
  for (auto& [name, value] : query) name = lower(name);
  std::sort(query.begin(), query.end());
  for (const auto& [name, value] : query) lines.push_back(name + ":" + value);
  return joined(lines);
}

std::string shared_key(std::string_view account, std::string_view key, const SharedKeyRequest& request) {
  return fmt::format("SharedKey {}:{}", account, hmac_sha256_base64(key, shared_key_text(account, request)));
}

std::string sas_time(Millis time) {
  return format_time(time).substr(0, 19) + "Z";
}

std::string blob_sas_text(const BlobSas& sas, const UserDelegationKey* delegated) {
  std::vector<std::string> lines{sas.permissions, "", sas_time(sas.expires_at),
                                 fmt::format("/blob/{}/{}/{}", sas.account, sas.container, sas.blob)};
  if (delegated == nullptr)
    lines.emplace_back();  // a stored access policy
  else                     // the last three: an authorized and an unauthorized user, and a word for the logs
    for (const auto& one : {delegated->object_id, delegated->tenant_id, delegated->start, delegated->expiry,
                            delegated->service, delegated->version, std::string(), std::string(), std::string()})
      lines.push_back(one);
  // Addresses, protocol, version, kind of resource, snapshot, encryption scope; then the answer's Cache-Control,
  // Content-Disposition, Content-Encoding, Content-Language and Content-Type.
  for (const auto& one : {std::string(), std::string(sas.https_only ? "https" : ""), std::string(kAzureVersion),
                          std::string("b"), std::string(), std::string(), std::string(), sas.content_disposition,
                          std::string(), std::string(), sas.content_type})
    lines.push_back(one);
  return joined(lines);
}

std::string blob_sas(const BlobSas& sas, std::string_view key) {
  return signed_query(sas, nullptr, key);
}

std::string blob_sas(const BlobSas& sas, const UserDelegationKey& key) {
  return signed_query(sas, &key, key.key);
}

}  // namespace geres::objects
