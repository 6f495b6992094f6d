// SPDX-License-Identifier: Apache-2.0
#include "tls/authority.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <stdexcept>
#include <system_error>

#include "base/file.h"
#include "tls/openssl.h"

namespace geres::tls {
namespace {

constexpr Millis kDay = 86'400'000;
constexpr Millis kAuthorityLasts = 3'652 * kDay, kServerLasts = 90 * kDay, kRenewBefore = 30 * kDay;
constexpr Millis kClocksDiffer = 3'600'000;  // of machines that are to trust what was made a moment ago

struct Pair {
  X509Ptr certificate;
  KeyPtr key;
};

template <class T>
T* made(T* object) {
  if (object == nullptr) throw std::runtime_error("a certificate could not be made: " + trouble());
  return object;
}

void did(int result) {
  if (result <= 0) throw std::runtime_error("a certificate could not be made: " + trouble());
}

void set_time(ASN1_TIME* to, Millis wall) {
  made(ASN1_TIME_set(to, std::time_t(wall / 1'000)));
}

void add_extension(X509* to, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX about{};
  X509V3_set_ctx(&about, issuer, to, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>> extension(
      made(X509V3_EXT_conf_nid(nullptr, &about, kind, value.c_str())));
  did(X509_add_ext(to, extension.get(), -1));
}

bool is_address(const std::string& name) {
  unsigned char raw[16];
  return ::inet_pton(AF_INET, name.c_str(), raw) == 1 || ::inet_pton(AF_INET6, name.c_str(), raw) == 1;
}

std::string alternative_names(const std::vector<std::string>& names) {
  std::string text;
  // A name with another character would be syntax of OpenSSL's.
  constexpr const char* kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:";
  for (const auto& name : names)
    if (!name.empty() && name.find_first_not_of(kPlain) == std::string::npos)
      text += (text.empty() ? "" : ",") + std::string(is_address(name) ? "IP:" : "DNS:") + name;
  return text;
}

// A key and a certificate for it that nobody has signed yet.
Pair blank(const std::string& common_name, Millis now, Millis lasts) {
  Pair pair{X509Ptr(made(X509_new())), KeyPtr(made(EVP_EC_gen("P-256")))};
  X509* const to = pair.certificate.get();
  did(X509_set_version(to, X509_VERSION_3));
  unsigned char serial[16];
  did(RAND_bytes(serial, sizeof serial));
  serial[0] &= 0x7f;  // positive
  const std::unique_ptr<BIGNUM, Freed<BN_free>> number(made(BN_bin2bn(serial, sizeof serial, nullptr)));
  made(BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(to)));
  set_time(X509_getm_notBefore(to), now - kClocksDiffer);
  set_time(X509_getm_notAfter(to), now + lasts);
  did(X509_NAME_add_entry_by_txt(X509_get_subject_name(to), "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0));
  did(X509_set_pubkey(to, pair.key.get()));
  return pair;
}

std::string pem_of(X509* certificate) {
  const BioPtr bio(made(BIO_new(BIO_s_mem())));
  did(PEM_write_bio_X509(bio.get(), certificate));
  return text_of(bio.get());
}

std::string pem_of(EVP_PKEY* key) {
  const BioPtr bio(made(BIO_new(BIO_s_secmem())));
  did(PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr));
  return text_of(bio.get());
}

// The key first: a certificate without its key is never seen.
void write_pair(const std::filesystem::path& directory, const std::string& name, const std::string& certificates,
                EVP_PKEY* key) {
  replace_file(directory / (name + ".key"), pem_of(key), 0600);
  replace_file(directory / (name + ".pem"), certificates, 0644);
}

void make_authority(const std::filesystem::path& directory, Millis now) {
  char machine[256] = "";
  ::gethostname(machine, sizeof machine - 1);
  const auto pair = blank(fmt::format("GeRes hub at {}", machine).substr(0, 64), now, kAuthorityLasts);
  X509* const to = pair.certificate.get();
  did(X509_set_issuer_name(to, X509_get_subject_name(to)));
  add_extension(to, to, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(to, to, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(to, to, NID_subject_key_identifier, "hash");
  did(X509_sign(to, pair.key.get(), EVP_sha256()));
  write_pair(directory, "ca", pem_of(to), pair.key.get());
}

Result<Pair> read_pair(const std::filesystem::path& directory) {
  const auto certificate_text = read_file(directory / "ca.pem"), key_text = read_file(directory / "ca.key");
  const auto certificate = bio_of(certificate_text), key = bio_of(key_text);
  Pair pair{X509Ptr(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr)),
            KeyPtr(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr))};
  const bool good = pair.certificate && pair.key && X509_check_private_key(pair.certificate.get(), pair.key.get()) == 1;
  ERR_clear_error();
  if (good) return pair;
  return fail(Code::badValue, fmt::format("the hub's own authority in '{}' is damaged", directory.string()),
              "tls-self-signed", "ca.pem and ca.key from a backup; or remove both, and give all clients the new pin");
}

bool serves(const std::filesystem::path& directory, const std::vector<std::string>& names, const Certificate& authority,
            Millis now) {
  std::error_code ignored;
  if (!std::filesystem::exists(directory / "server.pem", ignored)) return false;
  const ServerFiles files{directory / "server.pem", directory / "server.key", {}};
  const auto identity = load_server_identity(files, now);
  if (!identity || identity->certificate.issuer != authority.subject) return false;
  auto has = identity->certificate.names, wanted = names;
  std::sort(has.begin(), has.end());
  std::sort(wanted.begin(), wanted.end());
  return has == wanted && identity->certificate.until - now > kRenewBefore;
}

}  // namespace

Authority::Authority(std::filesystem::path directory, std::string pin)
    : directory_(std::move(directory)), pin_(std::move(pin)) {}

Result<Authority> Authority::open(const std::filesystem::path& directory, Millis now) {
  make_private_directory(directory);
  if (!std::filesystem::exists(directory / "ca.pem")) make_authority(directory, now);
  const auto pair = read_pair(directory);
  if (!pair) return pair.error();
  return Authority(directory, describe(pair->certificate.get()).pin);
}

Result<ServerFiles> Authority::server_files(const std::vector<std::string>& names, Millis now) const {
  const ServerFiles files{directory_ / "server.pem", directory_ / "server.key", {}};
  const auto authority = read_pair(directory_);
  if (!authority) return authority.error();
  X509* const issuer = authority->certificate.get();
  if (serves(directory_, names, describe(issuer), now)) return files;
  const auto pair = blank(names.front().substr(0, 64), now, kServerLasts);
  X509* const to = pair.certificate.get();
  did(X509_set_issuer_name(to, X509_get_subject_name(issuer)));
  add_extension(to, issuer, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(to, issuer, NID_key_usage, "critical,digitalSignature");
  add_extension(to, issuer, NID_ext_key_usage, "serverAuth");
  add_extension(to, issuer, NID_authority_key_identifier, "keyid:always");
  add_extension(to, issuer, NID_subject_alt_name, alternative_names(names));
  did(X509_sign(to, authority->key.get(), EVP_sha256()));
  // The authority's goes along, so that those who have only its pin can check the chain.
  write_pair(directory_, "server", pem_of(to) + pem_of(issuer), pair.key.get());
  return files;
}

}  // namespace geres::tls
