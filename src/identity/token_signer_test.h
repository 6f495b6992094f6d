// SPDX-License-Identifier: Apache-2.0
// Makes tokens of the present for tests, with an ES256 key of its own.
#pragma once

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <string>

#include "base/base64.h"
#include "base/json.h"

namespace geres::identity {

inline std::string base64url(std::string_view bytes) {
  auto text = to_base64(bytes);
  while (text.ends_with('=')) text.pop_back();
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

class TokenSigner {
 public:
  explicit TokenSigner(std::string key_id) : key_id_(std::move(key_id)), key_(EVP_EC_gen("P-256"), EVP_PKEY_free) {}

  std::string jwk() const {
    char point[65];
    std::size_t size = 0;
    EVP_PKEY_get_octet_string_param(key_.get(), OSSL_PKEY_PARAM_PUB_KEY, reinterpret_cast<unsigned char*>(point),
                                    sizeof point, &size);
    return R"({"kty":"EC","crv":"P-256","use":"sig","kid":")" + key_id_ + R"(","x":")" + base64url({point + 1, 32}) +
           R"(","y":")" + base64url({point + 33, 32}) + "\"}";
  }
  std::string key_set() const { return "{\"keys\":[" + jwk() + "]}"; }

  std::string token(const json::object& claims) const {
    auto text = base64url(R"({"alg":"ES256","typ":"JWT","kid":")" + key_id_ + "\"}") + "." +
                base64url(boost::json::serialize(claims));
    return text + "." + base64url(signature(text));
  }

 private:
  std::string signature(const std::string& text) const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    unsigned char der[128];
    std::size_t size = sizeof der;
    EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get());
    EVP_DigestSign(context.get(), der, &size, bytes, text.size());
    const unsigned char* from = der;
    const std::unique_ptr<ECDSA_SIG, void (*)(ECDSA_SIG*)> halves(d2i_ECDSA_SIG(nullptr, &from, long(size)),
                                                                  ECDSA_SIG_free);
    std::string both(64, '\0');
    auto* to = reinterpret_cast<unsigned char*>(both.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(halves.get()), to, 32);
    BN_bn2binpad(ECDSA_SIG_get0_s(halves.get()), to + 32, 32);
    return both;
  }

  std::string key_id_;
  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key_;
};

}  // namespace geres::identity
