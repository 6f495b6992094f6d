// SPDX-License-Identifier: Apache-2.0
#include "identity/jwt.h"

#include <fmt/format.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <algorithm>

#include "base/base64.h"
#include "base/bytes.h"

namespace geres::identity {
namespace {

constexpr std::size_t kKeyIdBytesMax = 200;
constexpr std::size_t kEcdsaBytes = 64;
constexpr int kPssSaltBytes = 32;

Refusal malformed(std::string message, std::string hint = {}) {
  return refuse(Outcome::malformed, "the token cannot be read: " + message, std::move(hint));
}

// Of what came from outside, for a message.
std::string shown(std::string_view text) {
  return plain_line(utf8_prefix(text, 200));
}

struct Parts {
  std::string_view header, payload, signature, signed_text;
};

Checked<Parts> split(std::string_view token) {
  if (token.size() > kTokenBytesMax)
    return malformed(fmt::format("it is longer than {} bytes", kTokenBytesMax), "leave out groups, and use app roles");
  const auto dots = std::count(token.begin(), token.end(), '.');
  if (dots == 4)
    return malformed("it has five parts, so it is encrypted", "have the provider give out signed tokens (JWS)");
  if (dots != 2) return malformed(fmt::format("it has {} parts, and not three", dots + 1));
  const auto first = token.find('.'), second = token.find('.', first + 1);
  return Parts{token.substr(0, first), token.substr(first + 1, second - first - 1), token.substr(second + 1),
               token.substr(0, second)};
}

Checked<json::object> parse_object(std::string_view text, std::string_view what) {
  const auto document = json::parse(text);
  if (!document) return malformed(fmt::format("its {} is not JSON ({})", what, document.error().message));
  const auto* members = document->if_object();
  if (members == nullptr)
    return malformed(fmt::format("its {} is {}, and not an object", what, json::kind_name(*document)));
  return *members;
}

// What changes the meaning of all the rest, and which no provider's access token has.
Checked<void> check_header(const json::object& header) {
  for (const auto name : {"crit", "b64", "zip"})
    if (header.contains(name)) return malformed(fmt::format("its header has `{}`, which is not understood here", name));
  return {};
}

Checked<Algorithm> algorithm_of(const json::object& header) {
  const auto name = text_of(header, "alg");
  if (const auto algorithm = algorithm_named(name)) return *algorithm;
  return refuse(Outcome::algorithm,
                name.empty() ? "the token's header names no algorithm (`alg`)"
                             : fmt::format("the token's algorithm '{}' is not taken here", shown(name)),
                "have the provider sign with RS256, PS256 or ES256");
}

// Both halves as the ASN.1 that OpenSSL reads; empty if they are not what they should be.
std::string der_of(const std::string& signature) {
  if (signature.size() != kEcdsaBytes) return {};
  const auto half = [&](std::size_t from) {
    return BN_bin2bn(reinterpret_cast<const unsigned char*>(signature.data()) + from, kEcdsaBytes / 2, nullptr);
  };
  const std::unique_ptr<ECDSA_SIG, void (*)(ECDSA_SIG*)> both(ECDSA_SIG_new(), ECDSA_SIG_free);
  ECDSA_SIG_set0(both.get(), half(0), half(kEcdsaBytes / 2));
  std::string der(std::size_t(i2d_ECDSA_SIG(both.get(), nullptr)), '\0');
  auto* to = reinterpret_cast<unsigned char*>(der.data());
  i2d_ECDSA_SIG(both.get(), &to);
  return der;
}

// A number of seconds since 1970; nullopt if it is absent.
Checked<std::optional<double>> time_of(const json::object& claims, std::string_view name) {
  const auto* claim = claims.if_contains(name);
  if (claim == nullptr) return std::nullopt;
  if (!claim->is_number())
    return refuse(Outcome::times,
                  fmt::format("the token's `{}` is {}, and not a number", name, json::kind_name(*claim)));
  const auto seconds = claim->to_number<double>();
  if (seconds >= 0 && seconds < 1e11) return seconds;
  return refuse(Outcome::times, fmt::format("the token's `{}` is no time", name));
}

std::string time_text(double seconds) {
  return format_time(Millis(seconds * 1'000));
}

Checked<void> check_times(const json::object& claims, Millis now) {
  const auto expires = time_of(claims, "exp"), begins = time_of(claims, "nbf"), issued = time_of(claims, "iat");
  for (const auto* time : {&expires, &begins, &issued})
    if (!*time) return time->error();
  if (!*expires) return refuse(Outcome::times, "the token has no end (`exp`)");
  const double at = double(now) / 1'000, skew = double(kSkewMax) / 1'000;
  if (at >= **expires + skew)
    return refuse(Outcome::expired, fmt::format("the token has expired at {}", time_text(**expires)));
  for (const auto& [time, name] : {std::pair(*begins, "nbf"), std::pair(*issued, "iat")})
    if (time && at + skew < *time)
      return refuse(Outcome::times,
                    fmt::format("the token is of a time to come: its `{}` is {}, and here it is {}", name,
                                time_text(*time), format_time(now)),
                    "check the clocks of the provider's machine and of this one");
  if (*issued && **expires - **issued > double(kLifeMax) / 1'000)
    return refuse(Outcome::times, "the token lives longer than 25 hours",
                  "have the provider give out access tokens that last an hour or so");
  return {};
}

bool names_one_of(const json::value& audience, const std::vector<std::string>& wanted) {
  if (const auto* list = audience.if_array())
    return std::any_of(list->begin(), list->end(),
                       [&](const json::value& one) { return one.is_string() && names_one_of(one, wanted); });
  return audience.is_string() &&
         std::find(wanted.begin(), wanted.end(), std::string_view(audience.get_string())) != wanted.end();
}

constexpr std::string_view kGraph[] = {"00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com",
                                       "https://graph.microsoft.com/"};

Checked<void> check_audience(const json::object& claims, const ClaimRules& rules) {
  const auto* audience = claims.if_contains("aud");
  if (audience != nullptr && names_one_of(*audience, rules.audiences)) return {};
  const std::string wanted = fmt::format("'{}'", fmt::join(rules.audiences, "' or '"));
  if (std::find(std::begin(kGraph), std::end(kGraph), text_of(claims, "aud")) != std::end(kGraph))
    return refuse(Outcome::audience, "this token is for Microsoft Graph, and not for this hub",
                  scope_hint(rules.audiences.front()));
  const std::string got = audience == nullptr ? "nobody" : shown(boost::json::serialize(*audience));
  return refuse(Outcome::audience, fmt::format("the token is for {} (`aud`), and not for {}", got, wanted),
                scope_hint(rules.audiences.front()));
}

// One registration may be the API and its login client at once: then ID tokens have the issuer and the audience of
// access tokens, and only these tell them apart.
Checked<void> check_kind(const Jwt& jwt, const ClaimRules& rules) {
  const auto access = jwt.type == "at+jwt" || jwt.type == "application/at+jwt";
  const auto any = access || jwt.type.empty() || jwt.type == "jwt";
  if (rules.only_at_jwt ? !access : !any)
    return refuse(Outcome::kind, fmt::format("the token's `typ` is '{}', so it is no access token", shown(jwt.type)),
                  rules.only_at_jwt
                      ? "send an access token; where the provider does not say at+jwt, set \"types\": \"any\""
                      : "send an access token");
  const auto id_token = [](std::string_view why) {
    return refuse(Outcome::kind, fmt::format("this is an ID token, and not an access token: it has {}", why),
                  "send the access_token of the provider's answer");
  };
  for (const auto name : {"nonce", "at_hash", "c_hash"})
    if (jwt.claims.contains(name)) return id_token(fmt::format("`{}`", name));
  if (text_of(jwt.claims, "azp").empty() && text_of(jwt.claims, "appid").empty() &&
      text_of(jwt.claims, "client_id").empty())
    return id_token("neither `azp` nor `appid` nor `client_id`");
  return {};
}

}  // namespace

Checked<Jws> parse_jws(std::string_view token) {
  const auto parts = split(token);
  if (!parts) return parts.error();
  const auto header = from_base64url(parts->header);
  auto payload = from_base64url(parts->payload), signature = from_base64url(parts->signature);
  if (!header || !payload || !signature) return malformed("it is not base64url without padding");
  auto members = parse_object(*header, "header");
  if (!members) return members.error();
  if (auto ok = check_header(*members); !ok) return ok.error();
  const auto algorithm = algorithm_of(*members);
  if (!algorithm) return algorithm.error();
  if (signature->empty()) return malformed("it has no signature");
  Jws jws{.header = std::move(*members), .algorithm = *algorithm};
  jws.key_id = text_of(jws.header, "kid");
  jws.type = text_of(jws.header, "typ");
  std::transform(jws.type.begin(), jws.type.end(), jws.type.begin(),
                 [](unsigned char c) { return c >= 'A' && c <= 'Z' ? char(c | 0x20) : char(c); });
  if (jws.header.contains("typ") && jws.type.empty()) return malformed("its `typ` is no text");
  jws.payload = std::move(*payload);
  jws.signature = std::move(*signature);
  jws.signed_text = parts->signed_text;
  return jws;
}

bool is_signed_by(const Jws& jws, const Key& key) {
  if (!key.fits(jws.algorithm)) return false;
  const std::string signature = key.elliptic ? der_of(jws.signature) : jws.signature;
  if (signature.empty()) return false;
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* settings = nullptr;
  bool good = EVP_DigestVerifyInit(context.get(), &settings, EVP_sha256(), nullptr, key.key.get()) == 1;
  if (jws.algorithm == Algorithm::PS256)
    good = good && EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, kPssSaltBytes) == 1;
  good = good &&
         EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                          reinterpret_cast<const unsigned char*>(jws.signed_text.data()), jws.signed_text.size()) == 1;
  ERR_clear_error();  // this thread's next TLS call would take it for its own
  return good;
}

Checked<Jwt> parse_jwt(std::string_view token) {
  auto jws = parse_jws(token);
  if (!jws) return jws.error();
  if (jws->key_id.empty() || jws->key_id.size() > kKeyIdBytesMax)
    return refuse(Outcome::key, "the token's header does not name its key (`kid`)");
  auto claims = parse_object(jws->payload, "payload");
  if (!claims) return claims.error();
  return Jwt{std::move(*jws), std::move(*claims)};
}

bool is_for_graph(const Jws& jws) {
  return jws.header.contains("nonce");
}

std::string scope_hint(std::string_view audience) {
  return fmt::format("ask the provider for a token for '{}' (at Microsoft Entra ID: the scope {}{}/.default)", audience,
                     audience.find(':') == std::string_view::npos ? "api://" : "", audience);
}

Checked<void> check_claims(const Jwt& jwt, const ClaimRules& rules, Millis now) {
  if (text_of(jwt.claims, "iss") != rules.issuer)
    return refuse(Outcome::issuer, fmt::format("the token is not of the issuer '{}'", rules.issuer));
  if (!rules.tenant.empty() && text_of(jwt.claims, "tid") != rules.tenant)
    return refuse(Outcome::issuer, "the token's `tid` is another than its issuer's");
  if (auto ok = check_audience(jwt.claims, rules); !ok) return ok;
  if (auto ok = check_kind(jwt, rules); !ok) return ok;
  if (text_of(jwt.claims, "sub").empty() && text_of(jwt.claims, "oid").empty())
    return refuse(Outcome::subject, "the token does not say whose it is (`sub`)");
  return check_times(jwt.claims, now);
}

Checked<void> check_id_token(const Jwt& jwt, const ClaimRules& rules, std::string_view nonce, Millis now) {
  if (text_of(jwt.claims, "iss") != rules.issuer)
    return refuse(Outcome::issuer, fmt::format("the ID token is not of the issuer '{}'", rules.issuer));
  if (!rules.tenant.empty() && text_of(jwt.claims, "tid") != rules.tenant)
    return refuse(Outcome::issuer, "the ID token's `tid` is another than its issuer's");
  if (auto ok = check_audience(jwt.claims, rules); !ok) return ok;
  const auto& client = rules.audiences.front();
  const auto* audience = jwt.claims.at("aud").if_array();
  const bool several = audience != nullptr && audience->size() > 1;
  if (jwt.claims.contains("azp") ? text_of(jwt.claims, "azp") != client : several)
    return refuse(Outcome::audience, "the ID token was made for another client (`azp`)");
  if (!jwt.type.empty() && jwt.type != "jwt")
    return refuse(Outcome::kind, fmt::format("the token's `typ` is '{}', so it is no ID token", shown(jwt.type)));
  if (nonce.empty() || text_of(jwt.claims, "nonce") != nonce)
    return refuse(Outcome::kind, "the ID token is of another sign-in (`nonce`)");
  if (text_of(jwt.claims, "sub").empty())
    return refuse(Outcome::subject, "the ID token does not say whose it is (`sub`)");
  return check_times(jwt.claims, now);
}

Millis expiry_of(const json::object& claims) {
  return Millis(claims.at("exp").to_number<double>() * 1'000);
}

std::string_view text_of(const json::object& claims, std::string_view name) {
  const auto* claim = claims.if_contains(name);
  return claim != nullptr && claim->is_string() ? std::string_view(claim->get_string()) : std::string_view();
}

}  // namespace geres::identity
