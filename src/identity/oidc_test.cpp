// SPDX-License-Identifier: Apache-2.0
// Against a certified provider (tests/servers/oidc_provider.mjs), and tokens as Microsoft Entra ID has them.
#include <gmock/gmock.h>

#include "identity/identity_fixture_test.h"
#include "transport/server_process_test.h"

namespace geres::identity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// The time of day is the real one, because the provider's is; pauses are over when the test says so.
class PausesClock final : public Clock {
 public:
  Millis wall() const override { return SystemClock().wall(); }
  Millis monotonic() const override { return SystemClock().monotonic() + over_; }
  void pass(Millis time) { over_ += time; }

 private:
  std::atomic<Millis> over_{0};
};

std::string posted(const std::string& url, std::string body, const std::string& type) {
  transport::Loop loop({.patience = 0, .proxies = false});
  std::optional<transport::Answer<transport::Reply>> answer;
  loop.start(transport::Call{.method = "POST", .other = url, .body = std::move(body), .content_type = type},
             [&](auto got) { answer.emplace(std::move(got)); });
  while (!answer) loop.turn(100);
  if (*answer) return (*answer)->body;
  ADD_FAILURE() << url << ": " << answer->error().error.message << answer->error().body;
  return {};
}

struct OidcTest : testing::Test {
  transport::ServerProcess server{"oidc.py"};
  PausesClock clock;
  std::unique_ptr<Verifier> verifier;

  std::string issuer() const { return server.told("issuer"); }
  void test(const std::string& what) { posted(issuer() + "/test/" + what, "{}", "application/json"); }
  std::string token() {
    const auto answer = posted(issuer() + "/token",
                               "grant_type=client_credentials&client_id=nightly&client_secret=the-secret-of-nightly&"
                               "scope=jobs",
                               "application/x-www-form-urlencoded");
    return std::string(json::parse(answer).value().at("access_token").get_string());
  }
  std::string entra(const std::string& version, const std::string& claims = "{}") {
    return posted(issuer() + "/test/entra/" + version, claims, "application/json");
  }
  void start(FetchTimes times = {}) {
    const auto provider = [](const std::string& name, const std::string& issuer, const std::string& more) {
      return R"({"name":")" + name + R"(","issuer":")" + issuer + R"(",)" + more +
             R"(,"roles":{"claim":"roles","map":{"Jobs.Submit":"submitter"}}})";
    };
    const auto config = parse_auth_config(
        "{\"providers\":[" +
        provider("oidc", issuer(),
                 R"("audiences":["api://geres"],"types":"at+jwt","tenants":{"claim":"tenant","map":{"*":"same"}},
                    "scopes":{"claim":"scope","map":{"jobs":"submitter","jobs.read":"viewer"}})") +
        "," +
        provider("entra1", server.told("entra1"),
                 R"("audiences":["api://geres"],"tenants":{"claim":"t","else":"acme"})") +
        "," +
        provider("entra2", server.told("entra2"),
                 R"("audiences":["geres-client"],"tenants":{"claim":"t","else":"acme"},
                    "scopes":{"claim":"scp","map":{"jobs.read":"viewer"}})") +
        R"(],"rules":[{"provider":"entra2","when":{"azp":"boss"},"roles":["admin"],"tenants":["*"]}]})");
    verifier = std::make_unique<Verifier>(config.value(), Verifier::Options{.http = {.proxies = false}, .times = times},
                                          clock);
    verifier->start();
  }
  Checked<CallerPtr> check(const std::string& token) { return checked(*verifier, token); }
};

TEST_F(OidcTest, AnApplicationsTokenIsTaken) {
  start();
  const auto caller = check(token());
  ASSERT_TRUE(caller) << caller.error().error.message;
  EXPECT_EQ((*caller)->provider, "oidc");
  EXPECT_EQ((*caller)->who.subject, "nightly");
  EXPECT_TRUE((*caller)->who.application);
  EXPECT_THAT((*caller)->who.name, StartsWith("oidc:nightly#"));
  EXPECT_THAT((*caller)->rights.roles, ElementsAre(model::Role::submitter));
  EXPECT_THAT((*caller)->rights.tenants, ElementsAre("demo"));
}

// By code and PKCE, as a browser would.
json::object signed_in(const std::string& issuer, const std::string& name, const std::string& scope) {
  const auto command = "python3 " + std::string(std::getenv("GERES_TEST_SERVERS")) + "/oidc_sign_in.py " + issuer +
                       " " + name + " '" + scope + "'";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string said;
  for (int c; (c = std::fgetc(pipe.get())) != EOF;) said += char(c);
  return json::parse(said).value().get_object();
}

TEST_F(OidcTest, APersonsTokenIsTakenAndTheirIdTokenIsNot) {
  start();
  const auto token = [](const json::object& tokens, const char* name) {
    return std::string(tokens.at(name).get_string());
  };
  const auto ann = signed_in(issuer(), "ann", "openid jobs");
  const auto caller = check(token(ann, "access_token"));
  ASSERT_TRUE(caller) << caller.error().error.message;
  EXPECT_EQ((*caller)->who.subject, "ann");
  EXPECT_EQ((*caller)->who.client, "page");
  EXPECT_FALSE((*caller)->who.application);
  EXPECT_THAT((*caller)->rights.roles, ElementsAre(model::Role::submitter));
  const auto id_token = check(token(ann, "id_token"));
  EXPECT_FALSE(id_token) << "of the same provider, for the page itself";
  const auto looks = check(token(signed_in(issuer(), "ben", "openid jobs.read"), "access_token"));
  EXPECT_THAT(looks.value()->rights.roles, ElementsAre(model::Role::viewer)) << "what the page asked for bounds it";
  EXPECT_EQ(outcome_of(check(token(signed_in(issuer(), "guest", "openid jobs"), "access_token"))), "noRole");
}

TEST_F(OidcTest, NewKeysAreFetchedWhenATokenNamesThem) {
  start();
  const auto before = token();
  EXPECT_EQ(outcome_of(check(before)), "good");
  test("rollover");
  const auto after = token();
  EXPECT_EQ(outcome_of(check(after)), "key") << "the last fetch was a moment ago";
  clock.pass(30'000);
  EXPECT_EQ(outcome_of(check(after)), "good");
  EXPECT_EQ(outcome_of(check(before)), "good") << "its key is still published";
  EXPECT_EQ(verifier->providers().front()->fetches(Fetched::good), 2);
}

TEST_F(OidcTest, AProviderInTroubleIsHeardAgainWhenItIsBack) {
  for (const auto* how : {"away", "slow", "lying", "large", "redirect"}) {
    test(std::string("behave/") + how);
    const auto good = token();
    start({.answer = 500});
    const auto away = check(good);
    EXPECT_EQ(outcome_of(away), "away") << how;
    test("behave/good");
    clock.pass(1'000);
    EXPECT_EQ(outcome_of(check(good)), "good") << how;
  }
}

TEST_F(OidcTest, EntrasTokensOfBothVersionsAreTaken) {
  start();
  for (const auto& [version, provider] : {std::pair("1", "entra1"), std::pair("2", "entra2")}) {
    const auto caller = check(entra(version));
    ASSERT_TRUE(caller) << version << ": " << caller.error().error.message;
    EXPECT_EQ((*caller)->provider, provider);
    EXPECT_EQ((*caller)->who.subject, server.told("tid") + "/a0a0a0a0-1111-4111-8111-0123456789ab");
    EXPECT_EQ((*caller)->who.client, "b1a9c2f0-0000-4000-8000-000000000001");
    EXPECT_THAT((*caller)->who.name, StartsWith(std::string(provider) + ":ann@example.com#"));
    EXPECT_FALSE((*caller)->who.application);
    EXPECT_THAT((*caller)->rights.roles, ElementsAre(model::Role::submitter));
  }
}

TEST_F(OidcTest, EntrasPeculiaritiesAreKnown) {
  start();
  const auto refused = [&](const std::string& claims, const std::string& version = "2") {
    const auto result = check(entra(version, claims));
    return result ? "good" : outcome_of(result) + ": " + result.error().error.message;
  };
  EXPECT_THAT(refused(R"({"roles":null})"), StartsWith("noRole")) << "no role was assigned to the application";
  EXPECT_THAT(refused(R"({"roles":null,"scp":"jobs.read"})"), StartsWith("noRole")) << "a scope alone gives nothing";
  EXPECT_THAT(refused(R"({"aud":"00000003-0000-0000-c000-000000000000"})"), HasSubstr("Microsoft Graph"));
  EXPECT_THAT(refused(R"({"nonce":"n","azp":null})"), HasSubstr("an ID token"));
  EXPECT_THAT(refused(R"({"azp":null,"azpacr":null})"), HasSubstr("an ID token"));
  EXPECT_THAT(refused(R"({"aud":"geres-client"})", "1"), StartsWith("audience"));
  EXPECT_EQ(refused(R"({"scp":"jobs.read","azp":"boss"})"), "good");
  const auto bounded = check(entra("2", R"({"scp":"openid jobs.read","azp":"boss"})")).value();
  EXPECT_THAT(bounded->rights.roles, ElementsAre(model::Role::viewer)) << "what the client may do bounds it";
  EXPECT_TRUE(bounded->rights.all_tenants);
  const auto app =
      check(entra("2", R"({"idtyp":"app","sub":"a0a0a0a0-1111-4111-8111-0123456789ab","preferred_username":null})"));
  EXPECT_TRUE(app.value()->who.application);
}

}  // namespace
}  // namespace geres::identity
