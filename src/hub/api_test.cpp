// SPDX-License-Identifier: Apache-2.0
// The API over loopback with the real engine and the real store: what users and hosts do, from end to end.
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "hub/hub_fixture.h"

namespace geres::hub {
namespace {

using ApiTest = HubTest;

TEST_F(ApiTest, IsOpenAboutItsHealthAndNothingElse) {
  const auto nobody = admin.as("");
  EXPECT_EQ(nobody.get("/healthz").body, "ok\n");
  EXPECT_EQ(nobody.get("/readyz").status, 200);
  EXPECT_EQ(nobody.get("/").status, 200);
  EXPECT_NE(nobody.get("/openapi.yaml").body.find("openapi: 3.1.0"), std::string::npos);
  EXPECT_NE(nobody.get("/errors").body.find("unknownBatch"), std::string::npos);
  const auto refused = nobody.get("/v1/jobs");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.code(), "unauthenticated");
  EXPECT_EQ(refused.headers.at("www-authenticate"), "Bearer realm=\"geres\"");
  EXPECT_EQ(refused.headers.at("content-type"), "application/problem+json");
  EXPECT_EQ(admin.as("geres_0000").get("/v1/jobs").code(), "unauthenticated");
  EXPECT_EQ(nobody.get("/v1/nothing").status, 404);
  EXPECT_EQ(admin.call("PUT", "/v1/jobs").status, 405);
}

TEST_F(ApiTest, TakesAJobAndShowsItAtOnce) {
  const auto made = ours.post(
      "/v1/jobs", spec(R"(,"name":"first","parameters":{"b":1,"a":[true]},"tags":{"k":"v"},"maxAttempts":3)"));
  ASSERT_EQ(made.status, 201) << made;
  EXPECT_EQ(made.text("state"), "ready");
  EXPECT_EQ(made.text("tenant"), "ours");
  EXPECT_EQ(made.text("batch"), "batch0");
  EXPECT_EQ(made.text("submittedBy"), "ours");
  const auto id = made.text("id");
  EXPECT_EQ(made.headers.at("location"), "/v1/jobs/" + id);
  const auto read = ours.get("/v1/jobs/" + id);
  ASSERT_EQ(read.status, 200);
  EXPECT_EQ(read.json().at("parameters"), json::parse(R"({"b":1,"a":[true]})").value());
  EXPECT_EQ(ours.get("/v1/jobs?tag.k=v").json().at("items").get_array().size(), 1u);
  EXPECT_EQ(ours.get("/v1/jobs?tag.k=w").json().at("items").get_array().size(), 0u);
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/attempts").json().at("items").get_array().size(), 0u);
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/files").json().at("items").get_array().size(), 0u);
  const auto events = ours.get("/v1/jobs/" + id + "/events").json();
  EXPECT_EQ(events.at("items").at(0).at("type"), "geres.job.submitted");
  const auto why = ours.get("/v1/jobs/" + id + "/why");
  EXPECT_EQ(why.status, 200) << why;
  EXPECT_FALSE(why.text("summary").empty());
}

TEST_F(ApiTest, TakesAListAllOrNothing) {
  const auto made = ours.post("/v1/jobs", "[" + spec() + "," + spec() + "]");
  ASSERT_EQ(made.status, 201) << made;
  EXPECT_EQ(made.json().at("ids").get_array().size(), 2u);
  const auto refused = ours.post("/v1/jobs", "[" + spec() + "," + spec(R"(,"maxAttempts":0)") + "]");
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.field(), "/1/maxAttempts");
  EXPECT_EQ(ours.get("/v1/jobs").json().at("items").get_array().size(), 2u);
}

TEST_F(ApiTest, AnswersARepeatWithTheFirstAnswer) {
  const api::TestClient::Headers key{{"Idempotency-Key", "k1"}};
  const auto first = ours.post("/v1/jobs", spec(R"(,"parameters":{"a":1,"b":2})"), key);
  const auto again = ours.post("/v1/jobs", R"({"parameters":{"b":2,"a":1},"type":"Work","key":"k1","priority":0})");
  EXPECT_EQ(again.status, 200) << again;
  EXPECT_EQ(again.text("id"), first.text("id"));
  EXPECT_EQ(again.headers.at("idempotency-replayed"), "true");
  const auto other = ours.post("/v1/jobs", spec(R"(,"parameters":{"a":2})"), key);
  EXPECT_EQ(other.status, 422);
  EXPECT_EQ(other.code(), "keyReused");
  EXPECT_EQ(ours.post("/v1/jobs", spec(R"(,"key":"k2")"), key).code(), "badValue");
  // A list's key names the list.
  const api::TestClient::Headers list_key{{"Idempotency-Key", "list"}};
  const auto list = ours.post("/v1/jobs", "[" + spec() + "]", list_key);
  const auto repeat = ours.post("/v1/jobs", "[" + spec() + "]", list_key);
  EXPECT_EQ(repeat.status, 200) << repeat;
  EXPECT_EQ(repeat.body, list.body);
  EXPECT_EQ(ours.post("/v1/jobs", "[" + spec(R"(,"priority":1)") + "]", list_key).code(), "keyReused");
  // Another tenant's keys are its own.
  const auto elsewhere = theirs.post("/v1/jobs", spec(R"(,"parameters":{"a":1,"b":2})"), key);
  EXPECT_EQ(elsewhere.status, 201) << elsewhere;
}

TEST_F(ApiTest, GoesThroughListsPageByPage) {
  for (int i = 0; i < 5; ++i) submit(R"(,"name":"n)" + std::to_string(i) + "\"");
  std::vector<std::string> names;
  std::string cursor;
  do {
    const auto page = ours.get("/v1/jobs?limit=2&order=asc&fields=name" + cursor).json();
    for (const auto& item : page.at("items").get_array()) {
      EXPECT_EQ(item.get_object().size(), 1u);
      names.emplace_back(item.at("name").get_string());
    }
    const auto* next = page.get_object().if_contains("next");
    cursor = next != nullptr ? "&cursor=" + std::string(next->get_string()) : "";
  } while (!cursor.empty());
  EXPECT_EQ(names, (std::vector<std::string>{"n0", "n1", "n2", "n3", "n4"}));
}

TEST_F(ApiTest, FindsAJobByAPartOfItsId) {
  const auto id = submit();
  const auto found = ours.get("/v1/jobs?id=" + id.substr(id.size() - 8)).json();
  ASSERT_EQ(found.at("items").get_array().size(), 1u);
  EXPECT_EQ(str(found.at("items").at(0).at("id")), id);
  EXPECT_EQ(theirs.get("/v1/jobs?id=" + id.substr(id.size() - 8)).json().at("items").get_array().size(), 0u);
  EXPECT_EQ(ours.get("/v1/jobs?id=zz").code(), "badValue");
}

TEST_F(ApiTest, CancelsAndRedrives) {
  const auto id = submit();
  EXPECT_EQ(ours.post("/v1/jobs/" + id + "/redrive").code(), "notEnded");
  EXPECT_EQ(ours.post("/v1/jobs/" + id + "/cancel", R"({"reason":"not needed"})").text("state"), "cancelled");
  EXPECT_EQ(ours.post("/v1/jobs/" + id + "/cancel").status, 200) << "of an ended job: unchanged";
  const auto again = ours.post("/v1/jobs/" + id + "/redrive");
  ASSERT_EQ(again.status, 201) << again;
  EXPECT_EQ(again.text("redriveOf"), id);
  EXPECT_EQ(ours.get("/v1/jobs/" + id).text("redrivenAs"), again.text("id"));
  EXPECT_EQ(ours.post("/v1/jobs/" + id + "/dismiss").code(), "conflict") << "it was cancelled";
  EXPECT_EQ(ours.post("/v1/jobs/" + again.text("id") + "/dismiss").code(), "notEnded");
  EXPECT_EQ(ours.post("/v1/jobs/dismiss", R"({"type":""})").code(), "emptyFilter");
  EXPECT_EQ(ours.post("/v1/jobs/dismiss", R"({"type":"Work","grace":"1s"})").code(), "unknownField");
  EXPECT_EQ(ours.post("/v1/jobs/dismiss", R"({"type":"Work"})").json().at("count"), 0);
  EXPECT_EQ(ours.get("/v1/jobs?open=maybe").code(), "badValue");
}

TEST_F(ApiTest, AnEmptyConditionIsNotAll) {
  const auto kept = submit();
  for (const std::string condition : {R"("type":"")", R"("name":"")", R"("host":"")", R"("batch":"")", R"("tenant":"")",
                                      R"("state":"")", R"("state":[])", R"("tags":{})", R"("ids":[])", R"("type":null)",
                                      R"("tags":null)", R"("submittedAfter":null)"}) {
    for (const std::string verb : {"cancel", "redrive"}) {
      for (const auto& body :
           {"{" + condition + "}", "{" + condition + R"(,"submittedAfter":"2001-01-01T00:00:00Z"})"}) {
        if (body.find("submittedAfter") != body.rfind("submittedAfter")) continue;
        const auto reply = ours.post("/v1/jobs/" + verb, body);
        EXPECT_EQ(reply.status, 400) << verb << body << reply;
        EXPECT_EQ(reply.code(), "emptyFilter") << verb << body;
      }
    }
  }
  EXPECT_EQ(ours.get("/v1/jobs/" + kept).text("state"), "ready");
  for (const std::string path : {"/v1/jobs?type=",
                                 "/v1/jobs?name=",
                                 "/v1/jobs?host=",
                                 "/v1/jobs?tenant=",
                                 "/v1/jobs?batch=",
                                 "/v1/jobs?state=",
                                 "/v1/jobs?state=,",
                                 "/v1/jobs?id=",
                                 "/v1/jobs?reason=",
                                 "/v1/jobs?fields=",
                                 "/v1/jobs?limit=",
                                 "/v1/batches?name=",
                                 "/v1/batches?state=",
                                 "/v1/batches?tenant=",
                                 "/v1/packages?tenant=",
                                 "/v1/packages?name=",
                                 "/v1/status?tenant=",
                                 "/v1/events?type=&follow=false",
                                 "/v1/events?job=&follow=false",
                                 "/v1/events?tenant=&follow=false"}) {
    const auto reply = ours.get(path);
    EXPECT_EQ(reply.status, 400) << path << reply;
  }
  EXPECT_EQ(ours.call("DELETE", "/v1/packages/ours/any?sha256=").status, 400);
  const auto token = admin.post("/v1/tokens", R"({"name":"n","roles":["viewer"],"tenants":[]})");
  EXPECT_EQ(token.status, 400) << "all tenants are meant by leaving it out: " << token;
}

TEST_F(ApiTest, CancelsByFilterAfterADryRun) {
  for (int i = 0; i < 3; ++i) submit(R"(,"tags":{"run":"1"})");
  const auto kept = submit();
  const auto foreign = theirs.post("/v1/jobs", spec(R"(,"tags":{"run":"1"})")).text("id");
  EXPECT_EQ(ours.post("/v1/jobs/cancel", "{}").code(), "emptyFilter");
  EXPECT_EQ(ours.post("/v1/jobs/cancel").code(), "emptyFilter");
  EXPECT_EQ(ours.post("/v1/jobs/cancel?dryRun=true", R"({"tags":{"run":"1"}})").json().at("count"), 3);
  EXPECT_EQ(ours.get("/v1/jobs?state=cancelled").json().at("items").get_array().size(), 0u);
  EXPECT_EQ(ours.post("/v1/jobs/cancel", R"({"tags":{"run":"1"}})").json().at("count"), 3);
  EXPECT_EQ(ours.get("/v1/jobs?state=cancelled").json().at("items").get_array().size(), 3u);
  EXPECT_EQ(ours.get("/v1/jobs/" + kept).text("state"), "ready");
  EXPECT_EQ(theirs.get("/v1/jobs/" + foreign).text("state"), "ready");
  EXPECT_EQ(ours.post("/v1/jobs/redrive?dryRun=true", R"({"state":"cancelled"})").json().at("count"), 3);
  EXPECT_EQ(ours.post("/v1/jobs/redrive", R"({"state":["cancelled"]})").json().at("count"), 3);
}

TEST_F(ApiTest, ChangesAJobThatWaits) {
  const auto id = submit(R"(,"delay":"1h")");
  EXPECT_EQ(ours.get("/v1/jobs/" + id).text("state"), "scheduled");
  const auto changed = ours.call("PATCH", "/v1/jobs/" + id, R"({"priority":7,"notBefore":null,"tags":{"a":"b"}})");
  ASSERT_EQ(changed.status, 200) << changed;
  EXPECT_EQ(changed.json().at("priority"), 7);
  EXPECT_EQ(changed.text("state"), "ready");
  ours.post("/v1/jobs/" + id + "/cancel");
  EXPECT_EQ(ours.call("PATCH", "/v1/jobs/" + id, R"({"priority":1})").code(), "notWaiting");
}

TEST_F(ApiTest, KeepsBatches) {
  const auto made = ours.post("/v1/batches", R"({"name":"night","priority":200,"maxRunning":3})");
  ASSERT_EQ(made.status, 201) << made;
  EXPECT_EQ(ours.post("/v1/batches", R"({"name":"night"})").code(), "nameTaken");
  EXPECT_EQ(ours.post("/v1/batches", R"({"name":"urgent","priority":5})").code(), "forbidden");
  submit(R"(,"batch":"night")");
  EXPECT_EQ(ours.get("/v1/batches/night").json().at("counts").at("ready"), 1);
  EXPECT_EQ(ours.get("/v1/batches").json().at("items").get_array().size(), 2u);
  EXPECT_EQ(ours.get("/v1/jobs?batch=night").json().at("items").at(0).at("batchName"), "night");
  EXPECT_EQ(ours.post("/v1/batches/night/pause").json().at("paused"), true);
  EXPECT_EQ(ours.post("/v1/batches/night/resume").json().at("paused"), false);
  EXPECT_EQ(ours.post("/v1/batches/night/close").text("state"), "closed");
  EXPECT_EQ(ours.post("/v1/jobs", spec(R"(,"batch":"night")")).code(), "batchClosed");
  EXPECT_EQ(ours.call("DELETE", "/v1/batches/night").code(), "notEnded");
  EXPECT_EQ(ours.post("/v1/batches/night/cancel").text("state"), "cancelled");
  EXPECT_EQ(theirs.call("DELETE", "/v1/batches/" + made.text("id")).code(), "unknownBatch");
  EXPECT_EQ(ours.call("DELETE", "/v1/batches/night").json().at("deleted"), 1);
  EXPECT_EQ(ours.get("/v1/batches/night").code(), "unknownBatch");
  EXPECT_EQ(ours.post("/v1/batches", R"({"name":"again"})").status, 201);
  EXPECT_EQ(ours.call("DELETE", "/v1/batches/again").code(), "batchOpen");
  EXPECT_EQ(admin.call("DELETE", "/v1/batches/batch0").code(), "batchFixed");
  EXPECT_EQ(admin.post("/v1/batches/batch0/close").code(), "batchFixed");
  EXPECT_EQ(theirs.post("/v1/batches/batch0/pause").code(), "forbidden") << "an admin, but not of all tenants";
  EXPECT_EQ(ours.get("/v1/batches/none").code(), "unknownBatch");
}

TEST_F(ApiTest, KeepsPackages) {
  const auto made = upload_package();
  ASSERT_EQ(made.status, 201) << made;
  EXPECT_EQ(made.json().at("types").at(0), "Hello");
  EXPECT_EQ(upload_package().status, 200);
  EXPECT_EQ(ours.get("/v1/packages").json().at("items").get_array().size(), 1u);
  EXPECT_EQ(ours.get("/v1/packages/ours/hello").body, small_package());
  const auto typo = ours.post("/v1/jobs", R"({"type":"Helo","package":"hello"})");
  EXPECT_EQ(typo.status, 422);
  EXPECT_EQ(typo.code(), "unknownType");
  EXPECT_EQ(typo.json().at("known").at(0), "Hello");
  const auto job = ours.post("/v1/jobs", R"({"type":"Hello","package":"hello"})").text("id");
  EXPECT_EQ(ours.call("DELETE", "/v1/packages/ours/hello").code(), "packageInUse");
  ours.post("/v1/jobs/" + job + "/cancel");
  EXPECT_EQ(ours.call("DELETE", "/v1/packages/ours/hello").json().at("deleted"), 1);
  EXPECT_EQ(ours.get("/v1/packages/ours/hello").code(), "unknownPackage");
}

TEST_F(ApiTest, AMisspeltTenantIsMadeByAnAdminOnly) {
  submit();
  const auto made = admin.post("/v1/tokens", R"({"name":"everybodys","roles":["submitter"]})");
  const auto all = admin.as(made.text("token"));
  const auto refused = all.post("/v1/jobs", R"([{"tenant":"ours","type":"Work"},{"tenant":"our","type":"Work"}])");
  EXPECT_EQ(refused.status, 422) << refused;
  EXPECT_EQ(refused.code(), "unknownTenant");
  EXPECT_EQ(refused.text("field"), "/1/tenant");
  EXPECT_NE(refused.text("hint").find("'ours'"), std::string::npos) << refused;
  EXPECT_EQ(all.post("/v1/batches", R"({"tenant":"our","name":"b"})").code(), "unknownTenant");
  EXPECT_EQ(all.post("/v1/webhooks", R"({"tenant":"our","url":"http://127.0.0.1:1/"})").code(), "unknownTenant");
  EXPECT_EQ(all.call("PUT", "/v1/packages/our/hello", small_package()).code(), "unknownTenant");
  EXPECT_EQ(all.call("PUT", "/v1/files/our", "x").code(), "unknownTenant");
  EXPECT_EQ(all.post("/v1/jobs", R"({"tenant":"ours","type":"Work"})").status, 201);
  EXPECT_EQ(theirs.post("/v1/jobs", R"({"tenant":"theirs","type":"Work"})").status, 201) << "its token names it";
  EXPECT_EQ(admin.post("/v1/jobs", R"({"tenant":"new","type":"Work"})").status, 201);
}

TEST_F(ApiTest, KeepsTokensAndTenants) {
  submit();
  const auto tenant = admin.call("PUT", "/v1/tenants/ours",
                                 R"({"weight":2.5,"maxQueued":1,"keepFinished":"1h","maxMemoryPerJob":"1GiB"})");
  ASSERT_EQ(tenant.status, 200) << tenant;
  const auto greedy = ours.post("/v1/jobs", spec(R"(,"requires":{"memory":"1025MiB"})"));
  EXPECT_EQ(greedy.status, 400) << greedy;
  EXPECT_EQ(greedy.text("field"), "/requires/memory");
  EXPECT_EQ(ours.get("/v1/tenants/ours").json().at("maxMemoryPerJob"), 1 << 30);
  EXPECT_EQ(ours.get("/v1/tenants/ours").json().at("weight"), 2.5);
  EXPECT_EQ(ours.post("/v1/jobs", spec()).code(), "tooManyQueued");
  EXPECT_EQ(admin.call("PUT", "/v1/tenants/ours", R"({"maxQueued":0,"keepFinished":null})").status, 200);
  EXPECT_EQ(ours.get("/v1/tenants").json().at("items").get_array().size(), 1u);
  const auto made = admin.post("/v1/tokens", R"({"name":"brief","roles":["viewer"],"tenants":["ours"]})");
  ASSERT_EQ(made.status, 201) << made;
  EXPECT_EQ(admin.post("/v1/tokens", R"({"name":"brief","roles":["host"],"tenants":["ours"]})").code(), "nameTaken");
  EXPECT_EQ(theirs.post("/v1/tokens", R"({"name":"brief","roles":["viewer"],"tenants":["theirs"]})").status, 201)
      << "what another tenant calls its own says nothing";
  const auto brief = admin.as(made.text("token"));
  EXPECT_EQ(brief.get("/v1/info").json().at("caller").at("name"), "brief");
  const auto refused = brief.post("/v1/jobs", spec());
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.text("detail").find("brief"), std::string::npos);
  EXPECT_NE(refused.text("detail").find("submitter"), std::string::npos);
  EXPECT_EQ(admin.get("/v1/tokens").body.find("sha256"), std::string::npos);
  EXPECT_EQ(admin.call("DELETE", "/v1/tokens/" + made.text("id")).status, 204);
  EXPECT_EQ(brief.get("/v1/info").status, 401);
  EXPECT_EQ(theirs.post("/v1/tokens", R"({"name":"x","roles":["admin"]})").code(), "forbidden");
}

TEST_F(ApiTest, ShowsFiguresOfOnesOwnTenantsOnly) {
  submit();
  theirs.post("/v1/jobs", spec());
  const auto all = admin.get("/metrics").body;
  EXPECT_NE(all.find(R"(geres_tenant_jobs{tenant="theirs",state="ready"} 1)"), std::string::npos) << all;
  EXPECT_NE(all.find("geres_http_requests_total"), std::string::npos);
  const auto some = ours.get("/metrics").body;
  EXPECT_NE(some.find(R"(tenant="ours")"), std::string::npos);
  EXPECT_EQ(some.find("theirs"), std::string::npos);
  EXPECT_EQ(ours.get("/v1/status").json().at("jobs").at("ready"), 1);
  EXPECT_EQ(admin.get("/v1/status").json().at("jobs").at("ready"), 2);
}

// A call keeps the name that it came with, if that can stand in a log; else it gets one.
TEST_F(ApiTest, NamesEveryCall) {
  const auto id_of = [](const api::Reply& reply) { return reply.headers.at("x-request-id"); };
  EXPECT_EQ(id_of(admin.get("/v1/info", {{"X-Request-Id", "shop/42.a"}})), "shop/42.a");
  const auto wrong = admin.get("/v1/jobs/00000000-0000-0000-0000-000000000000", {{"X-Request-Id", "shop-43"}});
  EXPECT_EQ(wrong.status, 404);
  EXPECT_EQ(id_of(wrong), "shop-43");
  EXPECT_EQ(wrong.text("requestId"), "shop-43");
  for (const std::string& bad :
       {std::string("a\"b"), std::string(129, 'x'), std::string("a b"), std::string("\xc3\xa9")}) {
    const auto made = admin.get("/v1/nothing", {{"X-Request-Id", bad}});
    EXPECT_EQ(made.status, 404);
    EXPECT_EQ(made.text("requestId"), id_of(made));
    EXPECT_GE(id_of(made).size(), 10u);
    EXPECT_NE(id_of(made), bad);
  }
  EXPECT_NE(id_of(admin.get("/v1/info")), id_of(admin.get("/v1/info")));
}

TEST_F(ApiTest, SaysThatItTakesJobs) {
  const auto ready = admin.as("").get("/readyz");
  EXPECT_EQ(ready.status, 200);
  EXPECT_EQ(ready.body, R"({"takesJobs":true})");
  EXPECT_EQ(admin.get("/v1/status").json().at("takesJobs"), true);
  EXPECT_NE(admin.get("/metrics").body.find("geres_takes_jobs 1\n"), std::string::npos);
}

TEST_F(ApiTest, SpeaksGeRes2) {
  ASSERT_EQ(upload_package().status, 201);
  const std::string job =
      R"({"JobName":"n","JobType":"Hello","JobProcessorPackageName":"hello","TenantName":"ours","Parameters":"<xml/>"})";
  const auto made = ours.post("/api/jobcontrol/jobs", job);
  ASSERT_EQ(made.status, 200) << made;
  const std::string id(made.json().get_string());
  const auto read = ours.get("/api/jobmonitor/job/" + id + "?batchId=batch0").json();
  EXPECT_EQ(read.at("Status"), 10);
  EXPECT_EQ(read.at("Parameters"), "<xml/>");
  EXPECT_EQ(ours.get("/v1/jobs/" + id).text("parameters"), "<xml/>") << "a string reaches the job as one";
  const auto batch = ours.call("PUT", "/api/jobcontrol/batch",
                               R"({"BatchName":"old","Priority":300,"RequiresDedicatedWorker":false})");
  ASSERT_EQ(batch.status, 200) << batch;
  const std::string batch_id(batch.json().get_string());
  EXPECT_EQ(ours.post("/api/jobcontrol/jobs/" + batch_id, job).status, 200);
  EXPECT_EQ(ours.post("/api/jobcontrol/jobs/list/" + batch_id, "[" + job + "," + job + "]").json().get_array().size(),
            2u);
  EXPECT_EQ(ours.post("/api/jobcontrol/jobs/list", "[" + job + "]").status, 200);
  const auto first = ours.get("/api/jobmonitor/jobs/" + batch_id + "?numOfRecords=2");
  EXPECT_EQ(first.json().get_array().size(), 2u);
  const auto rest = ours.get("/api/jobmonitor/jobs/" + batch_id + "?numOfRecords=2",
                             {{"gerespagingtoken", first.headers.at("gerespagingtoken")}});
  EXPECT_EQ(rest.json().get_array().size(), 1u);
  EXPECT_FALSE(rest.headers.contains("gerespagingtoken"));
  EXPECT_EQ(ours.get("/api/jobmonitor/batch").json().get_array().size(), 2u);
  // A client of ASP.NET's: the batch's id left out behind its slash, and names in any case.
  EXPECT_EQ(ours.post("/api/jobcontrol/jobs/", job).status, 200);
  EXPECT_EQ(ours.post("/Api/JobControl/Jobs/List/", "[" + job + "]").status, 200);
  EXPECT_EQ(ours.get("/api/JobMonitor/Job/" + id).status, 200);
  const auto batches = ours.get("/api/jobmonitor/BATCH/").json().get_array();
  EXPECT_TRUE(std::ranges::any_of(
      batches, [](auto& b) { return b.at("Id") == "batch0" && b.at("BatchName") == "Default Batch"; }));
  EXPECT_EQ(ours.call("DELETE", "/api/jobcontrol/batch/delete/").status, 404);
  EXPECT_EQ(ours.get("/V1/jobs").status, 404) << "our own are spelled exactly";
  EXPECT_EQ(ours.get("/v1/jobs/").status, 404);
  EXPECT_EQ(ours.call("DELETE", "/api/jobcontrol/jobs/" + id).status, 204);
  EXPECT_EQ(ours.get("/api/jobmonitor/job/" + id).json().at("Status"), 13);
  EXPECT_EQ(ours.call("DELETE", "/api/jobcontrol/batch/close/" + batch_id).status, 204);
  EXPECT_EQ(ours.call("DELETE", "/api/jobcontrol/batch/delete/" + batch_id).status, 204);
  EXPECT_EQ(admin.call("DELETE", "/api/jobcontrol/batch/close/batch0").status, 400);
  EXPECT_EQ(ours.post("/api/jobcontrol/jobs", R"({"JobName":"n"})").status, 400);
  EXPECT_EQ(ours.get("/api/jobmonitor/job/00000000-0000-7000-8000-000000000000").status, 404);
  EXPECT_EQ(admin.as("").get("/api/jobmonitor/batch").status, 401);
  const auto same = ours.post(
      "/api/jobcontrol/jobs",
      R"({"JobName":"n","JobType":"Hello","JobProcessorPackageName":"hello","TenantName":"a234567890123456","Parameters":""})");
  EXPECT_EQ(same.status, 400);
  EXPECT_EQ(same.field(), "/TenantName");
}

struct SmallLimits : ApiTest {
  SmallLimits() {
    options.serving.package_bytes_max = 100, options.serving.file_bytes_max = 100,
    options.serving.list_bytes_max = 2 << 20;
  }
};

TEST_F(SmallLimits, AreKept) {
  const std::string bytes(101, 'x');
  const auto package = ours.call("PUT", "/v1/packages/ours/p", bytes);
  EXPECT_EQ(package.status, 413) << package;
  EXPECT_EQ(package.code(), "tooLarge");
  EXPECT_EQ(ours.call("PUT", "/v1/files/ours", bytes).status, 413);
  EXPECT_EQ(ours.call("PUT", "/v1/files/ours", bytes, {{"Transfer-Encoding", "chunked"}}).status, 413);
  EXPECT_EQ(ours.post("/v1/jobs", "[" + std::string(3 << 20, ' ') + "]").code(), "tooLarge");
  EXPECT_EQ(ours.get("/v1/packages").json().at("items").get_array().size(), 0u);
}

TEST_F(ApiTest, KeepsEverythingOverARestart) {
  const auto id = submit();
  const auto token_before = read_file(hub->admin_token_file());
  EXPECT_THROW(Hub(options).start(), std::runtime_error) << "a second hub on the same data";
  hub->stop();
  hub = std::make_unique<Hub>(options);
  url = hub->start();
  EXPECT_EQ(read_file(hub->admin_token_file()), token_before);
  api::TestClient again(url, token_before.substr(0, token_before.size() - 1));
  EXPECT_EQ(again.get("/v1/jobs/" + id).text("state"), "ready");
}

// What keeps it from starting names the option, and nothing of it is left behind.
TEST_F(ApiTest, WhatCannotStartStartsNothing) {
  const auto fault = [](const HubOptions& with) -> std::string {
    try {
      Hub(with).start();
    } catch (const CannotStart& error) {
      return error.option;
    } catch (const std::exception& error) {
      return error.what();
    }
    return "it started";
  };
  EXPECT_EQ(fault(options), "data_dir") << "a second hub on the same data";
  const HubDirectory other;
  auto beside = options;
  beside.data_dir = other.path();
  beside.serving.http.listen.front().port = std::uint16_t(std::stoi(url.substr(url.rfind(':') + 1)));
  EXPECT_EQ(fault(beside), "serving.http.listen");
  beside.serving.http.listen.front().port = 0;
  auto wrong = beside;
  wrong.amqp.access = {"amqps://broker/events", "me", "", ""};
  EXPECT_EQ(fault(wrong), "amqp.access.password");
  std::filesystem::create_directories(other.path() / "admin.hub" / "in the way");
  EXPECT_NE(fault(beside).find("admin.hub"), std::string::npos);
  std::filesystem::remove_all(other.path() / "admin.hub");
  EXPECT_EQ(fault(beside), "it started") << "the data directory is free again";
}

TEST_F(ApiTest, EndsPollsWhenItStops) {
  const auto id = submit();
  auto poll = std::async(std::launch::async, [&] { return ours.get("/v1/jobs/" + id + "?wait=50s"); });
  const auto begin = std::chrono::steady_clock::now();
  while (admin.get("/metrics").body.find("geres_followers 1") == std::string::npos)
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  hub->stop();
  const auto reply = poll.get();
  EXPECT_EQ(reply.status, 200) << reply;
  EXPECT_EQ(reply.text("state"), "ready");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

}  // namespace
}  // namespace geres::hub
