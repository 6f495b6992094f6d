// SPDX-License-Identifier: Apache-2.0
// /v1/webhooks as callers see it: made, changed, refused, hidden from others. That calls arrive is tried end to end.
#include "hub/hub_fixture.h"

namespace geres::hub {
namespace {

class WebhookApi : public HubTest {
 protected:
  WebhookApi() {
    options.webhook_allow = {"127.0.0.1"}, options.webhooks.retry_first = 20, options.webhooks.attempts_max = 1;
  }
  // Nobody listens on port 1.
  api::Reply create(const std::string& more = "") {
    return ours.post("/v1/webhooks", R"({"url":"http://127.0.0.1:1/")" + more + "}");
  }
};

TEST_F(WebhookApi, ShowsASecretWhenItIsDrawnAndNeverAgain) {
  const auto made = create(R"(,"name":"ends","types":["geres.job.*"],"batches":["batch0"])");
  ASSERT_EQ(made.status, 201) << made;
  EXPECT_TRUE(made.text("secret").starts_with("whsec_"));
  const auto path = "/v1/webhooks/" + made.text("id");
  EXPECT_EQ(ours.get(path).text("secret"), "");
  EXPECT_EQ(ours.get("/v1/webhooks/ends").text("id"), made.text("id"));
  EXPECT_EQ(ours.get("/v1/webhooks").body.find("whsec_"), std::string::npos);
  const auto changed = ours.call("PATCH", path, R"({"secret":null,"types":[]})");
  ASSERT_EQ(changed.status, 200) << changed;
  EXPECT_NE(changed.text("secret"), made.text("secret"));
  EXPECT_FALSE(changed.json().get_object().contains("types"));
  EXPECT_EQ(ours.call("PATCH", path, R"({"enabled":false})").text("secret"), "");
  EXPECT_EQ(ours.get(path).text("reason"), "disabled by ours");
  EXPECT_EQ(create(R"(,"name":"ends")").code(), "nameTaken");
  EXPECT_EQ(ours.call("DELETE", path).status, 204);
  EXPECT_EQ(ours.get(path).code(), "notFound");
  EXPECT_EQ(create(R"(,"name":"ends")").status, 201);
}

TEST_F(WebhookApi, KeepsWhichJobsItIsFor) {
  const auto made = create(R"(,"jobTypes":["Thumbnail","Rotate"],"tags":{"customer":"7"})");
  ASSERT_EQ(made.status, 201) << made;
  const auto path = "/v1/webhooks/" + made.text("id");
  EXPECT_EQ(json::write_text(ours.get(path).json().at("jobTypes")), R"(["Thumbnail","Rotate"])");
  EXPECT_EQ(json::write_text(ours.get(path).json().at("tags")), R"({"customer":"7"})");
  const auto changed = ours.call("PATCH", path, R"({"jobTypes":[],"tags":{"a":"b"}})");
  ASSERT_EQ(changed.status, 200) << changed;
  EXPECT_FALSE(changed.json().get_object().contains("jobTypes"));
  EXPECT_EQ(json::write_text(ours.get(path).json().at("tags")), R"({"a":"b"})");
}

TEST_F(WebhookApi, RefusesWhatCannotBe) {
  const auto refused = [&](const std::string& body, const std::string& code, const std::string& field) {
    const auto reply = ours.post("/v1/webhooks", body);
    EXPECT_EQ(reply.code(), code) << body << reply;
    EXPECT_EQ(reply.field(), field) << body << reply;
  };
  refused("{}", "missingField", "/url");
  refused(R"({"url":"file:///etc/passwd"})", "badValue", "/url");
  refused(R"({"url":"http://169.254.169.254/"})", "badValue", "/url");
  refused(R"({"url":"http://me:secret@8.8.8.8/"})", "badValue", "/url");
  refused(R"({"url":"http://8.8.8.8/","types":["geres.job.finshed"]})", "badValue", "/types");
  for (const std::string name : {"types", "batches", "jobTypes"})
    refused(R"({"url":"http://8.8.8.8/",")" + name + R"(":[]})", "emptyFilter", "/" + name);
  refused(R"({"url":"http://8.8.8.8/","tags":{}})", "emptyFilter", "/tags");
  refused(R"({"url":"http://8.8.8.8/","batches":["none"]})", "unknownBatch", "/batches/0");
  refused(R"({"url":"http://8.8.8.8/","jobTypes":["Fine","no type"]})", "badValue", "/jobTypes/1");
  refused(R"({"url":"http://8.8.8.8/","tags":{"":"x"}})", "badValue", "/tags");
  refused(R"({"forJobs":true,"jobTypes":["T"]})", "badValue", "/forJobs");
  refused(R"({"url":"http://8.8.8.8/","secret":"short"})", "badValue", "/secret");
  refused(R"({"url":"http://8.8.8.8/","tenant":"theirs"})", "forbidden", "/tenant");
  refused(R"({"url":"http://8.8.8.8/","filter":"x"})", "unknownField", "/filter");
  refused(R"({"url":"http://8.8.8.8/","forJobs":true})", "badValue", "/forJobs");
  EXPECT_EQ(viewer.post("/v1/webhooks", R"({"url":"http://8.8.8.8/"})").code(), "forbidden");
  EXPECT_EQ(theirs.get("/v1/webhooks/" + create().text("id")).code(), "notFound");
  ASSERT_EQ(ours.post("/v1/webhooks", R"({"forJobs":true})").status, 201);
  refused(R"({"forJobs":true})", "conflict", "/forJobs");
}

TEST_F(WebhookApi, TestsListsAndReplays) {
  const auto hook = create(R"(,"types":["geres.job.submitted"])").text("id");
  const auto path = "/v1/webhooks/" + hook;
  const auto tested = ours.post(path + "/test");
  EXPECT_EQ(tested.status, 200) << tested;
  EXPECT_FALSE(tested.json().at("delivered").get_bool());
  submit();
  api::Reply dead;
  for (const auto end = SystemClock().monotonic() + 60'000; SystemClock().monotonic() < end;) {
    dead = ours.get(path + "/deliveries?state=dead");
    ASSERT_EQ(dead.status, 200) << dead;
    if (!dead.json().at("items").get_array().empty()) break;
  }
  ASSERT_EQ(dead.json().at("items").get_array().size(), 1u) << dead;
  const auto event = str(dead.json().at("items").get_array()[0].at("id"));
  EXPECT_EQ(ours.get(path + "/deliveries?state=lost").field(), "state");
  EXPECT_EQ(ours.post(path + "/replay", R"({"ids":["x"]})").field(), "/ids/0");
  EXPECT_EQ(ours.post(path + "/replay", R"({"from":"x-1"})").field(), "/from");
  EXPECT_EQ(ours.post(path + "/replay", R"({"ids":[")" + event + R"("]})").json().at("replayed").get_int64(), 1);
  EXPECT_EQ(ours.post(path + "/replay", R"({"from":"start"})").status, 200);
}

TEST_F(WebhookApi, KeepsWhatAJobAsksFor) {
  ASSERT_EQ(ours.post("/v1/webhooks", R"({"forJobs":true})").status, 201);
  const auto job = submit(R"(,"webhook":{"url":"http://127.0.0.1:1/","types":["geres.job.started"]})");
  EXPECT_EQ(json::write_text(ours.get("/v1/jobs/" + job).json().at("webhook")),
            R"({"url":"http://127.0.0.1:1/","types":["geres.job.started"]})");
  EXPECT_EQ(ours.get("/v1/jobs/" + job + "?fields=webhook").status, 200);
}

}  // namespace
}  // namespace geres::hub
