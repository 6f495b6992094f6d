// SPDX-License-Identifier: Apache-2.0
// Hosts that join with join tokens, through the hub's calls: invitations, who may make them, what a host's own secret
// is good for, and how it changes.
#include <gtest/gtest.h>

#include "hub/hub_fixture.h"
#include "wire/api/join_string.h"

namespace geres::hub {
namespace {

using api::Reply;

class JoiningTest : public HubTest {
 protected:
  Reply invite(const std::string& body = "{}") { return admin.post("/v1/hosts/invites", body); }
  api::TestClient bearer_of(const Reply& invite) {
    EXPECT_EQ(invite.status, 201) << invite;
    return admin.as(wire::parse_join_string(invite.text("join")).value().secret);
  }
  static Reply join(const api::TestClient& who, const std::string& name, const std::string& more = "") {
    return who.post("/v1/hosts", R"({"name":")" + name + R"(","slots":4)" + more + "}");
  }
  static std::string id_of(const std::string& random, int change = 1) {
    return R"(,"joining":"random-id-of-)" + random + R"(","change":)" + std::to_string(change);
  }
  static Reply renew(const api::TestClient& who, const std::string& id, int change) {
    return who.post("/v1/hosts/" + id + "/secret", R"({"change":)" + std::to_string(change) + "}");
  }
  static Reply fetch(const api::TestClient& who, const std::string& id) {
    return who.post("/v1/hosts/" + id + "/fetch", R"({"fetchId":"f1","slots":0,"wait":"0s"})");
  }
  void restart() {
    hub.reset();
    hub = std::make_unique<Hub>(options);
    url = hub->start();
    admin = admin.at(url);
    machine = machine.at(url);
  }
};

TEST_F(JoiningTest, AStringHoldsAllThatAHostNeeds) {
  EXPECT_EQ(wire::parse_join_string(invite().text("join")).value().hub, url);
  EXPECT_EQ(wire::parse_join_string(invite().text("join")).value().ca_pin, "") << "in clear";
  options.serving.http.listen.push_back({"127.0.0.1", 0, true});
  options.tls.self_signed = true;
  restart();
  const auto made = invite(R"({"name":"rack7","tenants":["ours"],"ttl":"2h"})");
  ASSERT_EQ(made.status, 201) << made;
  EXPECT_EQ(made.headers.at("cache-control"), "no-store");
  const auto parts = wire::parse_join_string(made.text("join")).value();
  EXPECT_EQ(parts.hub, hub->urls().back()) << testing::PrintToString(hub->urls());
  EXPECT_EQ(parts.hub, made.text("hub"));
  EXPECT_EQ(parts.ca_pin, hub->ca_pin());
  EXPECT_EQ(parts.id, made.text("id"));
  EXPECT_EQ(made.text("createdBy"), "admin");
  EXPECT_EQ(invite(R"({"url":"https://jobs.example.com/ops/"})").text("hub"), "https://jobs.example.com/ops");
  options.serving.public_url = parse_public_url("https://public.example.com").value();
  restart();
  EXPECT_EQ(invite().text("hub"), "https://public.example.com");
}

TEST_F(JoiningTest, AreListedAndWithdrawn) {
  const auto made = invite(R"({"uses":2})");
  const auto list = admin.get("/v1/hosts/invites").json().at("items").as_array();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].at("id"), made.json().at("id"));
  EXPECT_EQ(list[0].at("usesLeft"), 2);
  EXPECT_FALSE(list[0].as_object().contains("join"));
  EXPECT_EQ(admin.call("DELETE", "/v1/hosts/invites/" + made.text("id"), "").status, 204);
  EXPECT_EQ(admin.call("DELETE", "/v1/hosts/invites/" + made.text("id"), "").code(), "notFound");
  EXPECT_EQ(join(bearer_of(made), "h").status, 401);
  bearer_of(invite()).post("/v1/hosts", R"({"name":"h","slots":1})");
  EXPECT_TRUE(admin.get("/v1/hosts/invites").json().at("items").as_array().empty()) << "it is used up";
}

TEST_F(JoiningTest, OnlyAdminsInviteAndForTheirTenants) {
  for (const auto* who : {&ours, &viewer, &machine})
    for (const auto* method : {"POST", "GET"})
      EXPECT_EQ(who->call(method, "/v1/hosts/invites", "").code(), "forbidden") << method;
  EXPECT_EQ(theirs.post("/v1/hosts/invites", R"({"tenants":["ours"]})").code(), "forbidden");
  const auto own = theirs.post("/v1/hosts/invites", "{}");
  EXPECT_EQ(str(own.json().at("tenants").at(0)), "theirs") << "left out, its own";
  const auto all = invite();
  EXPECT_EQ(theirs.get("/v1/hosts/invites").json().at("items").as_array().size(), 1u);
  EXPECT_EQ(theirs.call("DELETE", "/v1/hosts/invites/" + all.text("id"), "").code(), "notFound");
  EXPECT_EQ(join(bearer_of(own), "h", R"(,"tenants":["ours"])").code(), "forbidden");
}

TEST_F(JoiningTest, WhatDoesNotFitIsRefusedByName) {
  const auto refused = [&](const std::string& body) { return invite(body).text("field"); };
  EXPECT_EQ(refused(R"({"name":"a b"})"), "/name");
  EXPECT_EQ(refused(R"({"tenants":[]})"), "/tenants");
  EXPECT_EQ(refused(R"({"ttl":"1s"})"), "/ttl");
  EXPECT_EQ(refused(R"({"ttl":"31d"})"), "/ttl");
  EXPECT_EQ(refused(R"({"uses":0})"), "/uses");
  EXPECT_EQ(refused(R"({"uses":2,"name":"h"})"), "/uses");
  EXPECT_EQ(refused(R"({"url":"ftp://hub"})"), "/url");
  EXPECT_EQ(join(bearer_of(invite()), "h", R"(,"joining":"short")").text("field"), "/joining");
}

TEST_F(JoiningTest, AJoinTokenRegistersAHostAndDoesNothingElse) {
  const auto who = bearer_of(invite());
  EXPECT_EQ(who.get("/v1/hosts").code(), "forbidden");
  EXPECT_EQ(who.get("/v1/info").code(), "forbidden");
  const auto joined = join(who, "h", id_of("one"));
  ASSERT_EQ(joined.status, 201) << joined;
  EXPECT_EQ(join(who, "h2", id_of("two")).code(), "joinTokenUsed");
  restart();
  EXPECT_EQ(join(who.at(url), "h2", id_of("two")).status, 401);
  EXPECT_EQ(join(who.at(url), "h2", id_of("two")).code(), "joinTokenUsed") << "also in the hub's next life";
  EXPECT_EQ(join(bearer_of(invite(R"({"name":"h3"})")), "h4").code(), "joinTokenOtherName");
}

TEST_F(JoiningTest, AfterALostAnswerTheSameHostGetsANewSecret) {
  const auto who = bearer_of(invite());
  const auto lost = join(who, "h", id_of("one")), again = join(who, "h", id_of("one", 2));
  ASSERT_EQ(again.status, 201) << again;
  EXPECT_NE(again.text("secret"), lost.text("secret"));
  EXPECT_EQ(fetch(admin.as(lost.text("secret")), again.text("id")).status, 401);
  EXPECT_EQ(fetch(admin.as(again.text("secret")), again.text("id")).status, 200);
  EXPECT_EQ(join(who, "h", id_of("one", 3)).code(), "joinTokenUsed") << "it has used its secret";
}

TEST_F(JoiningTest, AHostComesBackByItsOwnSecretAlsoAfterItLeft) {
  const auto joined = join(bearer_of(invite()), "h");
  const auto own = admin.as(joined.text("secret"));
  EXPECT_EQ(fetch(own, joined.text("id")).status, 200);
  EXPECT_EQ(own.post("/v1/hosts/" + joined.text("id") + "/report", R"({"seq":1,"running":[],"leaving":true})").status,
            200);
  EXPECT_EQ(admin.get("/v1/hosts/h").status, 404);
  restart();
  const auto back = join(own.at(url), "h");
  ASSERT_EQ(back.status, 201) << back;
  EXPECT_EQ(back.text("secret"), joined.text("secret")) << "it stays: the answer might be lost";
  EXPECT_EQ(fetch(own.at(url), back.text("id")).status, 200);
  EXPECT_EQ(own.at(url).get("/v1/hosts").code(), "forbidden");
  EXPECT_EQ(join(own.at(url), "other").code(), "forbidden");
}

TEST_F(JoiningTest, AnothersNameIsRefusedWithoutFacts) {
  const auto joined = join(bearer_of(invite()), "h");
  const auto taken = join(machine, "h", R"(,"replaces":")" + joined.text("id") + "\"");
  EXPECT_EQ(taken.status, 409);
  EXPECT_EQ(taken.code(), "nameTaken");
  EXPECT_EQ(taken.body.find("127.0.0.1"), std::string::npos) << taken;
  EXPECT_EQ(join(admin, "h", R"(,"replaces":")" + joined.text("id") + "\"").status, 201) << "an operator may";
  EXPECT_EQ(join(admin.as(joined.text("secret")), "h").status, 401);
}

TEST_F(JoiningTest, TheEarlierSecretHoldsUntilTheNewOneIsUsed) {
  const auto joined = join(bearer_of(invite()), "h");
  const auto first = admin.as(joined.text("secret"));
  const auto path = "/v1/hosts/" + joined.text("id");
  EXPECT_EQ(renew(machine, joined.text("id"), 1).code(), "forbidden");
  EXPECT_EQ(first.post(path + "/secret", "{}").code(), "missingField");
  const auto lost = renew(first, joined.text("id"), 1), renewed = renew(first, joined.text("id"), 2);
  ASSERT_EQ(renewed.status, 200) << renewed;
  EXPECT_EQ(renew(first, joined.text("id"), 1).code(), "conflict") << "a copy that comes late";
  EXPECT_EQ(renewed.headers.at("cache-control"), "no-store");
  EXPECT_EQ(fetch(admin.as(lost.text("secret")), joined.text("id")).status, 401);
  restart();
  EXPECT_EQ(fetch(first.at(url), joined.text("id")).status, 200) << "both hold, also in the hub's next life";
  const auto second = admin.as(renewed.text("secret"));
  EXPECT_EQ(fetch(second, joined.text("id")).status, 200);
  EXPECT_EQ(fetch(first.at(url), joined.text("id")).status, 401);
  restart();
  EXPECT_EQ(fetch(first.at(url), joined.text("id")).status, 401);
  EXPECT_EQ(fetch(second.at(url), joined.text("id")).status, 200);
}

TEST_F(JoiningTest, ARemovedHostIsRefused) {
  const auto joined = join(bearer_of(invite()), "h");
  const auto own = admin.as(joined.text("secret"));
  EXPECT_EQ(ours.call("DELETE", "/v1/hosts/h", "").code(), "forbidden");
  EXPECT_EQ(admin.call("DELETE", "/v1/hosts/h", "").status, 204);
  EXPECT_EQ(fetch(own, joined.text("id")).status, 401);
  EXPECT_EQ(join(own, "h").status, 401);
  EXPECT_EQ(admin.call("DELETE", "/v1/hosts/h", "").code(), "notFound");
  FakeHost plain(machine, "plain");
  EXPECT_EQ(admin.call("DELETE", "/v1/hosts/plain", "").code(), "conflict") << "it would be back at once";
  const auto away = join(bearer_of(invite()), "away");
  admin.as(away.text("secret"))
      .post("/v1/hosts/" + away.text("id") + "/report", R"({"seq":1,"running":[],"leaving":true})");
  EXPECT_EQ(admin.call("DELETE", "/v1/hosts/away", "").status, 204);
  EXPECT_EQ(join(admin.as(away.text("secret")), "away").status, 401);
}

}  // namespace
}  // namespace geres::hub
