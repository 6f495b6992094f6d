// SPDX-License-Identifier: Apache-2.0
// What a page is told over its WebSocket, by a real hub.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "hub/api/websocket_client.h"
#include "hub/hub_fixture.h"

namespace geres::hub {
namespace {

using api::WebSocketClient;
using testing::HasSubstr;

class LiveTest : public HubTest {
 protected:
  static WebSocketClient::Headers bearer(const api::TestClient& who) {
    return {{"Authorization", "Bearer " + who.token()}};
  }
  WebSocketClient open(const api::TestClient& who) { return {url, "/v1/live", bearer(who)}; }
  std::string cookie(const api::TestClient& who) {
    const auto reply = admin.as("").post("/v1/session", R"({"token":")" + who.token() + "\"}");
    const auto set = reply.headers.at("set-cookie");
    return set.substr(0, set.find(';'));
  }
  static std::string watch(const std::string& what) { return R"({"watch":{)" + what + "}}"; }

  // The next message that has this member; others are left out.
  static json::value next(WebSocketClient& socket, const char* member) {
    while (const auto text = socket.next()) {
      const auto message = json::parse(*text).value();
      if (const auto* found = message.get_object().if_contains(member)) return *found;
    }
    ADD_FAILURE() << "no " << member << "; closed: " << socket.close_code() << " " << socket.close_reason();
    return {};
  }
  // Until it is closed.
  static int ended(WebSocketClient& socket) {
    while (socket.next()) {
    }
    return socket.close_code();
  }
};

TEST_F(LiveTest, TellsTheStatusWhenItHasChanged) {
  auto socket = open(ours);
  ASSERT_EQ(socket.status(), 101);
  socket.send(watch(R"("status":true)"));
  EXPECT_EQ(next(socket, "status").at("jobs").at("ready"), 0);
  submit();
  const auto status = next(socket, "status");
  EXPECT_EQ(status.at("jobs").at("ready"), 1);
  EXPECT_EQ(status, ours.get("/v1/status").json());
}

TEST_F(LiveTest, TellsEachWhatItMaySee) {
  submit();
  auto mine = open(ours), other = open(theirs);
  for (auto* socket : {&mine, &other}) socket->send(watch(R"("status":true)"));
  EXPECT_EQ(next(mine, "status").at("jobs").at("ready"), 1);
  EXPECT_EQ(next(other, "status").at("jobs").at("ready"), 0);
}

TEST_F(LiveTest, TellsOfWatchedJobsAsTheyAreAndAsTheyChange) {
  const auto first = submit(), second = submit(), unseen = submit();
  auto socket = open(ours);
  socket.send(watch(R"("jobs":[")" + first + R"(",")" + second + R"("])"));
  std::set<std::string> told{str(next(socket, "job").at("id")), str(next(socket, "job").at("id"))};
  EXPECT_EQ(told, (std::set{first, second}));
  ours.post("/v1/jobs/" + unseen + "/cancel");
  ours.post("/v1/jobs/" + second + "/cancel");
  const auto job = next(socket, "job");
  EXPECT_EQ(str(job.at("id")), second);
  EXPECT_EQ(job, ours.get("/v1/jobs/" + second).json()) << "whole";
  // Only what is new in a list is told again.
  socket.send(watch(R"("jobs":[")" + second + R"(",")" + unseen + R"("])"));
  EXPECT_EQ(str(next(socket, "job").at("id")), unseen);
  ours.post("/v1/jobs/" + first + "/cancel");  // not watched any more
  socket.send(watch(R"("jobs":[")" + first + R"("])"));
  EXPECT_EQ(next(socket, "job").at("state"), "cancelled");
}

TEST_F(LiveTest, TellsNothingOfOthersJobs) {
  const auto job = submit();
  auto socket = open(theirs);
  socket.send(watch(R"("status":true,"jobs":[")" + job + R"("],"newJobs":true,"log":{"job":")" + job +
                    R"(","attempt":1,"stream":"stdout"})"));
  next(socket, "status");  // so it has been heard
  ours.post("/v1/jobs/" + job + "/cancel");
  ours.post("/v1/jobs", spec());
  theirs.post("/v1/jobs", spec());
  for (auto text = socket.next(); text; text = socket.next()) {
    if (text->starts_with(R"({"status")")) continue;
    EXPECT_EQ(*text, R"({"newJobs":1})") << "its own, and nothing before it";
    return;
  }
  ADD_FAILURE() << "it was not told of its own";
}

TEST_F(LiveTest, CountsNewJobs) {
  submit();
  auto socket = open(ours);
  socket.send(watch(R"("newJobs":true,"status":true)"));
  next(socket, "status");  // so it has been heard
  submit(), submit();
  std::int64_t count = 0;
  while (count < 2) count = next(socket, "newJobs").as_int64();
  EXPECT_EQ(count, 2);
  socket.send(watch(R"("newJobs":true,"status":true)"));
  next(socket, "status");
  submit();
  EXPECT_EQ(next(socket, "newJobs"), 1) << "since the last watch";
}

TEST_F(LiveTest, TellsThatALogGrowsAndEnds) {
  FakeHost host(admin, "h");
  const auto job = submit();
  const auto lease = host.one_lease();
  auto socket = open(ours);
  socket.send(watch(R"("log":{"job":")" + job + R"(","attempt":1,"stream":"stdout"})"));
  auto log = next(socket, "log");
  EXPECT_EQ(log.at("size"), 0);
  EXPECT_EQ(log.at("ended"), false);
  const auto q = "\"" + lease + "\"";
  const auto reported = host.report(R"("running":[)" + q + R"(],"started":[)" + q + R"(],"log":[{"lease":)" + q +
                                    R"(,"stream":"stdout","offset":0,"data":")" + to_base64("hello\n") + R"("}])");
  ASSERT_EQ(reported.status, 200) << reported;
  while (log.at("size") != 6) log = next(socket, "log");
  EXPECT_EQ(log.at("stream"), "stdout");
  host.report(R"("running":[],"finished":[{"lease":)" + q + R"(,"outcome":"finished","exit":{"code":0}}])");
  while (log.at("ended") != true) log = next(socket, "log");
  EXPECT_EQ(log.at("size"), 6);
}

TEST_F(LiveTest, EndsWhenItIsAskedForSomethingElse) {
  std::string many;
  for (int i = 0; i < 201; ++i)
    many += (many.empty() ? "\"" : ",\"") + std::string("01890a5d-ac96-774b-bcce-b302099a8057\"");
  const std::pair<std::string, const char*> wrong[] = {
      {"hello", ""},
      {"{}", "watch"},
      {R"({"watch":{},"more":1})", "more"},
      {R"({"watch":{"jbos":[]}})", "jbos"},
      {R"({"watch":{"status":"yes"}})", "/watch/status"},
      {R"({"watch":{"jobs":["x"]}})", "/watch/jobs"},
      {R"({"watch":{"jobs":[)" + many + "]}}", "at most 200"},
      {R"({"watch":{"log":{"job":"x","attempt":1,"stream":"stdout"}}})", "/watch/log/job"},
      {R"({"watch":{"log":{"job":"01890a5d-ac96-774b-bcce-b302099a8057","attempt":0,"stream":"stdout"}}})",
       "/watch/log/attempt"},
      {R"({"watch":{"log":{"job":"01890a5d-ac96-774b-bcce-b302099a8057","attempt":1,"stream":"both"}}})",
       "/watch/log/stream"},
      {R"({"watch":{"log":{"attempt":1,"stream":"stdout"}}})", "job"},
  };
  for (const auto& [text, reason] : wrong) {
    auto socket = open(ours);
    socket.send(text);
    EXPECT_EQ(ended(socket), 1008) << text;
    EXPECT_THAT(socket.close_reason(), HasSubstr(reason)) << text;
  }
}

TEST_F(LiveTest, IsRefusedToWhoMayNotLook) {
  EXPECT_EQ(WebSocketClient(url, "/v1/live", {}).status(), 401);
  EXPECT_EQ(open(machine).status(), 403);
  EXPECT_EQ(WebSocketClient(url, "/v1/live?since=1", bearer(ours)).status(), 400);
  EXPECT_EQ(WebSocketClient(url, "/v1/live?access_token=" + ours.token(), {}).status(), 101);
  EXPECT_EQ(ours.get("/v1/live").code(), "badRequest") << "no WebSocket";
}

// A page of any origin may open a WebSocket, and its browser sends the cookie along.
TEST_F(LiveTest, ACookieCountsForTheHubsOwnPageAlone) {
  const auto mine = cookie(ours);
  const auto own = "http://" + url.substr(7);
  EXPECT_EQ(WebSocketClient(url, "/v1/live", {{"Cookie", mine}, {"Origin", own}}).status(), 101);
  const WebSocketClient foreign(url, "/v1/live", {{"Cookie", mine}, {"Origin", "https://evil.example"}});
  EXPECT_EQ(foreign.status(), 403);
  EXPECT_THAT(foreign.refusal(), HasSubstr("foreignOrigin"));
  EXPECT_EQ(WebSocketClient(url, "/v1/live", {{"Cookie", "geres=00"}, {"Origin", own}}).status(), 401);
}

class LiveWithCorsTest : public LiveTest {
 protected:
  LiveWithCorsTest() { options.serving.cors_origins = {"https://app.example"}; }
};

TEST_F(LiveWithCorsTest, APageThatMayCallWithATokenMayNotUseTheCookie) {
  const auto mine = cookie(ours);
  EXPECT_EQ(WebSocketClient(url, "/v1/live", {{"Cookie", mine}, {"Origin", "https://app.example"}}).status(), 403);
  EXPECT_EQ(WebSocketClient(url, "/v1/live?access_token=" + ours.token(), {{"Origin", "https://app.example"}}).status(),
            101);
}

TEST_F(LiveTest, EndsWithTheSession) {
  const auto mine = cookie(ours);
  const auto own = "http://" + url.substr(7);
  WebSocketClient socket(url, "/v1/live", {{"Cookie", mine}, {"Origin", own}});
  socket.send(watch(R"("status":true)"));
  next(socket, "status");
  EXPECT_EQ(admin.as("").call("DELETE", "/v1/session", "", {{"Cookie", mine}, {"Origin", own}}).status, 204);
  EXPECT_EQ(ended(socket), 4401);
}

TEST_F(LiveTest, EndsWithTheToken) {
  const auto made = admin.post("/v1/tokens", R"({"name":"brief","roles":["viewer"]})");
  const auto brief = admin.as(made.text("token"));
  const auto own = "http://" + url.substr(7);
  auto by_token = open(brief);
  WebSocketClient by_cookie(url, "/v1/live", {{"Cookie", cookie(brief)}, {"Origin", own}});
  EXPECT_EQ(admin.call("DELETE", "/v1/tokens/" + made.text("id")).status, 204);
  EXPECT_EQ(ended(by_token), 4401);
  EXPECT_EQ(ended(by_cookie), 4401);
}

TEST_F(LiveTest, SaysGoodbyeWhenTheHubStops) {
  auto socket = open(ours);
  socket.send(watch(R"("status":true)"));
  next(socket, "status");
  hub->stop();
  EXPECT_EQ(ended(socket), 1001);
}

}  // namespace
}  // namespace geres::hub
