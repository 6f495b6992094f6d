// SPDX-License-Identifier: Apache-2.0
// Access tokens of identity providers: JSON Web Tokens (RFC 7519), read and checked as RFC 8725 and 9068 advise.
// Reading and the claims are ours, the arithmetic is OpenSSL's. Why no library: docs/adr/0015-own-jwt.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "identity/key_set.h"
#include "identity/refusal.h"

namespace geres::identity {

constexpr std::size_t kTokenBytesMax = 16'384;

// A signed text (RFC 7515) whose header is understood. Nothing in it has been checked.
struct Jws {
  json::object header;
  Algorithm algorithm = Algorithm::RS256;
  std::string key_id;
  std::string type;     // `typ` in lower case
  std::string payload;  // bytes
  std::string signature;
  std::string_view signed_text;  // points into the token
};
Checked<Jws> parse_jws(std::string_view token);
bool is_signed_by(const Jws& jws, const Key& key);

struct Jwt : Jws {
  json::object claims;
};
Checked<Jwt> parse_jwt(std::string_view token);  // a Jws that names its key and has claims

// Microsoft Graph's tokens have a `nonce` in their header, which is changed before it is signed: nobody else can check
// them.
bool is_for_graph(const Jws& jws);
// What to ask the provider for, so that a token is for this audience.
std::string scope_hint(std::string_view audience);

struct ClaimRules {
  std::string issuer;
  std::vector<std::string> audiences;  // one of them
  bool only_at_jwt = false;            // `typ` must say that it is an access token (RFC 9068)
  std::string tenant;                  // `tid`, if not empty
};
constexpr Millis kSkewMax = 60'000;  // by which clocks may differ
constexpr Millis kLifeMax = 25 * 3'600'000LL;

Checked<void> check_claims(const Jwt& jwt, const ClaimRules& rules, Millis now);
// Of an ID token (OpenID Connect Core 1.0, 3.1.3.7): `rules` have the client's id as the only audience.
Checked<void> check_id_token(const Jwt& jwt, const ClaimRules& rules, std::string_view nonce, Millis now);

// Of a token whose claims were checked.
Millis expiry_of(const json::object& claims);
// A claim that is a text; empty if it is absent or something else.
std::string_view text_of(const json::object& claims, std::string_view name);

}  // namespace geres::identity
