// SPDX-License-Identifier: Apache-2.0
#include "identity/key_set.h"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#include <algorithm>

#include "base/base64.h"
#include "base/openssl.h"
#include "base/sha256.h"

namespace geres::identity {
namespace {

using Number = openssl::Owned<BIGNUM, BN_free>;
using Builder = openssl::Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Params = openssl::Owned<OSSL_PARAM, OSSL_PARAM_free>;
using Context = openssl::Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;

constexpr int kBitsMin = 2'048, kBitsMax = 8'192;
constexpr std::size_t kExponentBytesMax = 4, kFieldBytes = 32;

Error unusable(std::string why) {
  return fail(Code::badValue, std::move(why));
}

// Whatever OpenSSL put down as an error is ours, and must not be taken for somebody else's later.
struct QuietErrors {
  ~QuietErrors() { ERR_clear_error(); }
};

std::shared_ptr<EVP_PKEY> made_of(const char* kind, OSSL_PARAM* params) {
  const QuietErrors quiet;
  const Context context(EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr));
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
    return nullptr;
  std::shared_ptr<EVP_PKEY> made(key, openssl::Freed<EVP_PKEY_free>());
  const Context check(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  return check && EVP_PKEY_public_check(check.get()) == 1 ? made : nullptr;
}

std::optional<std::string> bytes_of(const json::object& jwk, std::string_view name) {
  const auto* member = jwk.if_contains(name);
  if (member == nullptr || !member->is_string()) return std::nullopt;
  return from_base64url(std::string_view(member->get_string()));
}

Number number_of(const std::string& bytes) {
  return Number(BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), int(bytes.size()), nullptr));
}

// Keys of a chip that made primes of a form of its own (CVE-2017-15361) can be factored. Modulo any small prime they
// are powers of 65537, which other moduli are for all these primes at once about never.
bool is_of_a_weak_chip(const BIGNUM* modulus) {
  for (unsigned p = 3; p <= 167; p += 2) {
    bool prime = true;
    for (unsigned divisor = 3; divisor * divisor <= p; divisor += 2) prime = prime && p % divisor != 0;
    if (!prime) continue;
    const auto wanted = BN_mod_word(modulus, p);
    unsigned power = 1, steps = 0;
    while (power != wanted && ++steps < p) power = power * (65'537 % p) % p;
    if (power != wanted) return false;
  }
  return true;
}

Result<std::shared_ptr<EVP_PKEY>> read_rsa(const json::object& jwk) {
  const auto n = bytes_of(jwk, "n"), e = bytes_of(jwk, "e");
  if (!n || !e || n->empty() || e->empty()) return unusable("`n` or `e` is not base64url");
  if (n->size() > kBitsMax / 8 + 1 || e->size() > kExponentBytesMax)
    return unusable("its modulus or exponent is too large");
  const auto modulus = number_of(*n), exponent = number_of(*e);
  const int bits = BN_num_bits(modulus.get());
  if (bits < kBitsMin || bits > kBitsMax)
    return unusable(fmt::format("it has {} bits, and not {} to {}", bits, kBitsMin, kBitsMax));
  if (!BN_is_odd(modulus.get()) || !BN_is_odd(exponent.get()) || BN_is_one(exponent.get()))
    return unusable("its numbers are not those of an RSA key");
  if (is_of_a_weak_chip(modulus.get())) return unusable("it was made by a chip whose keys can be broken (ROCA)");
  const Builder builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
  const Params params(OSSL_PARAM_BLD_to_param(builder.get()));
  auto key = made_of("RSA", params.get());
  if (!key) return unusable("its numbers are not those of an RSA key");
  return key;
}

Result<std::shared_ptr<EVP_PKEY>> read_ec(const json::object& jwk) {
  const auto* curve = jwk.if_contains("crv");
  if (curve == nullptr || *curve != "P-256") return unusable("its curve is not P-256");
  const auto x = bytes_of(jwk, "x"), y = bytes_of(jwk, "y");
  if (!x || !y || x->size() != kFieldBytes || y->size() != kFieldBytes)
    return unusable("`x` or `y` is not base64url of 32 bytes");
  std::string point = "\x04" + *x + *y;
  char group[] = "P-256";
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                         OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()),
                         OSSL_PARAM_construct_end()};
  auto key = made_of("EC", params);
  if (!key) return unusable("its point is not on the curve");
  return key;
}

// What the key says that it is for (RFC 7517, 4.2 to 4.4) must include checking signatures.
Result<void> check_purpose(const json::object& jwk) {
  if (const auto* use = jwk.if_contains("use"); use != nullptr && *use != "sig")
    return unusable("it is not for signatures (`use`)");
  if (const auto* operations = jwk.if_contains("key_ops")) {
    const auto* list = operations->if_array();
    if (list == nullptr || std::find(list->begin(), list->end(), json::value("verify")) == list->end())
      return unusable("it is not for checking signatures (`key_ops`)");
  }
  for (const auto name : {"d", "k"})
    if (jwk.contains(name)) return unusable("it is a secret key");
  return {};
}

std::string print_of(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return {};
  const std::unique_ptr<unsigned char, void (*)(unsigned char*)> held(der, [](unsigned char* p) { OPENSSL_free(p); });
  return sha256_hex({reinterpret_cast<const char*>(der), std::size_t(size)});
}

Result<Key> named_key(const json::value& jwk) {
  auto key = read_key(jwk);
  if (key && key->id.empty()) return unusable("it has no name (`kid`)");
  return key;
}

}  // namespace

std::optional<Algorithm> algorithm_named(std::string_view name) {
  for (const auto algorithm : {Algorithm::RS256, Algorithm::PS256, Algorithm::ES256})
    if (name == algorithm_name(algorithm)) return algorithm;
  return std::nullopt;
}

std::string_view algorithm_name(Algorithm algorithm) {
  return algorithm == Algorithm::RS256 ? "RS256" : algorithm == Algorithm::PS256 ? "PS256" : "ES256";
}

bool Key::fits(Algorithm algorithm) const {
  return elliptic == (algorithm == Algorithm::ES256) && (!only_for || *only_for == algorithm);
}

Result<Key> read_key(const json::value& jwk) {
  const auto* members = jwk.if_object();
  if (members == nullptr) return unusable("it is no object");
  Key key;
  if (const auto* id = members->if_contains("kid")) {
    if (!id->is_string() || id->get_string().empty() || id->get_string().size() > 200)
      return unusable("its name (`kid`) is not a text of at most 200 bytes");
    key.id = std::string(id->get_string());
  }
  if (auto ok = check_purpose(*members); !ok) return ok.error();
  const auto* kind = members->if_contains("kty");
  key.elliptic = kind != nullptr && *kind == "EC";
  if (!key.elliptic && (kind == nullptr || *kind != "RSA")) return unusable("it is neither RSA nor EC (`kty`)");
  if (const auto* algorithm = members->if_contains("alg")) {
    key.only_for = algorithm->is_string() ? algorithm_named(std::string_view(algorithm->get_string())) : std::nullopt;
    if (!key.only_for || (*key.only_for == Algorithm::ES256) != key.elliptic)
      return unusable("it is for an algorithm that is not taken here (`alg`)");
  }
  auto made = key.elliptic ? read_ec(*members) : read_rsa(*members);
  if (!made) return made.error();
  key.key = std::move(*made);
  key.print = print_of(key.key.get());
  return key;
}

Result<KeySet> KeySet::parse(std::string_view text) {
  json::Arena arena;
  const auto document = json::parse(text, arena.storage());
  if (!document) return document.error();
  const auto* members = document->if_object();
  const auto* list = members != nullptr ? members->if_contains("keys") : nullptr;
  if (list == nullptr || !list->is_array()) return fail(Code::badValue, "it has no list `keys`");
  if (list->get_array().size() > kKeysMax)
    return fail(Code::badValue, fmt::format("it has more than {} keys", kKeysMax));
  KeySet set;
  for (const auto& jwk : list->get_array()) {
    auto key = named_key(jwk);
    const bool twice = key && std::any_of(set.keys_.begin(), set.keys_.end(), [&](const Key& other) {
                         return other.id == key->id && other.elliptic == key->elliptic;
                       });
    if (twice) key = unusable("another key has its name");
    if (key)
      set.keys_.push_back(std::move(*key));
    else
      set.left_out_.push_back(key.error().message);
  }
  if (set.keys_.empty())
    return fail(Code::badValue, set.left_out_.empty()
                                    ? "it has no keys"
                                    : "it has no key that can be used; of the first one: " + set.left_out_.front());
  return set;
}

bool KeySet::has(std::string_view id) const {
  return std::any_of(keys_.begin(), keys_.end(), [&](const Key& key) { return key.id == id; });
}

const Key* KeySet::find(std::string_view id, Algorithm algorithm) const {
  const auto found =
      std::find_if(keys_.begin(), keys_.end(), [&](const Key& key) { return key.id == id && key.fits(algorithm); });
  return found != keys_.end() ? &*found : nullptr;
}

bool KeySet::holds(const Key& key) const {
  return std::any_of(keys_.begin(), keys_.end(),
                     [&](const Key& other) { return other.id == key.id && other.print == key.print; });
}

}  // namespace geres::identity
