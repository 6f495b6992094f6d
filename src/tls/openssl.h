// SPDX-License-Identifier: Apache-2.0
// Certificates, keys and their kin as values that free themselves, and OpenSSL's last words. Only for .cpp files.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "base/openssl.h"

namespace geres::tls {

using openssl::Freed;
using X509Ptr = std::unique_ptr<X509, Freed<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Freed<BIO_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>>;

// `bytes` must outlive it.
inline BioPtr bio_of(const std::string& bytes) {
  return BioPtr(BIO_new_mem_buf(bytes.data(), int(bytes.size())));
}

BioPtr bio_of(std::string&&) = delete;

inline std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, std::size_t(size));
}

// What OpenSSL says about the last failure on this thread; forgets it.
inline std::string trouble() {
  const auto code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "unknown trouble" : reason;
}

}  // namespace geres::tls
