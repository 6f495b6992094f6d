// SPDX-License-Identifier: Apache-2.0
#include "objects/md5.h"

#include <openssl/evp.h>

#include <stdexcept>

#include "base/base64.h"

namespace geres::objects {
namespace {

const EVP_MD* algorithm() {
  static const EVP_MD* const md5 = EVP_MD_fetch(nullptr, "MD5", nullptr);
  if (md5 == nullptr) throw std::runtime_error("OpenSSL has no MD5");
  return md5;
}

EVP_MD_CTX* as_context(void* pointer) {
  return static_cast<EVP_MD_CTX*>(pointer);
}

}  // namespace

Md5::Md5() : context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(as_context(context_), algorithm(), nullptr);
}
Md5::~Md5() {
  EVP_MD_CTX_free(as_context(context_));
}

void Md5::update(std::string_view bytes) {
  EVP_DigestUpdate(as_context(context_), bytes.data(), bytes.size());
}

std::string Md5::base64() {
  unsigned char digest[16];
  EVP_DigestFinal_ex(as_context(context_), digest, nullptr);
  return to_base64({reinterpret_cast<const char*>(digest), sizeof digest});
}

}  // namespace geres::objects
