// SPDX-License-Identifier: Apache-2.0
#include "tls/trust.h"

#include <fmt/format.h>

#include <cstdlib>

#include "tls/openssl.h"

namespace geres::tls {
namespace {

constexpr const char* kHowToTrust =
    "--ca FILE with the certificate of its authority, or --ca-pin sha256:HEX as the hub prints it when it starts";

Error refused(std::string message, std::string hint) {
  return fail(Code::unavailable, std::move(message), {}, std::move(hint));
}

bool too_weak(int trouble) {
  return trouble == X509_V_ERR_EE_KEY_TOO_SMALL || trouble == X509_V_ERR_CA_KEY_TOO_SMALL ||
         trouble == X509_V_ERR_CA_MD_TOO_WEAK;
}

}  // namespace

Trust or_environment(Trust given) {
  const auto said = [](const char* name) {
    const char* text = std::getenv(name);
    return std::string(text == nullptr ? "" : text);
  };
  if (!given.ca_file.empty() || !given.pin.empty()) return given;
  given.ca_file = said("GERES_CA"), given.pin = said("GERES_CA_PIN");
  return given;
}

Result<void> check_trust(const Trust& trust) {
  if (!trust.ca_file.empty()) {
    const auto read = read_certificates(trust.ca_file);
    if (!read) return fail(read.error().code, read.error().message, "ca", "a file with certificates in PEM");
  } else if (!trust.pin.empty() && !is_pin(trust.pin)) {
    return fail(Code::badValue, fmt::format("'{}' is not the pin of a key", trust.pin), "ca-pin",
                "sha256: and 64 digits 0-9 and a-f, as the hub prints it when it starts");
  }
  if (trust.certificate.empty() != trust.key.empty())
    return fail(Code::missingField, "a certificate is of no use without its key, nor a key without its certificate",
                trust.key.empty() ? "key" : "cert", "FILE, in PEM");
  if (trust.certificate.empty()) return {};
  const auto own = read_certificates(trust.certificate);
  if (!own) return fail(own.error().code, own.error().message, "cert", "a file with this client's certificate in PEM");
  std::error_code ignored;
  if (!std::filesystem::exists(trust.key, ignored))
    return fail(Code::unknownFile, fmt::format("there is no file '{}'", trust.key.string()), "key",
                "a file with the certificate's key in PEM, without a passphrase");
  return {};
}

void ServerCheck::watch(SSL_CTX* context) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // A server cannot have itself looked at again later, when this object may be gone.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_security_level(context, 2);
  SSL_CTX_set_cert_verify_callback(context, &ServerCheck::verify, this);
}

int ServerCheck::verify(X509_STORE_CTX* chain, void* self) {
  auto& check = *static_cast<ServerCheck*>(self);
  check.shown_.clear();
  if (X509* own = X509_STORE_CTX_get0_cert(chain)) check.shown_.push_back(describe(own));
  auto* sent = X509_STORE_CTX_get0_untrusted(chain);
  for (int i = 1; i < sk_X509_num(sent); ++i) check.shown_.push_back(describe(sk_X509_value(sent, i)));
  const bool good = check.pin_.empty() ? X509_verify_cert(chain) == 1 : check.leads_to_pin(chain);
  check.trouble_ = good ? X509_V_OK : X509_STORE_CTX_get_error(chain);
  if (!good && check.trouble_ == X509_V_OK) {
    check.trouble_ = X509_V_ERR_CERT_UNTRUSTED;
    X509_STORE_CTX_set_error(chain, check.trouble_);
  }
  ERR_clear_error();
  return good ? 1 : 0;
}

// The usual verification, with the certificate of that key as the only authority.
bool ServerCheck::leads_to_pin(X509_STORE_CTX* chain) {
  auto* sent = X509_STORE_CTX_get0_untrusted(chain);
  X509* pinned = nullptr;
  for (int i = 0; i < sk_X509_num(sent) && pinned == nullptr; ++i)
    if (describe(sk_X509_value(sent, i)).pin == pin_) pinned = sk_X509_value(sent, i);
  pin_seen_ = pinned != nullptr;
  if (!pin_seen_) return false;
  const StorePtr store(X509_STORE_new());
  const StoreContextPtr again(X509_STORE_CTX_new());
  if (!store || !again || X509_STORE_add_cert(store.get(), pinned) != 1 ||
      X509_STORE_CTX_init(again.get(), store.get(), X509_STORE_CTX_get0_cert(chain), sent) != 1)
    return false;
  X509_STORE_CTX_set_default(again.get(), "ssl_server");
  X509_VERIFY_PARAM* how = X509_STORE_CTX_get0_param(again.get());
  X509_VERIFY_PARAM_set_flags(how, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_auth_level(how, 2);
  const bool good = X509_verify_cert(again.get()) == 1;
  X509_STORE_CTX_set_error(chain, X509_STORE_CTX_get_error(again.get()));
  return good;
}

std::optional<Error> ServerCheck::refusal(const std::string& host) const {
  if (shown_.empty()) return std::nullopt;
  const auto& own = shown_.front();
  if (!pin_.empty() && !pin_seen_) {
    std::vector<std::string> pins;
    for (const auto& one : shown_) pins.push_back(one.pin + " (" + one.subject + ")");
    return refused(
        fmt::format("'{}' does not have the key that is expected: {} is pinned, {} came", host, pin_, listed(pins)),
        "is this the right hub? If it has a new authority, take the new pin from its own machine");
  }
  if (trouble_ == X509_V_ERR_CERT_HAS_EXPIRED)
    return refused(
        fmt::format("the certificate of '{}', or of its authority, is out of date: its own is valid until {}", host,
                    day_of(own.until)),
        "renew it on the hub's machine; if it is valid, this machine's clock is wrong");
  if (trouble_ == X509_V_ERR_CERT_NOT_YET_VALID)
    return refused(fmt::format("the certificate of '{}' is not valid before {}", host, day_of(own.from)),
                   "is this machine's clock right?");
  if (too_weak(trouble_))
    return refused(
        fmt::format("the certificate of '{}' is too weak: {}", host, X509_verify_cert_error_string(trouble_)),
        "one with an ECDSA key on P-256, or RSA with 2048 bits, signed with SHA-256");
  if (trouble_ != X509_V_OK)
    return refused(fmt::format("the certificate of '{}' is not trusted: it comes from {} ({})", host, own.issuer,
                               X509_verify_cert_error_string(trouble_)),
                   kHowToTrust);
  if (own.names.empty())
    return refused(
        fmt::format("the certificate of '{}' names no host: it has no subjectAltName, only {}", host, own.subject),
        "a certificate with subjectAltName=DNS:" + host);
  return refused(fmt::format("the certificate is not for '{}', but for {}", host, listed(own.names)),
                 "call it by one of these names, or give it a certificate for that one");
}

}  // namespace geres::tls
