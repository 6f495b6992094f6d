// SPDX-License-Identifier: Apache-2.0
// GET /v1/events over loopback: who hears what, coming back, what is gone, and bad questions.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "hub/api/event_stream_client.h"
#include "hub/hub_fixture.h"

namespace geres::hub {
namespace {

using api::EventStreamClient;

class EventsApiTest : public HubTest {
 protected:
  std::unique_ptr<EventStreamClient> listen(const api::TestClient& who, const std::string& query = "",
                                            const std::string& last = "") {
    auto stream = std::make_unique<EventStreamClient>(url, "/v1/events" + query, who.token(), last);
    EXPECT_EQ(stream->wait_for_status(), 200);
    stream->wait_for_id();
    return stream;
  }
  static json::value data_of(const std::optional<api::StreamEvent>& event) {
    return event ? boost::json::parse(event->data) : json::value(json::object());
  }
  // "started 3f2a…" of the next event.
  static std::string told(EventStreamClient& stream) {
    const auto event = stream.next();
    if (!event) return "(ended)";
    if (event->type == "gap") return "gap";
    const auto body = boost::json::parse(event->data);
    EXPECT_EQ(str(body.at("type")), event->type);
    EXPECT_EQ(str(body.at("id")), event->id);
    return event->type.substr(6) + " " + str(body.at("subject"));
  }
  void run_one(FakeHost& host, const std::string& result = "done") {
    const auto lease = host.one_lease();
    EXPECT_EQ(host.report(R"("running":[")" + lease + R"("],"started":[")" + lease + R"("],"progress":[{"lease":")" +
                          lease + R"(","percent":40,"message":"half"}])")
                  .status,
              200);
    EXPECT_EQ(host.report(R"("running":[],"finished":[{"lease":")" + lease + R"(","outcome":"finished","result":")" +
                          result + R"(","exit":{"code":0}}])")
                  .status,
              200);
  }
};

TEST_F(EventsApiTest, TellsAJobsWholeLifeAsItHappens) {
  FakeHost host(machine, "h");
  const auto stream = listen(ours);
  const auto id = submit(R"(,"name":"first","parameters":{"secret":1},"tags":{"k":"v"})");
  run_one(host);
  const auto submitted = stream->next();
  ASSERT_TRUE(submitted);
  EXPECT_EQ(submitted->type, "geres.job.submitted");
  const auto event = data_of(submitted);
  EXPECT_EQ(event.at("specversion"), "1.0");
  EXPECT_EQ(event.at("tenant"), "ours");
  EXPECT_EQ(str(event.at("data").at("id")), id);
  EXPECT_EQ(event.at("data").at("name"), "first");
  EXPECT_EQ(event.at("data").at("state"), "ready");
  EXPECT_EQ(event.at("data").at("tags").at("k"), "v");
  EXPECT_FALSE(event.at("data").get_object().contains("parameters"));
  EXPECT_EQ(told(*stream), "job.leased " + id);
  const auto started = data_of(stream->next());
  EXPECT_EQ(started.at("type"), "geres.job.started");
  EXPECT_EQ(started.at("data").at("host"), "h");
  EXPECT_EQ(started.at("data").at("attempt"), 1);
  const auto progressed = data_of(stream->next());
  EXPECT_EQ(progressed.at("data").at("progress").at("percent"), 40);
  EXPECT_FALSE(progressed.at("data").get_object().contains("result"));
  const auto finished = data_of(stream->next());
  EXPECT_EQ(finished.at("data").at("state"), "finished");
  EXPECT_EQ(finished.at("data").at("result"), "done");
  EXPECT_EQ(finished.at("data").at("exit").at("code"), 0);
}

TEST_F(EventsApiTest, EachHearsOnlyWhatItMaySee) {
  const auto everything = listen(admin);
  const auto mine = listen(ours);
  const auto hers = listen(theirs, "?type=geres.job.*");
  const auto nothing = listen(theirs, "?tenant=ours");
  FakeHost host(machine, "h");
  const auto id = submit();
  const auto other = theirs.post("/v1/jobs", spec()).text("id");
  EXPECT_EQ(told(*everything), "host.joined " + host.id);
  EXPECT_EQ(told(*everything), "job.submitted " + id);
  EXPECT_EQ(told(*everything), "job.submitted " + other);
  EXPECT_EQ(told(*mine), "job.submitted " + id) << "hosts are the operators' business";
  EXPECT_EQ(told(*hers), "job.submitted " + other);
  EXPECT_EQ(ours.post("/v1/jobs/" + id + "/cancel").status, 200);
  EXPECT_EQ(theirs.post("/v1/jobs/" + other + "/cancel").status, 200);
  EXPECT_EQ(told(*mine), "job.cancelled " + id);
  EXPECT_EQ(told(*hers), "job.cancelled " + other);
  nothing->close();
  EXPECT_FALSE(nothing->next()) << "another tenant is like one that does nothing";
}

TEST_F(EventsApiTest, FollowsOneJobOneBatchOneKind) {
  EXPECT_EQ(ours.post("/v1/batches", R"({"name":"night"})").status, 201);
  const auto before = submit();
  const auto job = listen(ours, "?job=" + before);
  const auto batch = listen(ours, "?batch=night");
  const auto ends = listen(ours, "?type=geres.job.cancelled,geres.batch.*");
  const auto inside = submit(R"(,"batch":"night")");
  EXPECT_EQ(ours.post("/v1/jobs/" + inside + "/cancel").status, 200);
  EXPECT_EQ(ours.post("/v1/jobs/" + before + "/cancel").status, 200);
  const auto closed = ours.post("/v1/batches/night/close");
  EXPECT_EQ(told(*job), "job.cancelled " + before);
  EXPECT_EQ(told(*batch), "job.submitted " + inside);
  EXPECT_EQ(told(*batch), "job.cancelled " + inside);
  EXPECT_EQ(told(*batch), "batch.closed " + closed.text("id"));
  EXPECT_EQ(told(*batch), "batch.completed " + closed.text("id"));
  EXPECT_EQ(told(*ends), "job.cancelled " + inside);
  EXPECT_EQ(told(*ends), "job.cancelled " + before);
  EXPECT_EQ(told(*ends), "batch.closed " + closed.text("id"));
}

TEST_F(EventsApiTest, ReadsOnWhereItWasAlsoAfterARestart) {
  auto stream = listen(ours);
  const auto first = submit();
  EXPECT_EQ(told(*stream), "job.submitted " + first);
  const auto id = stream->last_id();
  stream->close();
  const auto second = submit();
  hub->stop(0);
  hub = std::make_unique<Hub>(options);
  url = hub->start();
  ours = ours.at(url);
  const auto third = submit();
  stream = listen(ours, "", id);
  EXPECT_EQ(told(*stream), "job.submitted " + second);
  EXPECT_EQ(told(*stream), "job.submitted " + third);
  const auto all = listen(ours, "?lastEventId=start");
  for (const auto& job : {first, second, third}) EXPECT_EQ(told(*all), "job.submitted " + job);
  const auto quiet = listen(ours);
  EXPECT_EQ(quiet->last_id(), all->last_id()) << "one that heard nothing knows where it is";
}

TEST_F(EventsApiTest, IdsOfAnotherLogAreAGap) {
  const auto id = submit();
  const auto stream = listen(ours, "", "0123456789abcdef-17");
  EXPECT_EQ(told(*stream), "gap");
  EXPECT_EQ(told(*stream), "job.submitted " + id);
}

TEST_F(EventsApiTest, ATokenThatIsTakenBackHearsNoMore) {
  const auto made = admin.post("/v1/tokens", R"({"name":"short","roles":["viewer"],"tenants":["ours"]})");
  const auto stream = listen(admin.as(made.text("token")));
  EXPECT_EQ(admin.call("DELETE", "/v1/tokens/" + made.text("id")).status, 204);
  submit();
  EXPECT_FALSE(stream->next());
  EXPECT_TRUE(stream->ended());
}

TEST_F(EventsApiTest, EndsWithTheNewestWhenItIsNotToFollow) {
  const auto first = submit();
  const auto all = ours.get("/v1/events?follow=false&lastEventId=start").body;
  EXPECT_NE(all.find(first), std::string::npos) << all;
  const auto position = all.substr(all.rfind("id: ") + 4, all.size() - all.rfind("id: ") - 6);
  const auto second = submit();
  const auto rest = ours.get("/v1/events?follow=false&lastEventId=" + position).body;
  EXPECT_EQ(rest.find(first), std::string::npos) << rest;
  EXPECT_NE(rest.find(second), std::string::npos) << rest;
  EXPECT_EQ(ours.get("/v1/events?follow=false").body.find("data:"), std::string::npos) << "from now on: nothing yet";
  EXPECT_EQ(ours.get("/v1/events?follow=perhaps").status, 400);
}

TEST_F(EventsApiTest, TakesTheTokenFromTheQueryForBrowsers) {
  EventStreamClient stream(url, "/v1/events?access_token=" + ours.token(), "");
  EXPECT_EQ(stream.wait_for_status(), 200);
  EXPECT_EQ(ours.as("").get("/v1/events?access_token=wrong").code(), "unauthenticated");
  EXPECT_EQ(ours.as("").get("/v1/events").code(), "unauthenticated");
  EXPECT_EQ(ours.as("").get("/v1/jobs?access_token=" + ours.token()).code(), "unauthenticated")
      << "nowhere else: queries end up in logs";
  EXPECT_EQ(machine.get("/v1/events").code(), "forbidden");
}

// As a client without WebSockets does it: one poll after the other, and what it says by POST.
TEST_F(EventsApiTest, SignalrGoesByLongPollsToo) {
  const auto end = std::string(1, '\x1e');
  const auto id = submit();
  const auto token = ours.post("/hubs/jobs/negotiate?negotiateVersion=1").text("connectionToken");
  const auto path = "/hubs/jobs?id=" + token;
  EXPECT_EQ(ours.get(path).body, "") << "the first poll only shows that it works";
  const auto say = [&](const std::string& what) { EXPECT_EQ(ours.post(path, what + end).status, 200); };
  say(R"({"protocol":"json","version":1})");
  EXPECT_EQ(ours.get(path).body, "{}" + end);
  say(R"({"type":1,"invocationId":"0","target":"SubscribeToJob","arguments":[")" + id + R"("]})");
  EXPECT_EQ(ours.get(path).body, R"({"type":3,"invocationId":"0","result":null})" + end);
  const auto refusal = [&](const std::string& of) {
    say(R"({"type":1,"invocationId":"1","target":"SubscribeToJob","arguments":[")" + of + R"("]})");
    auto text = ours.get(path).body;
    if (const auto at = text.find(of); at != std::string::npos) text.replace(at, of.size(), "X");
    return text;
  };
  const auto foreign = refusal(theirs.post("/v1/jobs", spec()).text("id"));
  EXPECT_NE(foreign.find(R"("error")"), std::string::npos) << foreign;
  EXPECT_EQ(foreign, refusal("0192f0c4-7d3a-7001-8f2e-0123456789ab")) << "another's job is like none at all";
  EXPECT_EQ(ours.post("/v1/jobs/" + id + "/cancel").status, 200);
  const auto told = ours.get(path).body;
  EXPECT_NE(told.find(R"("target":"JobCompleted","arguments":[{"id":")" + id), std::string::npos) << told;
  EXPECT_EQ(theirs.get(path).status, 404) << "nobody else's";
  EXPECT_EQ(ours.call("DELETE", path).status, 202);
  EXPECT_EQ(ours.get(path).status, 404);
}

TEST_F(EventsApiTest, SignalrEndsWithAReason) {
  const auto end = std::string(1, '\x1e');
  const auto last_words = [&](const std::string& said) {
    const auto path = "/hubs/jobs?id=" + ours.post("/hubs/jobs/negotiate?negotiateVersion=1").text("connectionToken");
    ours.get(path);
    for (std::size_t at = 0; at < said.size(); at += 60'000) ours.post(path, said.substr(at, 60'000));
    const auto words = ours.get(path).body;
    EXPECT_EQ(ours.get(path).status, 204) << "it has ended";
    EXPECT_EQ(ours.get(path).status, 404);
    return words;
  };
  EXPECT_NE(last_words(R"({"protocol":"messagepack","version":1})" + end).find("'messagepack'"), std::string::npos);
  EXPECT_NE(last_words("hello" + end).find("handshake"), std::string::npos);
  const auto hello = R"({"protocol":"json","version":1})" + end;
  EXPECT_NE(last_words(hello + "{}" + end).find(R"("type":7,"error")"), std::string::npos);
  EXPECT_NE(last_words(hello + std::string(70'000, 'x')).find("longer than"), std::string::npos);
}

TEST_F(EventsApiTest, RefusesQuestionsThatMakeNoSense) {
  const auto other = theirs.post("/v1/jobs", spec()).text("id");
  const auto id = submit();
  const auto stream = listen(ours);
  const auto last = stream->last_id();
  const auto future = last.substr(0, last.rfind('-')) + "-1000000";
  struct Case {
    std::string query, code, field;
  };
  for (const auto& wrong : std::vector<Case>{{"?typ=x", "unknownParameter", "typ"},
                                             {"?type=geres.job.exploded", "badValue", "type"},
                                             {"?type=*.job", "badValue", "type"},
                                             {"?job=7", "unknownJob", "job"},
                                             {"?job=" + other, "unknownJob", "job"},
                                             {"?batch=nightly", "unknownBatch", "batch"},
                                             {"?lastEventId=yesterday", "badValue", "lastEventId"},
                                             {"?lastEventId=" + future, "badValue", "lastEventId"}}) {
    const auto reply = ours.get("/v1/events" + wrong.query);
    EXPECT_EQ(reply.code(), wrong.code) << wrong.query << reply;
    EXPECT_EQ(reply.field(), wrong.field) << wrong.query;
  }
  EXPECT_EQ(ours.get("/v1/events", {{"Last-Event-ID", future}}).field(), "Last-Event-ID");
  std::string many = "?job=" + id;
  for (int i = 0; i < 100; ++i) many += "," + id;
  EXPECT_EQ(ours.get("/v1/events" + many).code(), "tooMany");
}

}  // namespace
}  // namespace geres::hub
