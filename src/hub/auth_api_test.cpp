// SPDX-License-Identifier: Apache-2.0
// Callers with an identity provider's token, against a real hub and a provider on loopback.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "hub/api/event_stream_client.h"
#include "hub/hub_fixture.h"
#include "identity/fake_provider_test.h"
#include "identity/token_signer_test.h"

namespace geres::hub {
namespace {

using testing::HasSubstr;

class AuthApiTest : public HubTest {
 protected:
  AuthApiTest() {
    provider.put_provider("entra", provider.at("entra"), signer.key_set());
    options.serving.auth_config = directory.path() / "auth.json";
    write_config("submitter");
  }
  void write_config(const std::string& role) {
    write_text(R"({"providers":[{"name":"entra","issuer":")" + provider.at("entra") + R"(","discoveryUrl":")" +
               provider.at("entra/about") + R"(","audiences":["api://geres"],
               "login":{"clientId":"page","scopes":["openid","api://geres/.default"]},
               "roles":{"claim":"roles","map":{"Jobs.Submit":")" +
               role + R"("}},
               "tenants":{"claim":"tenant","map":{"*":"same"}}}],
               "rules":[{"when":{"azp":"boss"},"roles":["admin"],"tenants":["*"]}]})");
  }
  void write_text(const std::string& text) { std::ofstream(options.serving.auth_config) << text; }

  std::string token(const json::object& more = {}) const {
    const auto now = SystemClock().wall() / 1'000;
    json::object claims{{"iss", provider.at("entra")},
                        {"aud", "api://geres"},
                        {"tid", "T"},
                        {"oid", "O1"},
                        {"sub", "s"},
                        {"azp", "ci"},
                        {"scp", "jobs"},
                        {"preferred_username", "ann@example.com"},
                        {"roles", json::array{"Jobs.Submit"}},
                        {"tenant", "ours"},
                        {"iat", now},
                        {"exp", now + 600}};
    for (const auto& claim : more) claims[claim.key()] = claim.value();
    return signer.token(claims);
  }
  api::TestClient with(const json::object& more = {}) const { return admin.as(token(more)); }
  std::string metric(const std::string& name) const {
    const auto text = admin.get("/metrics").body;
    const auto at = text.find(name + " ");
    return at == std::string::npos ? "" : text.substr(at + name.size() + 1, text.find('\n', at) - at - name.size() - 1);
  }

  identity::FakeProvider provider;
  identity::TokenSigner signer{"k1"};
};

TEST_F(AuthApiTest, CallsAreMadeAsWhoeverTheProviderSays) {
  const auto ann = with();
  const auto me = ann.get("/v1/me");
  ASSERT_EQ(me.status, 200) << me;
  EXPECT_THAT(me.text("name"), testing::MatchesRegex("entra:ann@example.com#[0-9a-f]{8}"));
  EXPECT_EQ(me.text("kind"), "person");
  EXPECT_EQ(me.text("subject"), "T/O1");
  EXPECT_EQ(me.text("client"), "ci");
  EXPECT_EQ(me.json().at("roles"), json::array{"submitter"});
  EXPECT_EQ(me.json().at("tenants"), json::array{"ours"});
  EXPECT_EQ(str(me.json().at("because").at(0).at("rule")), "/providers/0/roles/map/Jobs.Submit");
  EXPECT_EQ(me.headers.at("cache-control"), "no-store");
  const auto job = ann.post("/v1/jobs", spec());
  ASSERT_EQ(job.status, 201) << job;
  EXPECT_EQ(ours.get("/v1/jobs/" + job.text("id")).text("submittedBy"), me.text("name"));
  EXPECT_EQ(with({{"tenant", "theirs"}}).get("/v1/jobs/" + job.text("id")).status, 404);
  EXPECT_EQ(ann.get("/v1/tokens").code(), "forbidden");
  EXPECT_EQ(with({{"azp", "boss"}}).get("/v1/tokens").status, 200) << "a rule";
  EXPECT_EQ(with({{"azp", "boss"}}).get("/v1/me").json().at("allTenants"), true);
  EXPECT_EQ(admin.as("").get("/v1/live?access_token=" + ann.token()).status, 400) << "no socket, but somebody known";
  EXPECT_EQ(provider.asked("entra/keys"), 1);
  EXPECT_EQ(metric("geres_identity_key_fetches_total{provider=\"entra\",outcome=\"good\"}"), "1");
}

TEST_F(AuthApiTest, OthersAreAskedWhoTheyAre) {
  EXPECT_EQ(ours.get("/v1/me").text("kind"), "token");
  EXPECT_EQ(ours.get("/v1/me").json().get_object().contains("provider"), false);
  EXPECT_EQ(admin.get("/v1/me").json().at("allTenants"), true);
  const FakeHost host(admin, "h");
  EXPECT_EQ(host.client().get("/v1/me").text("kind"), "host");
  EXPECT_EQ(admin.as("").get("/v1/me").status, 401);
}

TEST_F(AuthApiTest, RefusalsSayWhatIsWrong) {
  const auto now = SystemClock().wall() / 1'000;
  const auto expired = with({{"exp", now - 100}}).get("/v1/me");
  EXPECT_EQ(expired.status, 401);
  EXPECT_EQ(expired.code(), "tokenExpired");
  const auto no_role = with({{"roles", json::array()}}).get("/v1/me");
  EXPECT_EQ(no_role.status, 403);
  EXPECT_EQ(no_role.code(), "noRole");
  const auto audience = with({{"aud", "api://other"}}).get("/v1/me");
  EXPECT_EQ(audience.code(), "unauthenticated");
  EXPECT_THAT(audience.text("detail"), HasSubstr("api://other"));
  EXPECT_THAT(audience.text("hint"), HasSubstr("api://geres/.default"));
  EXPECT_EQ(admin.as(identity::TokenSigner("k1").token({{"iss", "x"}})).get("/v1/me").status, 401);
  EXPECT_EQ(admin.as("a.b.c").get("/v1/me").status, 401);
  EXPECT_EQ(admin.as("").post("/v1/session", "{\"token\":\"" + token() + "\"}").field(), "/token");
  EXPECT_EQ(with().post("/v1/session/codes").code(), "forbidden");
  EXPECT_EQ(metric("geres_identity_checks_total{outcome=\"expired\"}"), "1");
  EXPECT_EQ(metric("geres_identity_checks_total{outcome=\"noRole\"}"), "1");
}

TEST_F(AuthApiTest, ATestOfATokenSaysWhichRuleGaveWhat) {
  const auto test = [&](const std::string& token) {
    return admin.post("/v1/auth/test", "{\"token\":\"" + token + "\"}").json();
  };
  const auto good = test(token());
  EXPECT_EQ(str(good.at("outcome")), "good");
  EXPECT_EQ(str(good.at("because").at(0).at("gave")), "submitter");
  const auto useless = test(token({{"roles", json::array{"Other"}}}));
  EXPECT_EQ(str(useless.at("outcome")), "noRole");
  EXPECT_EQ(str(useless.at("problem").at("code")), "noRole");
  EXPECT_EQ(str(useless.at("because").at(0).at("value")), "Other");
  EXPECT_EQ(str(test("x").at("outcome")), "malformed");
  EXPECT_EQ(ours.post("/v1/auth/test", R"({"token":"x"})").code(), "forbidden");
  EXPECT_EQ(admin.post("/v1/auth/test", "{}").field(), "/token");
  const auto providers = admin.as("").get("/v1/auth").json();
  EXPECT_EQ(providers.at("providers").get_array().size(), 1u);
  EXPECT_EQ(str(providers.at("providers").at(0).at("clientId")), "page");
}

TEST_F(AuthApiTest, AReloadEndsWhatItChanges) {
  const auto ann = with();
  api::EventStreamClient stream(url, "/v1/events", ann.token());
  EXPECT_EQ(stream.wait_for_status(), 200);
  stream.wait_for_id();
  write_text("{\"providers\":[]}");
  EXPECT_FALSE(hub->reread_auth_config());
  submit();
  EXPECT_TRUE(stream.next()) << "what is wrong changes nothing";
  write_config("operator");
  ASSERT_TRUE(hub->reread_auth_config());
  submit();
  while (stream.next()) {
  }
  EXPECT_TRUE(stream.ended());
  EXPECT_EQ(ann.get("/v1/me").json().at("roles"), json::array{"operator"});
}

class AuthGuessesTest : public AuthApiTest {
 protected:
  AuthGuessesTest() { options.serving.guesses_per_address = 0.2; }  // one, and then none for a while
};

TEST_F(AuthGuessesTest, OnlyFailedChecksCount) {
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(with({{"roles", json::array()}}).get("/v1/me").status, 403);
    EXPECT_EQ(with().get("/v1/me").status, 200);
  }
  EXPECT_EQ(with({{"aud", "x"}}).get("/v1/me").status, 401);
  EXPECT_EQ(with({{"aud", "x"}}).get("/v1/me").status, 429);
  EXPECT_EQ(with().get("/v1/me").status, 200);
}

class AuthAwayTest : public AuthGuessesTest {
 protected:
  AuthAwayTest() { provider.put("entra/keys", identity::answer_of("{}", "503 Service Unavailable")); }
};

TEST_F(AuthAwayTest, OnlyProvidedTokensWait) {
  for (int i = 0; i < 10; ++i) {
    const auto away = with().get("/v1/me");
    EXPECT_EQ(away.status, 503) << away;
    EXPECT_EQ(away.code(), "identityProviderAway");
  }
  EXPECT_EQ(ours.get("/v1/me").status, 200);
  EXPECT_EQ(admin.as("").get("/readyz").status, 200);
}

class NoProviderTest : public HubTest {};

TEST_F(NoProviderTest, ProvidedTokensAreNoneOfItsBusiness) {
  const auto refused = admin.as("a.b.c").get("/v1/me");
  EXPECT_EQ(refused.code(), "unauthenticated");
  EXPECT_THAT(refused.text("hint"), HasSubstr("--auth-config"));
  EXPECT_EQ(admin.as("").get("/v1/auth").json().at("providers"), json::array());
  EXPECT_EQ(admin.post("/v1/auth/test", R"({"token":"x"})").code(), "notSupported");
  hub->stop();
  options.serving.auth_config = directory.path() / "none.json";
  EXPECT_THROW(Hub(options).start(), CannotStart);
}

}  // namespace
}  // namespace geres::hub
