// SPDX-License-Identifier: Apache-2.0
// Signing in, and which calls a cookie counts for, against a real hub.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/hub_fixture.h"

namespace geres::hub {
namespace {

using testing::HasSubstr;
using testing::Not;
using Headers = api::TestClient::Headers;

std::string cookie_of(const api::Reply& reply) {
  const auto found = reply.headers.find("set-cookie");
  return found == reply.headers.end() ? "" : found->second.substr(0, found->second.find(';'));
}

class SessionApiTest : public HubTest {
 protected:
  api::Reply sign_in(const std::string& body, Headers headers = {}) {
    return admin.as("").post("/v1/session", body, headers);
  }
  std::string cookie(const api::TestClient& client) {
    const auto reply = sign_in(R"({"token":")" + client.token() + "\"}");
    EXPECT_EQ(reply.status, 201) << reply;
    return cookie_of(reply);
  }
  static Headers with(const std::string& cookie, Headers more = {}) {
    more.emplace_back("Cookie", cookie);
    return more;
  }
  api::TestClient nobody() const { return admin.as(""); }
};

class SessionBehindProxyTest : public SessionApiTest {
 protected:
  void SetUp() override {
    options.serving.public_url = parse_public_url("https://jobs.example").value();
    options.serving.cors_origins = {"https://app.example"};
    SessionApiTest::SetUp();
  }
};

TEST_F(SessionApiTest, SignsInAsksAndSignsOut) {
  const auto in = sign_in(R"({"token":")" + ours.token() + "\"}");
  ASSERT_EQ(in.status, 201) << in;
  EXPECT_EQ(str(in.json().at("caller").at("name")), "ours");
  EXPECT_EQ(in.headers.at("cache-control"), "no-store");
  const auto set = in.headers.at("set-cookie");
  EXPECT_THAT(set, HasSubstr("geres="));
  EXPECT_THAT(set, HasSubstr("; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax"));
  EXPECT_THAT(set, Not(HasSubstr("Secure"))) << "over http it would not come back";
  EXPECT_THAT(in.body, Not(HasSubstr(ours.token())));
  const auto mine = with(cookie_of(in));
  const auto who = nobody().get("/v1/session", mine);
  EXPECT_EQ(who.status, 200) << who;
  EXPECT_EQ(str(who.json().at("caller").at("name")), "ours");
  EXPECT_EQ(nobody().get("/v1/jobs", mine).status, 200);
  EXPECT_EQ(nobody().get("/v1/jobs", with("a=b; " + cookie_of(in) + "; c=d")).status, 200);
  EXPECT_EQ(nobody().get("/v1/tokens", mine).code(), "forbidden") << "as the token may";
  const auto out = nobody().call("DELETE", "/v1/session", "", with(cookie_of(in), {{"Sec-Fetch-Site", "same-origin"}}));
  EXPECT_EQ(out.status, 204) << out;
  EXPECT_THAT(out.headers.at("set-cookie"), HasSubstr("Max-Age=0"));
  EXPECT_EQ(nobody().get("/v1/session", mine).code(), "unauthenticated");
  EXPECT_EQ(nobody().get("/v1/jobs", mine).code(), "unauthenticated");
}

TEST_F(SessionApiTest, RefusesWhatSignsNobodyIn) {
  EXPECT_EQ(sign_in(R"({"token":"geres_00"})").code(), "unauthenticated");
  EXPECT_EQ(sign_in(R"({"token":"geres_00"})").field(), "/token");
  EXPECT_EQ(sign_in(R"({"code":"00"})").field(), "/code");
  EXPECT_EQ(sign_in("{}").code(), "missingField");
  EXPECT_EQ(sign_in(R"({"token":"a","code":"b"})").code(), "badValue");
  EXPECT_EQ(sign_in(R"({"tokn":"a"})").code(), "unknownField");
  EXPECT_EQ(sign_in("token=a", {{"Content-Type", "application/x-www-form-urlencoded"}}).code(), "unsupportedMedia");
  EXPECT_EQ(sign_in(R"({"token":")" + std::string(5'000, 'x') + "\"}").code(), "tooLarge");
  EXPECT_EQ(nobody().post("/v1/session?token=x", "{}").code(), "unknownParameter");
  const auto hosts = sign_in(R"({"token":")" + machine.token() + "\"}");
  EXPECT_EQ(hosts.code(), "forbidden") << hosts;
  EXPECT_EQ(cookie_of(hosts), "");
  const FakeHost host(admin, "h");
  EXPECT_EQ(sign_in(R"({"token":")" + host.client().token() + "\"}").code(), "forbidden");
  EXPECT_EQ(sign_in(R"({"token":")" + ours.token() + "\"}", {{"Origin", "https://evil.example"}}).code(),
            "foreignOrigin");
  EXPECT_EQ(nobody().get("/v1/session").code(), "unauthenticated");
  EXPECT_EQ(ours.get("/v1/session").code(), "notFound") << "a token is no session";
  EXPECT_EQ(ours.call("DELETE", "/v1/session").code(), "notFound");
  EXPECT_EQ(nobody().get("/v1/session", with("geres=00")).code(), "unauthenticated");
}

TEST_F(SessionApiTest, ALinkSignsInOnce) {
  const auto made = ours.post("/v1/session/codes");
  ASSERT_EQ(made.status, 201) << made;
  const auto body = R"({"code":")" + made.text("code") + "\"}";
  const auto in = sign_in(body);
  ASSERT_EQ(in.status, 201) << in;
  EXPECT_EQ(str(in.json().at("caller").at("name")), "ours");
  const auto again = sign_in(body);
  EXPECT_EQ(again.status, 401) << again;
  EXPECT_EQ(again.field(), "/code");
  EXPECT_EQ(machine.post("/v1/session/codes").code(), "forbidden");
  EXPECT_EQ(nobody().post("/v1/session/codes").code(), "unauthenticated");
  EXPECT_EQ(nobody().post("/v1/session/codes", "", with(cookie_of(in), {{"Sec-Fetch-Site", "same-origin"}})).code(),
            "forbidden")
      << "or a session would never end";
}

TEST_F(SessionApiTest, TheAdminsLinkIsGoodOnce) {
  const auto code = hub->sign_in_code();
  const auto in = sign_in(R"({"code":")" + code + "\"}");
  EXPECT_EQ(in.status, 201) << in;
  EXPECT_EQ(nobody().get("/v1/tokens", with(cookie_of(in))).status, 200);
  EXPECT_EQ(sign_in(R"({"code":")" + code + "\"}").status, 401);
}

TEST_F(SessionApiTest, EndsWithItsToken) {
  const auto made = admin.post("/v1/tokens", R"({"name":"brief","roles":["viewer"]})");
  const auto mine = with(cookie(admin.as(made.text("token"))));
  EXPECT_EQ(nobody().get("/v1/jobs", mine).status, 200);
  EXPECT_EQ(admin.call("DELETE", "/v1/tokens/" + made.text("id")).status, 204);
  EXPECT_EQ(nobody().get("/v1/jobs", mine).code(), "unauthenticated");
}

// Which pages may do what with a cookie: what browsers say of them, and what comes of it.
TEST_F(SessionApiTest, ACookieCountsForTheHubsOwnPageAlone) {
  const auto mine = cookie(ours);
  const auto own = "http://" + url.substr(7);
  struct Case {
    const char* what;
    Headers headers;
    bool reads, writes;
  };
  const Case cases[] = {
      {"the page", {{"Sec-Fetch-Site", "same-origin"}, {"Origin", own}}, true, true},
      {"an old browser's page", {{"Origin", own}}, true, true},
      {"nobody says", {}, true, false},
      {"an address that was typed", {{"Sec-Fetch-Site", "none"}}, true, false},
      {"a page of the same site", {{"Sec-Fetch-Site", "same-site"}, {"Origin", "http://127.0.0.1:1"}}, false, false},
      {"a foreign page", {{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}}, false, false},
      {"a sandboxed frame", {{"Origin", "null"}}, false, false},
      {"an origin that begins alike", {{"Origin", own + ".evil.example"}}, false, false},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.what);
    const auto read = nobody().get("/v1/jobs", with(mine, one.headers));
    EXPECT_EQ(read.status, one.reads ? 200 : 403) << read;
    auto typed = one.headers;
    typed.emplace_back("Content-Type", "application/json");
    const auto written = nobody().post("/v1/jobs", spec(), with(mine, typed));
    EXPECT_EQ(written.status, one.writes ? 201 : 403) << written;
    if (!one.writes) {
      EXPECT_EQ(written.code(), "foreignOrigin");
    }
    // A token counts as before: no page of a stranger has it.
    EXPECT_EQ(ours.post("/v1/jobs", spec(), with(mine, typed)).status, 201);
  }
  // What a form could send counts for nothing, whoever says it is.
  for (const auto* type : {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"}) {
    const Headers form{{"Sec-Fetch-Site", "same-origin"}, {"Content-Type", type}};
    EXPECT_EQ(nobody().post("/v1/jobs", spec(), with(mine, form)).code(), "foreignOrigin") << type;
  }
  EXPECT_EQ(
      nobody().post("/v1/jobs/" + submit() + "/cancel", "", with(mine, {{"Sec-Fetch-Site", "same-origin"}})).status,
      200)
      << "no body, no type";
}

// What a job wrote must not run as the hub's own page, with the cookie of whoever looks at it.
TEST_F(SessionApiTest, WhatJobsWroteRunsInNoBrowser) {
  FakeHost host(admin, "h");
  const auto id = submit();
  const auto lease = host.one_lease();
  const std::string evil = "<script>fetch('/v1/tokens')</script>";
  std::string files;
  for (const std::string name : {"a.html", "a.svg", "a.txt", "a.js", "a.xml"}) {
    host.client().call("PUT", "/v1/hosts/" + host.id + "/leases/" + lease + "/files/" + name, evil);
    files += (files.empty() ? "" : ",") + (R"({"path":")" + name + R"(","size":)" + std::to_string(evil.size()) +
                                           R"(,"sha256":")" + sha_of(evil) + "\"}");
  }
  host.report(R"("running":[],"log":[{"lease":")" + lease + R"(","stream":"stdout","offset":0,"data":")" +
              to_base64(evil) + R"("}],"finished":[{"lease":")" + lease +
              R"(","outcome":"finished","exit":{"code":0},"files":[)" + files + "]}]");
  const auto mine = with(cookie(ours));
  for (const std::string name : {"a.html", "a.svg", "a.txt", "a.js", "a.xml"}) {
    const auto file = nobody().get("/v1/jobs/" + id + "/files/" + name, mine);
    ASSERT_EQ(file.status, 200) << name << file;
    EXPECT_EQ(file.body, evil);
    EXPECT_EQ(file.headers.at("content-security-policy"), "sandbox; default-src 'none'") << name;
    EXPECT_EQ(file.headers.at("x-content-type-options"), "nosniff") << name;
    EXPECT_THAT(file.headers.at("content-disposition"), HasSubstr(name)) << name;
    EXPECT_THAT(file.headers.at("content-type"),
                testing::AnyOf("text/plain; charset=utf-8", "application/octet-stream"));
  }
  const auto log = nobody().get("/v1/jobs/" + id + "/log", mine);
  EXPECT_EQ(log.body, evil);
  EXPECT_EQ(log.headers.at("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(log.headers.at("x-content-type-options"), "nosniff");
}

TEST_F(SessionApiTest, GuessesAreBraked) {
  for (int i = 0; i < 200; ++i)
    if (sign_in(R"({"token":"geres_00"})").status == 429) return SUCCEED();
  ADD_FAILURE() << "200 guesses at once, and no brake";
}

// A page of another origin that may call with tokens may still not use somebody's cookie.
TEST_F(SessionBehindProxyTest, OnlyThePublicOriginCounts) {
  const auto in = sign_in(R"({"token":")" + ours.token() + "\"}", {{"Origin", "https://jobs.example"}});
  ASSERT_EQ(in.status, 201) << in;
  EXPECT_THAT(in.headers.at("set-cookie"), HasSubstr("__Host-geres="));
  EXPECT_THAT(in.headers.at("set-cookie"), HasSubstr("; Secure"));
  const auto mine = cookie_of(in);
  const auto write = [&](const std::string& origin) {
    return nobody().post("/v1/jobs", spec(), with(mine, {{"Origin", origin}, {"Content-Type", "application/json"}}));
  };
  EXPECT_EQ(write("https://jobs.example").status, 201) << "though the proxy sends another Host";
  EXPECT_EQ(write("http://jobs.example").code(), "foreignOrigin");
  EXPECT_EQ(write(url).code(), "foreignOrigin");
  EXPECT_EQ(write("https://app.example").code(), "foreignOrigin");
  EXPECT_EQ(nobody().get("/v1/jobs", with(mine, {{"Origin", "https://app.example"}})).code(), "foreignOrigin");
  EXPECT_EQ(ours.get("/v1/jobs", with(mine, {{"Origin", "https://app.example"}})).status, 200) << "with the token";
  EXPECT_EQ(sign_in(R"({"token":")" + ours.token() + "\"}", {{"Origin", "https://app.example"}}).code(),
            "foreignOrigin");
  const auto code = ours.post("/v1/session/codes");
  EXPECT_EQ(code.text("page"), "https://jobs.example/");
}

}  // namespace
}  // namespace geres::hub
