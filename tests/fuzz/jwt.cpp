// SPDX-License-Identifier: Apache-2.0
// A bearer token with two dots. Promises: whatever it is, there is an outcome and one line that says why; only what an
// encoder would write is taken apart; and without the provider's key nothing is good.
#include "identity/jwt.h"
#include "base/bytes.h"
#include "base/file.h"
#include "target.h"

using namespace geres;
using fuzz::must;

namespace {

// Of RFC 7517, appendix A.1: nobody who writes inputs has its private half here.
const identity::Key& key() {
  static const auto key = [] {
    const auto jwk = json::parse(
        R"({"kty":"EC","crv":"P-256","kid":"k","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})");
    return identity::read_key(jwk.value()).value();
  }();
  return key;
}

void must_say(const identity::Refusal& refusal) {
  must(!refusal.error.message.empty() && valid_utf8(refusal.error.message) && refusal.error.message.size() < 2'000 &&
           refusal.error.message.find('\n') == std::string::npos,
       "a refusal is one line of text", refusal.error.message);
}

}  // namespace

GERES_FUZZ_TARGET(jwt) {
  const auto jwt = identity::parse_jwt(bytes);
  if (!jwt) return must_say(jwt.error());
  must(bytes.size() <= identity::kTokenBytesMax, "a token is bounded");
  must(std::count(bytes.begin(), bytes.end(), '.') == 2 && bytes.starts_with(jwt->signed_text), "it has three parts");
  must(!identity::is_signed_by(*jwt, key()), "nobody has signed this", bytes);
  for (const auto* type : {"", "at+jwt"}) {
    const identity::ClaimRules rules{.issuer = "https://id.test/", .audiences = {"api"}, .only_at_jwt = *type != 0};
    const auto ok = identity::check_claims(*jwt, rules, 1'800'000'000'000);
    if (!ok) must_say(ok.error());
    if (!ok) continue;
    const auto ends = identity::expiry_of(jwt->claims);
    must(ends > 1'800'000'000'000 - identity::kSkewMax, "what is taken has not expired", bytes);
    must(identity::text_of(jwt->claims, "iss") == rules.issuer, "and is of the issuer", bytes);
  }
}
