// SPDX-License-Identifier: Apache-2.0
// What is asked of a hub, and what its answers and refusals mean to a scaler.
#include "scaler/http_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "transport/listener_test.h"

namespace geres::scaler {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class HttpHubTest : public ::testing::Test {
 protected:
  std::string answer_;  // set before a call
  std::string asked_;   // read after it
  std::atomic<bool> silent_ = false;
  transport::Listener listener_{[this](int connection) {
    asked_.clear();
    while (asked_.find("\r\n\r\n") == std::string::npos || asked_.size() < whole(asked_)) {
      const auto piece = transport::hear(connection);
      if (piece.empty()) return;
      asked_ += piece;
    }
    while (silent_) std::this_thread::yield();
    transport::say(connection, answer_);
    transport::finish(connection);
  }};
  std::atomic<bool> stop_ = false;
  HttpHub hub_{{listener_.url(), {}, "secret"}, stop_};

  static std::size_t whole(const std::string& asked) {
    const auto length = asked.find("Content-Length: ");
    const auto body = asked.find("\r\n\r\n") + 4;
    return length == std::string::npos ? body : body + std::stoul(asked.substr(length + 16));
  }
  void answers(int status, const std::string& body, const char* type = "application/json") {
    answer_ = "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: " + type +
              "\r\nContent-Length: " + std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + body;
  }
  void refuses(int status, const std::string& code) {
    answers(status, R"({"status":)" + std::to_string(status) + R"(,"code":")" + code + R"(","detail":"no"})",
            "application/problem+json");
  }
};

TEST_F(HttpHubTest, AsksByTheContract) {
  answers(200, R"({"epoch": 3, "ttlSeconds": 30})");
  EXPECT_EQ(hub_.lease("me", std::nullopt).value().epoch, 3);
  EXPECT_THAT(asked_, StartsWith("POST /v1/scaler/lease "));
  EXPECT_THAT(asked_, HasSubstr("Authorization: Bearer secret"));
  EXPECT_THAT(asked_, HasSubstr(R"({"holder":"me"})"));
  hub_.lease("me", 3).value();
  EXPECT_THAT(asked_, HasSubstr(R"({"holder":"me","epoch":3})"));

  answers(200, R"({"items": [{"name": "cpu"}, {"name": "gpu"}]})");
  EXPECT_THAT(hub_.pools().value(), ::testing::ElementsAre("cpu", "gpu"));

  answers(200, R"({"pool": {"name": "cpu", "version": 1}, "machines": [], "intents": [], "decisions": []})");
  EXPECT_EQ(hub_.book("cpu").value().pool.version, 1);
  EXPECT_THAT(asked_, StartsWith("GET /v1/scaler/pools/cpu/book "));

  answers(200, R"({"runnable": {"jobs": 812, "slots": 830, "hostsNeeded": 208}, "oldestWaitMs": 41000,
                   "dedicated": [{"batch": "b", "hostsNeeded": 4}], "hosts": {"unmanaged": 2}})");
  const auto demand = hub_.demand("cpu").value();
  EXPECT_EQ(demand.demand.runnable.slots, 830);
  EXPECT_EQ(demand.demand.dedicated_hosts, 4);
  EXPECT_EQ(demand.unmanaged, 2);
  EXPECT_THAT(asked_, StartsWith("GET /v1/scaler/demand?pool=cpu "));

  answers(200, "{}");
  Record record;
  record.intents.push_back({"r1", Verb::order, 3, std::nullopt, Stage::issued, std::nullopt, std::nullopt});
  record.machines.push_back({"i1", Life::failed, std::nullopt, std::nullopt, "it did not join"});
  ASSERT_TRUE(hub_.record("cpu", 7, record));
  EXPECT_THAT(asked_, StartsWith("POST /v1/scaler/pools/cpu/record "));
  EXPECT_THAT(asked_,
              HasSubstr(R"({"intents":[{"request":"r1","verb":"order","count":3,"state":"issued"}],)"
                        R"("machines":[{"instance":"i1","state":"failed","reason":"it did not join"}],"epoch":7})"));
  ASSERT_TRUE(hub_.drain({"h1", "h2"}, 7, "because"));
  EXPECT_THAT(asked_, StartsWith("POST /v1/hosts/drain "));
  EXPECT_THAT(asked_, HasSubstr(R"({"hosts":["h1","h2"],"by":"scaler","epoch":7,"decision":"because"})"));
  ASSERT_TRUE(hub_.resume({"h1"}, 7));
  EXPECT_THAT(asked_, StartsWith("POST /v1/hosts/resume "));
  ASSERT_TRUE(hub_.retire("h1", 7));
  EXPECT_THAT(asked_, StartsWith("POST /v1/hosts/h1/retire "));
  answers(200, R"({"token": "t", "expiresAt": "2026-11-30T10:00:00Z"})");
  EXPECT_EQ(hub_.join_token("cpu", 7, "r1").value(), "t");
  EXPECT_THAT(asked_, HasSubstr(R"({"epoch":7,"request":"r1"})"));
}

TEST_F(HttpHubTest, AsksForItsTokenOnceMoreWhenItIsRefused) {
  const TemporaryDirectory directory;
  const auto asked = (directory.path() / "asked").string();
  const SystemClock clock;
  HttpHub hub({listener_.url(),
               {},
               {},
               std::make_shared<transport::TokenSource>(
                   transport::TokenSource::From{.command = "echo >>" + asked + "; wc -l <" + asked}, clock)},
              stop_);
  refuses(401, "unauthenticated");
  EXPECT_EQ(hub.pools().error().kind, HubTrouble::Kind::refused);
  EXPECT_THAT(asked_, HasSubstr("Authorization: Bearer 2"));
  answers(200, R"({"items": []})");
  EXPECT_TRUE(hub.pools());
  EXPECT_THAT(asked_, HasSubstr("Authorization: Bearer 2"));
  HttpHub none({listener_.url(),
                {},
                {},
                std::make_shared<transport::TokenSource>(
                    transport::TokenSource::From{.command = "echo signed out >&2; exit 1"}, clock)},
               stop_);
  EXPECT_EQ(none.pools().error().kind, HubTrouble::Kind::away);
  EXPECT_THAT(none.pools().error().text, HasSubstr("exit code 1: signed out"));
}

TEST_F(HttpHubTest, KnowsWhatARefusalMeans) {
  using Kind = HubTrouble::Kind;
  for (const auto& [status, code, kind] :
       std::initializer_list<std::tuple<int, const char*, Kind>>{{409, "staleScaler", Kind::stale},
                                                                 {409, "scalerHeld", Kind::held},
                                                                 {409, "hostBusy", Kind::busy},
                                                                 {422, "badValue", Kind::refused},
                                                                 {403, "forbidden", Kind::refused},
                                                                 {503, "unavailable", Kind::away},
                                                                 {500, "internal", Kind::away}}) {
    refuses(status, code);
    EXPECT_EQ(hub_.retire("h1", 1).error().kind, kind) << code;
    EXPECT_THAT(hub_.retire("h1", 1).error().text, HasSubstr(code));
  }
  answers(200, "<html>");
  EXPECT_EQ(hub_.book("cpu").error().kind, Kind::away);
  answers(200, R"({"pool": {"name": "cpu", "limits": {"maximum": -1}}})");
  EXPECT_THAT(hub_.book("cpu").error().text, HasSubstr("/pool/limits/maximum"));
  listener_.stop();
  EXPECT_EQ(hub_.book("cpu").error().kind, Kind::away);
}

TEST_F(HttpHubTest, EndsItsCallWhenTheScalerStops) {
  silent_ = true;
  answers(200, "{}");
  std::thread other([&] {
    while (listener_.connections == 0) std::this_thread::yield();
    stop_ = true;
  });
  EXPECT_FALSE(hub_.retire("h1", 1));
  other.join();
  silent_ = false;
}

}  // namespace
}  // namespace geres::scaler
