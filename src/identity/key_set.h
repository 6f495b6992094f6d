// SPDX-License-Identifier: Apache-2.0
// The public keys of an identity provider (RFC 7517): RSA of 2,048 to 8,192 bits and EC on P-256, for signatures. Keys
// of other kinds are left out, because providers publish those of all they do in one set.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace geres::identity {

enum class Algorithm { RS256, PS256, ES256 };
std::optional<Algorithm> algorithm_named(std::string_view name);
std::string_view algorithm_name(Algorithm algorithm);

struct Key {
  std::string id;  // `kid`
  std::shared_ptr<EVP_PKEY> key;
  bool elliptic = false;
  std::optional<Algorithm> only_for;  // its `alg`
  std::string print;                  // SHA-256 of the key itself

  bool fits(Algorithm algorithm) const;
};

// Why a key is not used is badValue. `jwk` must be one key, with or without a name.
Result<Key> read_key(const json::value& jwk);

class KeySet {
 public:
  static constexpr std::size_t kKeysMax = 64;

  // An error if it is no set of keys, or none of them can be used.
  static Result<KeySet> parse(std::string_view text);

  const std::vector<Key>& keys() const { return keys_; }
  bool has(std::string_view id) const;
  const Key* find(std::string_view id, Algorithm algorithm) const;
  bool holds(const Key& key) const;                                       // the same key by the same name
  const std::vector<std::string>& left_out() const { return left_out_; }  // why, for each

 private:
  std::vector<Key> keys_;
  std::vector<std::string> left_out_;
};

}  // namespace geres::identity
