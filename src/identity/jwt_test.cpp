// SPDX-License-Identifier: Apache-2.0
// Tokens, good and hostile: the corpus of testdata/make_tokens.py, Project Wycheproof's vectors, and what is said about
// each kind of mistake.
#include "identity/jwt.h"

#include <random>

#include "identity/identity_fixture_test.h"

namespace geres::identity {
namespace {

using testing::HasSubstr;

TEST(Tokens, OfTheCorpusAreJudgedAsTheyShould) {
  Corpus fixture;
  const auto lines = corpus();
  ASSERT_GE(lines.size(), 150u);
  for (const auto& line : lines) EXPECT_EQ(outcome_of(fixture.check(line.token)), line.outcome) << line.name;
  for (const auto& provider : fixture.verifier->providers())
    EXPECT_EQ(fixture.server.asked(provider->settings().name + "/keys"), 1) << "whatever keys the tokens name";
  std::int64_t all = 0;
  for (std::size_t i = 0; i < kOutcomes; ++i) all += fixture.verifier->checks(Outcome(i));
  EXPECT_EQ(all, std::int64_t(lines.size()));
}

TEST(Tokens, ThatAreChangedAnywhereAreRefused) {
  Corpus fixture;
  std::mt19937 chance(std::random_device{}());
  std::vector<Line> good;
  for (const auto& line : corpus())
    if (line.outcome == "good") good.push_back(line);
  for (int i = 0; i < 10'000; ++i) {
    const auto& line = good[chance() % good.size()];
    auto changed = line.token;
    for (auto changes = 1 + chance() % 3; changes > 0; --changes) {
      const auto at = chance() % changed.size();
      constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=";
      switch (chance() % 4) {
        case 0:
          changed[at] = kLetters[chance() % kLetters.size()];
          break;
        case 1:
          changed.erase(at, 1 + chance() % 3);
          break;
        case 2:
          changed.insert(at, 1, kLetters[chance() % kLetters.size()]);
          break;
        case 3:
          changed[at] = char(changed[at] ^ (1 << chance() % 8));
          break;
      }
      if (changed.empty()) break;
    }
    if (changed == line.token) continue;
    EXPECT_NE(outcome_of(fixture.check(changed)), "good") << line.name << ": " << changed;
  }
  EXPECT_EQ(fixture.server.asked("entra/keys"), 1);
}

// A file of theirs per line: name, what should become of it, key or keys, token.
TEST(Signatures, OfWycheproofAreJudgedAsTheyShould) {
  std::ifstream file(testdata("wycheproof.tsv"));
  int valid = 0, invalid = 0;
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at <= line.size();) {
      const auto end = std::min(line.find('\t', at), line.size());
      parts.push_back(line.substr(at, end - at)), at = end + 1;
    }
    ASSERT_EQ(parts.size(), 4u);
    const auto document = json::parse(parts[2]).value();
    const auto* set = document.get_object().if_contains("keys");
    const auto jws = parse_jws(parts[3]);
    bool good = false;
    for (const auto& jwk : set != nullptr ? set->get_array() : json::array{document}) {
      const auto key = read_key(jwk);
      good = good || (key && jws && is_signed_by(*jws, *key));
    }
    EXPECT_EQ(good ? "valid" : "invalid", parts[1]) << parts[0];
    ++(good ? valid : invalid);
  }
  EXPECT_GE(valid, 19);
  EXPECT_GE(invalid, 350);
}

TEST(Refusals, SayWhatIsWrongAndWhatWouldBeRight) {
  Corpus fixture;
  const auto refusal = [&](const std::string& name) { return fixture.check(token_called(name)).error().error; };
  const auto graph = refusal("for Microsoft Graph, as its header says");
  EXPECT_THAT(graph.message, HasSubstr("for Microsoft Graph"));
  EXPECT_THAT(graph.hint, HasSubstr("api://geres/.default"));
  EXPECT_THAT(refusal("aud is Microsoft Graph").message, HasSubstr("for Microsoft Graph"));
  const auto audience = refusal("aud of somebody else");
  EXPECT_THAT(audience.message, HasSubstr("\"api://other\""));
  EXPECT_THAT(audience.message, HasSubstr("'api://geres' or 'geres-client'"));
  const auto id_token = refusal("an ID token of the same application");
  EXPECT_THAT(id_token.message, HasSubstr("an ID token"));
  EXPECT_THAT(id_token.hint, HasSubstr("access_token"));
  const auto expired = refusal("expired");
  EXPECT_EQ(expired.code, Code::tokenExpired);
  EXPECT_THAT(expired.message, HasSubstr("2027-01-15T07:58:59"));
  const auto no_role = refusal("no roles");
  EXPECT_EQ(no_role.code, Code::noRole);
  EXPECT_THAT(refusal("strict: no tenant").message, HasSubstr("no tenant"));
  EXPECT_THAT(refusal("five parts").message, HasSubstr("encrypted"));
  EXPECT_THAT(refusal("strict: JWT").hint, HasSubstr("\"types\": \"any\""));
  EXPECT_THAT(refusal("iss of somebody else").hint, HasSubstr("https://login.test/v2.0"));
  EXPECT_THAT(refusal("unknown kid").hint, HasSubstr("discoveryUrl"));
  for (const auto& line : corpus()) {
    if (line.outcome == "good") continue;
    const auto error = fixture.check(line.token).error().error;
    EXPECT_LT(error.message.size(), 800u) << line.name;
    EXPECT_EQ(error.message.find('\n'), std::string::npos) << line.name;
  }
}

TEST(Refusals, OfEntrasOtherVersionSayWhatDecidesIt) {
  auto config =
      parse_auth_config(
          R"({"providers":[{"name":"e","issuer":"https://login.microsoftonline.com/T/v2.0","audiences":["a"]}]})")
          .value();
  TestClock clock;
  Verifier verifier(config, {}, clock);  // not started: nothing is asked
  const auto token = token_called("v1 issuer, by a rule");
  const auto other = checked(verifier, token);
  EXPECT_EQ(other.error().error.hint.find("requestedAccessTokenVersion"), std::string::npos) << "not Entra's at all";
  // {"alg":"RS256","kid":"r"}.{"iss":"https://sts.windows.net/T/"}.x
  const auto v1 =
      checked(verifier, "eyJhbGciOiJSUzI1NiIsImtpZCI6InIifQ.eyJpc3MiOiJodHRwczovL3N0cy53aW5kb3dzLm5ldC9ULyJ9.AA");
  EXPECT_EQ(v1.error().outcome, Outcome::issuer);
  EXPECT_THAT(v1.error().error.hint, HasSubstr("requestedAccessTokenVersion"));
}

TEST(Keys, AreLeftOutWithAReason) {
  const auto keys = KeySet::parse(read_file(testdata("keys.json"))).value();
  EXPECT_EQ(keys.keys().size(), 9u);
  EXPECT_EQ(keys.left_out().size(), 18u);
  for (const auto& why : keys.left_out()) EXPECT_FALSE(why.empty());
  for (const auto* bad : {"{}", "[]", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[1]}", "{\"keys\":[{}]}", "x"})
    EXPECT_FALSE(KeySet::parse(bad)) << bad;
  const auto twice = R"({"keys":[],"keys":[]})";
  EXPECT_EQ(KeySet::parse(twice).error().code, Code::malformedJson);
  std::string many = "{\"keys\":[{}";
  for (std::size_t i = 0; i < KeySet::kKeysMax; ++i) many += ",{}";
  EXPECT_THAT(KeySet::parse(many + "]}").error().message, HasSubstr("more than 64 keys"));
}

}  // namespace
}  // namespace geres::identity
