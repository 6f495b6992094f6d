// SPDX-License-Identifier: Apache-2.0
// Signing in to the page by an identity provider's form, against a real hub and a provider on loopback: what the
// browser is told, what comes back, and what must not work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "hub/hub_fixture.h"
#include "identity/fake_provider_test.h"
#include "identity/token_signer_test.h"

namespace geres::hub {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Of a query: what follows NAME=.
std::string part(const std::string& url, const std::string& name) {
  const auto at = url.find(name + "=");
  return at == std::string::npos ? "" : url.substr(at + name.size() + 1, url.find('&', at) - at - name.size() - 1);
}

class SignInTest : public HubTest {
 protected:
  SignInTest() {
    provider.put("about", identity::answer_of(R"({"issuer":")" + provider.at("") + R"(","jwks_uri":")" +
                                              provider.at("keys") + R"(","authorization_endpoint":")" +
                                              provider.at("form") + R"(","token_endpoint":")" + provider.at("token") +
                                              R"(","authorization_response_iss_parameter_supported":true})"));
    provider.put("keys", identity::answer_of(signer.key_set()));
    options.serving.auth_config = directory.path() / "auth.json";
    write_config();
  }
  void write_config(const std::string& role = "submitter", const std::string& client = "page") {
    std::ofstream(options.serving.auth_config)
        << R"({"providers":[{"name":"corp","issuer":")" + provider.at("") + R"(","discoveryUrl":")" +
               provider.at("about") + R"(","audiences":["api://geres"],"login":{"clientId":")" + client +
               R"(","scopes":["openid","offline_access","jobs"]},"roles":{"claim":"roles","map":{"Jobs.Submit":")" +
               role + R"("}},"tenants":{"claim":"tenant","map":{"*":"same"}}}]})";
  }
  // The issuer's address ends with a slash, as fake as the rest of it.
  std::string id_token(const std::string& nonce, const json::object& more = {}) const {
    const auto now = SystemClock().wall() / 1'000;
    json::object claims{{"iss", provider.at("")},   {"aud", "page"},    {"sub", "ann"}, {"nonce", nonce},
                        {"roles", {"Jobs.Submit"}}, {"tenant", "ours"}, {"iat", now},   {"exp", now + 60}};
    for (const auto& claim : more) claims[claim.key()] = claim.value();
    return signer.token(claims);
  }
  struct Begun {
    std::string url, cookie;
  };
  Begun begin(const std::string& to = "/jobs") {
    const auto reply = nobody().get("/auth/login?provider=corp&to=" + to);
    EXPECT_EQ(reply.status, 303) << reply;
    const auto cookie = reply.headers.at("set-cookie");
    return {reply.headers.at("location"), cookie.substr(0, cookie.find(';'))};
  }
  void answer_code(const std::string& id_token, const std::string& access_token = "opaque") {
    provider.put("token", identity::answer_of(boost::json::serialize(
                              json::object{{"id_token", id_token}, {"access_token", access_token}})));
  }
  api::Reply come_back(const Begun& begun, const std::string& state, const std::string& more = "&code=c0de") {
    return nobody().get("/auth/callback?iss=" + provider.at("") + "&state=" + state + more, {{"Cookie", begun.cookie}});
  }
  // The cookie of the session; empty: nobody is signed in.
  std::string sign_in(const json::object& more = {}, const std::string& access_token = "opaque") {
    const auto begun = begin();
    answer_code(id_token(part(begun.url, "nonce"), more), access_token);
    last = come_back(begun, part(begun.url, "state"));
    return session_of(last);
  }
  static std::string session_of(const api::Reply& reply) {
    const auto found = reply.headers.find("set-cookie");
    const auto at = found != reply.headers.end() ? found->second.find("geres=") : std::string::npos;
    return at == std::string::npos ? "" : found->second.substr(at, found->second.find(';', at) - at);
  }
  api::Reply me(const std::string& cookie) {
    return nobody().get("/v1/me", {{"Cookie", cookie}, {"Sec-Fetch-Site", "same-origin"}});
  }
  // Nobody is signed in, and the page is told this.
  void expect_refused(const api::Reply& reply, const std::string& said) {
    EXPECT_EQ(reply.status, 303) << reply;
    EXPECT_EQ(reply.headers.at("location"), "/login");
    EXPECT_EQ(session_of(reply), "") << reply;
    EXPECT_THAT(reply.headers.at("set-cookie"), HasSubstr(said));
  }

  identity::FakeProvider provider;
  identity::TokenSigner signer{"k1"};
  api::TestClient nobody() const { return admin.as(""); }
  api::Reply last;
};

TEST_F(SignInTest, TheBrowserGoesToTheFormAndComesBackSignedIn) {
  const auto begun = begin("/jobs%3Fq%3Dx");
  EXPECT_THAT(begun.url, StartsWith(provider.at("form") + "?client_id=page&response_type=code"));
  EXPECT_EQ(part(begun.url, "scope"), "openid%20jobs") << "no refresh token is asked for";
  EXPECT_EQ(part(begun.url, "code_challenge_method"), "S256");
  EXPECT_EQ(part(begun.url, "code_challenge").size(), 43u);
  EXPECT_THAT(part(begun.url, "redirect_uri"), HasSubstr("127.0.0.1%3A"));
  EXPECT_THAT(part(begun.url, "redirect_uri"), HasSubstr("%2Fauth%2Fcallback"));
  answer_code(id_token(part(begun.url, "nonce")));
  const auto back = come_back(begun, part(begun.url, "state"));
  EXPECT_EQ(back.status, 303) << back;
  EXPECT_EQ(back.headers.at("location"), "/jobs?q=x");
  const auto who = me(session_of(back));
  ASSERT_EQ(who.status, 200) << who;
  EXPECT_THAT(who.text("name"), StartsWith("corp:ann#"));
  EXPECT_EQ(who.text("kind"), "person");
  EXPECT_EQ(who.json().at("roles"), json::array{"submitter"});
  EXPECT_THAT(back.body, Not(HasSubstr("eyJ"))) << "no token is in the browser";
}

TEST_F(SignInTest, ASignInComesBackOnceAndToItsBrowser) {
  const auto begun = begin(), other = begin();
  answer_code(id_token(part(begun.url, "nonce")));
  const auto state = part(begun.url, "state");
  expect_refused(come_back({begun.url, ""}, state), "not%20known");
  expect_refused(come_back(other, state), "not%20known");
  expect_refused(come_back(begun, "x"), "not%20known");
  EXPECT_EQ(provider.asked("token"), 0);
  EXPECT_NE(session_of(come_back(begun, state)), "");
  expect_refused(come_back(begun, state), "not%20known");
  EXPECT_EQ(provider.asked("token"), 1) << "no code is sent twice";
}

TEST_F(SignInTest, OnlyPathsOfThePageAreGoneOnTo) {
  for (const auto* to : {"//evil.example", "/%5Cevil.example", "/x%0d%0aSet-Cookie:%20a=b", "https://evil.example",
                         "evil", "%2F%2Fevil.example", "/%09/evil.example"})
    EXPECT_EQ(nobody().get(std::string("/auth/login?provider=corp&to=") + to).field(), "to") << to;
  EXPECT_EQ(nobody().get("/auth/login").field(), "provider");
  EXPECT_EQ(nobody().get("/auth/login?provider=corp&x=1").code(), "unknownParameter");
}

TEST_F(SignInTest, AForeignHostIsNotComeBackTo) {
  for (const auto* host : {"evil.example", "127.0.0.1.evil.example", "x@127.0.0.1", "evil.example:80"}) {
    const auto reply = nobody().get("/auth/login?provider=corp", {{"Host", host}});
    if (reply.status != 303) continue;  // such a Host is not taken at all
    EXPECT_EQ(reply.headers.at("location"), "/login") << host;
    EXPECT_THAT(reply.headers.at("set-cookie"), HasSubstr("public%2Durl"));
  }
}

TEST_F(SignInTest, WhatIsWrongIsToldInOneSentence) {
  expect_refused(nobody().get("/auth/login?provider=other"), "nobody%20signs%20in");
  auto begun = begin();
  expect_refused(come_back(begun, part(begun.url, "state"), "&error=access_denied"), "declined");
  begun = begin();
  expect_refused(come_back(begun, part(begun.url, "state"), "&error=x&error_description=%3Cscript%3E%0d%0ano"),
                 "%3Cscript%3E");
  begun = begin();
  expect_refused(nobody().get("/auth/callback?code=c&iss=https://evil.example&state=" + part(begun.url, "state"),
                              {{"Cookie", begun.cookie}}),
                 "iss");
  begun = begin();
  expect_refused(nobody().get("/auth/callback?code=c&state=" + part(begun.url, "state"), {{"Cookie", begun.cookie}}),
                 "iss");
  begun = begin();
  provider.put("token", identity::answer_of(R"({"error":"invalid_grant"})", "400 Bad Request"));
  expect_refused(come_back(begun, part(begun.url, "state")), "invalid%5Fgrant");
  begun = begin();
  provider.put("token", identity::answer_of("secret words", "503 Service Unavailable"));
  expect_refused(come_back(begun, part(begun.url, "state")), "cannot%20be%20asked");
}

TEST_F(SignInTest, IdTokensAreChecked) {
  const auto now = SystemClock().wall() / 1'000;
  EXPECT_EQ(sign_in({{"nonce", "other"}}), "");
  EXPECT_EQ(sign_in({{"aud", "other"}}), "");
  EXPECT_EQ(sign_in({{"aud", json::array{"page", "other"}}}), "") << "several, and no azp";
  EXPECT_EQ(sign_in({{"azp", "other"}}), "");
  EXPECT_EQ(sign_in({{"exp", now - 100}}), "");
  EXPECT_EQ(sign_in({{"iss", "https://evil.example"}}), "");
  EXPECT_EQ(sign_in({{"sub", ""}}), "");
  const auto begun = begin();
  answer_code(identity::TokenSigner("k1").token({{"iss", provider.at("")},
                                                 {"aud", "page"},
                                                 {"sub", "ann"},
                                                 {"nonce", part(begun.url, "nonce")},
                                                 {"exp", now + 60}}));
  expect_refused(come_back(begun, part(begun.url, "state")), "not%20signed");
  EXPECT_EQ(sign_in({{"roles", json::array()}}), "");
  EXPECT_THAT(last.headers.at("set-cookie"), HasSubstr("gives%20a%20role"));
  EXPECT_NE(sign_in({{"aud", json::array{"page", "other"}}, {"azp", "page"}}), "");
}

TEST_F(SignInTest, AnAccessTokenForThisHubDecides) {
  const auto now = SystemClock().wall() / 1'000;
  const auto token = [&](const json::value& roles) {
    return signer.token({{"iss", provider.at("")},
                         {"aud", "api://geres"},
                         {"azp", "page"},
                         {"sub", "ann"},
                         {"roles", roles},
                         {"tenant", "theirs"},
                         {"iat", now},
                         {"exp", now + 60}});
  };
  EXPECT_EQ(me(sign_in({{"roles", json::array()}}, token(json::array{"Jobs.Submit"}))).json().at("tenants"),
            json::array{"theirs"});
  EXPECT_EQ(sign_in({}, token(json::array())), "") << "though the ID token has a role";
}

TEST_F(SignInTest, ASessionEndsWhenTheConfigurationTakesItsRights) {
  const auto first = sign_in();
  EXPECT_EQ(me(first).status, 200);
  ASSERT_TRUE(hub->reread_auth_config());
  EXPECT_EQ(me(first).status, 200) << "nothing has changed";
  write_config("viewer");
  ASSERT_TRUE(hub->reread_auth_config());
  EXPECT_EQ(me(first).status, 401);
  const auto second = sign_in();
  write_config("viewer", "another");
  ASSERT_TRUE(hub->reread_auth_config());
  EXPECT_EQ(me(second).status, 401) << "the client has gone";
}

TEST_F(SignInTest, SignedOutIsSignedOut) {
  const auto cookie = sign_in();
  EXPECT_EQ(nobody().call("DELETE", "/v1/session", "", {{"Cookie", cookie}, {"Sec-Fetch-Site", "same-origin"}}).status,
            204);
  EXPECT_EQ(me(cookie).status, 401);
}

}  // namespace
}  // namespace geres::hub
