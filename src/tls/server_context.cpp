// SPDX-License-Identifier: Apache-2.0
#include "tls/server_context.h"

#include <fmt/format.h>

#include <new>
#include <system_error>

#include "base/file.h"
#include "tls/openssl.h"

namespace geres::tls {
namespace {

constexpr int kRsaBitsMin = 2048, kEcBitsMin = 256;

// Forward secrecy and authenticated encryption alone. AES-128 comes first: as sound as 256 and cheaper for downloads.
constexpr const char* kSuites13 = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
constexpr const char* kSuites12 = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr const char* kGroups = "X25519:P-256:P-384";

Result<std::string> content(const std::filesystem::path& file, const char* flag) {
  try {
    return read_file(file);
  } catch (const std::system_error& error) {
    return fail(Code::unknownFile, fmt::format("'{}' cannot be read: {}", file.string(), error.code().message()), flag);
  }
}

// HTTP/1.1 is all that is spoken here. Who offers something else alone gets no answer to the offer.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  unsigned char* out = nullptr;
  if (SSL_select_next_proto(&out, size, kOurs, sizeof kOurs - 1, offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK;
  *chosen = out;
  return SSL_TLSEXT_ERR_OK;
}

std::shared_ptr<SSL_CTX> new_context() {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) throw std::bad_alloc();
  SSL_CTX* const to = context.get();
  SSL_CTX_set_min_proto_version(to, TLS1_2_VERSION);
  SSL_CTX_set_ciphersuites(to, kSuites13);
  SSL_CTX_set_cipher_list(to, kSuites12);
  SSL_CTX_set1_groups_list(to, kGroups);
  SSL_CTX_set_options(to, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                              SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_PRIORITIZE_CHACHA);
  // An idle connection holds no buffers; see http/stream.cpp for the other two.
  SSL_CTX_set_mode(to, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_num_tickets(to, 1);
  SSL_CTX_set_session_cache_mode(to, SSL_SESS_CACHE_OFF);  // clients keep their tickets, we keep nothing
  constexpr std::string_view kSessions = "geres";
  SSL_CTX_set_session_id_context(to, reinterpret_cast<const unsigned char*>(kSessions.data()), kSessions.size());
  SSL_CTX_set_alpn_select_cb(to, choose_protocol, nullptr);
  return context;
}

std::string weakness(X509* certificate) {
  const EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr) return "has a key of an unknown kind";
  const int bits = EVP_PKEY_get_bits(key);
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && bits < kRsaBitsMin)
    return fmt::format("has an RSA key of {} bits; at least {} are needed", bits, kRsaBitsMin);
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && bits < kEcBitsMin)
    return fmt::format("has an elliptic key of {} bits; at least {} are needed", bits, kEcBitsMin);
  int digest = NID_undef;
  if (X509_get_signature_info(certificate, &digest, nullptr, nullptr, nullptr) == 1 &&
      (digest == NID_sha1 || digest == NID_md5))
    return fmt::format("is signed with {}, which clients refuse", OBJ_nid2sn(digest));
  return {};
}

Result<void> usable(X509* certificate, const Certificate& said, const std::string& file, Millis now) {
  const auto wrong = [&](std::string what, std::string hint) {
    return fail(Code::badValue, fmt::format("the certificate in '{}' {}", file, what), "tls-cert", std::move(hint));
  };
  if (said.until <= now)
    return wrong(fmt::format("expired on {}", day_of(said.until)), "a certificate that is valid today");
  if (said.from > now)
    return wrong(fmt::format("is not valid before {}", day_of(said.from)),
                 "a certificate that is valid today; is this machine's clock right?");
  if (auto weak = weakness(certificate); !weak.empty())
    return wrong(std::move(weak), "an ECDSA key on P-256, or RSA with 2048 bits, signed with SHA-256");
  if (said.names.empty())
    return wrong("names no host: it has no subjectAltName, and clients no longer look at a common name",
                 "a certificate with subjectAltName=DNS:NAME or IP:ADDRESS");
  return {};
}

int no_passphrase(char*, int, int, void*) {
  return -1;
}

Result<void> add_key(SSL_CTX* to, const std::string& text, const ServerFiles& files) {
  const auto bio = bio_of(text);
  const KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key)
    return fail(Code::badValue,
                fmt::format("'{}' has no private key in PEM that can be read without a passphrase ({})",
                            files.key.string(), trouble()),
                "tls-key", "a key file without a passphrase, readable for this user alone");
  ERR_clear_error();
  if (X509_check_private_key(SSL_CTX_get0_certificate(to), key.get()) != 1 ||
      SSL_CTX_use_PrivateKey(to, key.get()) != 1) {
    ERR_clear_error();
    return fail(Code::badValue,
                fmt::format("the key in '{}' does not belong to the certificate in '{}'", files.key.string(),
                            files.certificate.string()),
                "tls-key", "the key that this certificate was made for");
  }
  return {};
}

Result<void> add_chain(SSL_CTX* to, const std::string& text, const ServerFiles& files) {
  const auto bio = bio_of(text);
  const X509Ptr own(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!own || SSL_CTX_use_certificate(to, own.get()) != 1)
    return fail(
        Code::badValue,
        fmt::format("'{}' has no certificate in PEM that can be used ({})", files.certificate.string(), trouble()),
        "tls-cert", "the server's certificate, then those that lead to its authority");
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    if (SSL_CTX_add_extra_chain_cert(to, next) != 1) X509_free(next);
  ERR_clear_error();
  return {};
}

Result<void> ask_clients(SSL_CTX* to, const std::filesystem::path& authorities) {
  if (authorities.empty()) return {};
  auto* names = SSL_load_client_CA_file(authorities.c_str());
  if (names == nullptr || SSL_CTX_load_verify_file(to, authorities.c_str()) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return fail(Code::badValue, fmt::format("'{}' has no certificate in PEM ({})", authorities.string(), trouble()),
                "tls-client-ca", "a file with the authorities' certificates");
  }
  SSL_CTX_set_client_CA_list(to, names);
  // Browsers and people have none, so whoever shows none is asked for something else.
  SSL_CTX_set_verify(to, SSL_VERIFY_PEER, nullptr);
  return {};
}

}  // namespace

Result<ServerIdentity> load_server_identity(const ServerFiles& files, Millis now) {
  ERR_clear_error();
  const auto certificate = content(files.certificate, "tls-cert");
  if (!certificate) return certificate.error();
  const auto key = content(files.key, "tls-key");
  if (!key) return key.error();
  ServerIdentity identity{new_context(), {}};
  SSL_CTX* const to = identity.context.get();
  // What clients would refuse is said in our own words below, not by OpenSSL's level.
  SSL_CTX_set_security_level(to, 0);
  if (auto done = add_chain(to, *certificate, files); !done) return done.error();
  identity.certificate = describe(SSL_CTX_get0_certificate(to));
  if (auto done = usable(SSL_CTX_get0_certificate(to), identity.certificate, files.certificate.string(), now); !done)
    return done.error();
  SSL_CTX_set_security_level(to, 2);
  if (auto done = add_key(to, *key, files); !done) return done.error();
  if (auto done = ask_clients(to, files.client_ca); !done) return done.error();
  return identity;
}

ServerContext::ServerContext(ServerFiles files, ServerIdentity identity)
    : files_(std::move(files)), identity_(std::move(identity)), loaded_marks_(marks()) {}

std::shared_ptr<SSL_CTX> ServerContext::current() const {
  const std::lock_guard lock(mutex_);
  return identity_.context;
}

Certificate ServerContext::certificate() const {
  const std::lock_guard lock(mutex_);
  return identity_.certificate;
}

Result<void> ServerContext::reload(Millis now) {
  // Before the files are read: what changes while they are read is seen at the next look.
  auto now_there = marks();
  auto identity = load_server_identity(files_, now);
  const std::lock_guard lock(mutex_);
  loaded_marks_ = std::move(now_there);
  if (!identity) return identity.error();
  identity_ = std::move(*identity);
  return {};
}

bool ServerContext::files_changed() const {
  const auto now_there = marks();
  const std::lock_guard lock(mutex_);
  return now_there != loaded_marks_;
}

std::string ServerContext::marks() const {
  return file_mark(files_.certificate) + ' ' + file_mark(files_.key) + ' ' + file_mark(files_.client_ca);
}

}  // namespace geres::tls
