// SPDX-License-Identifier: Apache-2.0
// What the API refuses: bad input of every kind, each naming its field and changing nothing; and, over every route of
// the table, callers without a token, without the role, and of another tenant.
#include <gtest/gtest.h>

#include "hub/api/routes.h"
#include "hub/hub_fixture.h"

namespace geres::hub {
namespace {

bool changes_many(std::string_view pattern) {
  return pattern == "/v1/jobs/cancel" || pattern == "/v1/jobs/redrive" || pattern == "/v1/jobs/dismiss";
}

using api::Reply;

struct RefusalsTest : HubTest {
  // All that a refused call could have changed, as an admin sees it.
  std::string everything() const {
    std::string all;
    for (const char* path : {"/v1/jobs?limit=1000", "/v1/batches", "/v1/packages", "/v1/tokens", "/v1/tenants"})
      all += admin.get(path).body + "\n";
    return all;
  }
  void expect_refused(const Reply& reply, long status, const std::string& code, const std::string& field,
                      const std::string& what) const {
    EXPECT_EQ(reply.status, status) << what << ": " << reply;
    EXPECT_EQ(reply.code(), code) << what << ": " << reply;
    EXPECT_EQ(reply.field(), field) << what << ": " << reply;
    EXPECT_FALSE(reply.text("hint").empty()) << what;
    EXPECT_EQ(reply.headers.at("content-type"), "application/problem+json") << what;
  }
};

std::string nested(int depth) {
  return std::string(std::size_t(depth), '[') + std::string(std::size_t(depth), ']');
}

std::string list_of(int n, const std::string& item) {
  std::string list = "[";
  for (int i = 0; i < n; ++i) list += (i == 0 ? "" : ",") + item;
  return list + "]";
}

struct BadBody {
  const char* what;
  std::string body;
  long status;
  const char* code;
  const char* field;
};

TEST_F(RefusalsTest, BadJobSpecs) {
  submit();
  const std::string sha(64, 'a');
  const BadBody bodies[] = {
      {"unknown field", spec(R"(,"prioritty":1)"), 400, "unknownField", "/prioritty"},
      {"unknown nested field", spec(R"(,"requires":{"slot":1})"), 400, "unknownField", "/requires/slot"},
      {"wrong type", spec(R"(,"maxAttempts":"five")"), 400, "wrongType", "/maxAttempts"},
      {"wrong type of a tag", spec(R"(,"tags":{"a":1})"), 400, "wrongType", "/tags/a"},
      {"missing type", "{}", 400, "missingField", "/type"},
      {"a string", "\"x\"", 400, "wrongType", ""},
      {"name with ../", spec(R"(,"tenant":"../x")"), 400, "badValue", "/tenant"},
      {"type with ..", R"({"type":"a..b"})", 400, "badValue", "/type"},
      {"name with NUL", spec(R"(,"tenant":"a\u0000b")"), 400, "malformedJson", ""},
      {"name of 300 characters", spec(R"(,"tenant":")" + std::string(300, 'a') + "\""), 400, "badValue", "/tenant"},
      {"package with a path", spec(R"(,"package":"a/b")"), 400, "badValue", "/package"},
      {"package digest", spec(R"(,"package":"a@12")"), 400, "badValue", "/package"},
      {"job name too long", spec(R"(,"name":")" + std::string(300, 'a') + "\""), 413, "tooLarge", "/name"},
      {"large parameters", spec(R"(,"parameters":")" + std::string(65'600, 'a') + "\""), 413, "tooLarge",
       "/parameters"},
      {"unknown batch", spec(R"(,"batch":"none")"), 422, "unknownBatch", "/batch"},
      {"unknown package", spec(R"(,"package":"none")"), 422, "unknownPackage", "/package"},
      {"unknown file", spec(R"(,"inputs":[{"path":"a","sha256":")" + sha + R"("}])"), 422, "unknownFile",
       "/inputs/0/sha256"},
      {"input path", spec(R"(,"inputs":[{"path":"../a","sha256":")" + sha + R"("}])"), 400, "badValue",
       "/inputs/0/path"},
      {"same input twice",
       spec(R"(,"inputs":[{"path":"a","sha256":")" + sha + R"("},{"path":"a/b","sha256":")" + sha + R"("}])"), 400,
       "badValue", "/inputs"},
      {"delay and notBefore", spec(R"(,"delay":"1s","notBefore":"2030-01-01T00:00:00Z")"), 400, "badValue", "/delay"},
      {"bad duration", spec(R"(,"timeout":"soon")"), 400, "badValue", "/timeout"},
      {"dependsOn", spec(R"(,"dependsOn":[])"), 422, "notSupported", "/dependsOn"},
      {"limits", spec(R"(,"limits":{"a":1})"), 422, "notSupported", "/limits"},
      {"webhook inside", spec(R"(,"webhook":"http://127.0.0.1/")"), 400, "badValue", "/webhook"},
      {"webhook of no type", spec(R"(,"webhook":{"url":"http://8.8.8.8/","types":["geres.job.finshed"]})"), 400,
       "badValue", "/webhook/types"},
      {"webhook without a secret", spec(R"(,"webhook":"http://8.8.8.8/")"), 409, "conflict", "/webhook"},
      {"another's tenant", spec(R"(,"tenant":"theirs")"), 403, "forbidden", "/tenant"},
      {"truncated", R"({"type":"Wo)", 400, "malformedJson", ""},
      {"no JSON", "type=Work", 400, "malformedJson", ""},
      {"empty", "", 400, "malformedJson", ""},
      {"twice the same name", R"({"type":"Work","type":"Work"})", 400, "malformedJson", ""},
      {"deep", nested(10'000), 400, "malformedJson", ""},
      {"deep parameters", spec(R"(,"parameters":)" + nested(10'000)), 400, "malformedJson", ""},
      {"list of 10,001", list_of(10'001, spec()), 413, "tooMany", ""},
      {"empty list", "[]", 400, "badValue", ""},
      {"list with a bad item", list_of(3, spec()).insert(1, R"({"type":"a b"},)"), 400, "badValue", "/0/type"},
      {"list into an unknown batch", "[" + spec() + "," + spec(R"(,"batch":"none")") + "]", 422, "unknownBatch",
       "/1/batch"},
      {"body over the limit", spec(R"(,"name":")" + std::string(2 << 20, 'a') + "\""), 413, "tooLarge", ""},
  };
  const auto before = everything();
  for (const auto& bad : bodies)
    expect_refused(ours.post("/v1/jobs", bad.body), bad.status, bad.code, bad.field, bad.what);
  expect_refused(ours.post("/v1/jobs", spec(), {{"Content-Type", "text/xml"}}), 415, "unsupportedMedia", "", "XML");
  expect_refused(admin.post("/v1/jobs", spec()), 400, "tenantRequired", "/tenant", "no tenant");
  EXPECT_EQ(everything(), before) << "nothing changed";
}

TEST_F(RefusalsTest, BadIdsAndParameters) {
  const auto id = submit();
  const auto before = everything();
  const std::string none = "00000000-0000-7000-8000-000000000000";
  for (const char* suffix : {"", "/why", "/attempts", "/events", "/log", "/files", "/files/x"}) {
    EXPECT_EQ(ours.get("/v1/jobs/" + none + suffix).code(), "unknownJob") << suffix;
    EXPECT_EQ(ours.get(std::string("/v1/jobs/not-an-id") + suffix).code(), "unknownJob") << suffix;
  }
  struct {
    const char* path;
    const char* code;
    const char* field;
  } const queries[] = {
      {"/v1/jobs?stat=ready", "unknownParameter", "stat"},
      {"/v1/jobs?state=redy", "badValue", "state"},
      {"/v1/jobs?limit=0", "badValue", "limit"},
      {"/v1/jobs?limit=1001", "badValue", "limit"},
      {"/v1/jobs?cursor=!", "badValue", "cursor"},
      {"/v1/jobs?order=up", "badValue", "order"},
      {"/v1/jobs?fields=id,colour", "badValue", "fields"},
      {"/v1/jobs?submittedAfter=yesterday", "badValue", "submittedAfter"},
      {"/v1/jobs?batch=none", "unknownBatch", "batch"},
      {"/v1/batches?state=gone", "badValue", "state"},
      {"/v1/packages?cursor=%20", "badValue", "cursor"},
      {"/v1/hosts?x=1", "unknownParameter", "x"},
  };
  for (const auto& query : queries) {
    const auto reply = ours.get(query.path);
    EXPECT_EQ(reply.code(), query.code) << query.path << ": " << reply;
    EXPECT_EQ(reply.field(), query.field) << query.path << ": " << reply;
  }
  for (const char* query : {"wait=1d", "wait=x", "sinceVersion=-1", "wiat=1s"})
    EXPECT_EQ(ours.get("/v1/jobs/" + id + "?" + query).status, 400) << query;
  for (const char* query : {"attempt=0", "attempt=7", "stream=both", "tail=-1", "follow=maybe"})
    EXPECT_GE(ours.get("/v1/jobs/" + id + "/log?" + query).status, 400) << query;
  EXPECT_EQ(ours.post("/v1/jobs/cancel", R"({"ids":["x"]})").field(), "/ids/0");
  EXPECT_EQ(ours.post("/v1/jobs/cancel", R"({"stat":"ready"})").field(), "/stat");
  EXPECT_EQ(ours.post("/v1/jobs/cancel?dryrun=true", R"({"type":"Work"})").code(), "unknownParameter");
  EXPECT_EQ(everything(), before);
}

TEST_F(RefusalsTest, BadPackagesAndFiles) {
  const auto before = everything();
  const auto put = [&](const std::string& bytes) { return ours.call("PUT", "/v1/packages/ours/p", bytes); };
  expect_refused(put("this is not a ZIP"), 422, "badPackage", "", "not a ZIP");
  expect_refused(put(""), 422, "badPackage", "", "nothing");
  expect_refused(ours.call("PUT", "/v1/packages/ours/a..b", "x"), 400, "badValue", "", "a name with ..");
  EXPECT_EQ(ours.call("PUT", "/v1/packages/ours/..%2Fx", "x").status, 400);
  EXPECT_EQ(ours.call("PUT", "/v1/packages/theirs/p", "x").code(), "forbidden");
  EXPECT_EQ(ours.call("PUT", "/v1/files/theirs", "x").code(), "forbidden");
  EXPECT_EQ(ours.call("PUT", "/v1/files/ours?sha256=" + std::string(64, 'a'), "x").code(), "badValue");
  EXPECT_EQ(ours.get("/v1/files/ours/" + std::string(64, 'a')).code(), "unknownFile");
  EXPECT_EQ(ours.get("/v1/files/ours/short").status, 404);
  EXPECT_EQ(everything(), before);
}

TEST_F(RefusalsTest, BadHosts) {
  const auto before = everything();
  EXPECT_EQ(machine.post("/v1/hosts", R"({"name":"a/b","slots":1})").field(), "/name");
  EXPECT_EQ(machine.post("/v1/hosts", R"({"name":"h","slots":0})").field(), "/slots");
  EXPECT_EQ(machine.post("/v1/hosts", R"({"name":"h"})").field(), "/slots");
  EXPECT_EQ(ours.post("/v1/hosts", R"({"name":"h","slots":1})").code(), "forbidden");
  FakeHost host(machine, "h1"), other(machine, "h2");
  EXPECT_EQ(host.client().post("/v1/hosts/" + other.id + "/fetch", R"({"fetchId":"a","slots":1})").status, 404);
  EXPECT_EQ(admin.post("/v1/hosts/" + host.id + "/fetch", R"({"fetchId":"a","slots":1})").code(), "forbidden");
  const auto bad = [&](const std::string& body, const std::string& field) {
    const auto reply = host.report(body);
    EXPECT_EQ(reply.status, 400) << reply;
    EXPECT_EQ(reply.field(), field) << reply;
  };
  bad(R"("running":["x"])", "/running/0");
  bad(R"("running":[],"finished":[{"lease":"x","outcome":"finished"}])", "/finished/0/lease");
  const std::string lease = "00000000-0000-7000-8000-000000000000";
  bad(R"("running":[],"finished":[{"lease":")" + lease + R"(","outcome":"expired"}])", "/finished/0/outcome");
  bad(R"("running":[],"log":[{"lease":")" + lease + R"(","stream":"stdin","offset":0,"data":""}])", "/log/0/stream");
  bad(R"("running":[],"log":[{"lease":")" + lease + R"(","stream":"stdout","offset":0,"data":"*"}])", "/log/0/data");
  const auto stale = host.report(R"("running":[],"finished":[{"lease":")" + lease + R"(","outcome":"finished"}])");
  EXPECT_EQ(stale.json().at("refused").at(0).at("code"), "stale") << stale;
  EXPECT_EQ(host.client().call("PUT", "/v1/hosts/" + host.id + "/leases/" + lease + "/files/a", "x").code(), "stale");
  EXPECT_EQ(everything(), before);
}

// ---- every route of the table

struct WalkTest : RefusalsTest {
  std::string job, batch, token, host_id, lease;

  void SetUp() override {
    RefusalsTest::SetUp();
    const auto made = ours.post("/v1/batches", R"({"name":"night"})");
    batch = made.text("id");
    job = submit(R"(,"batch":"night")");
    token = admin.post("/v1/tokens", R"({"name":"t","roles":["viewer"],"tenants":["ours"]})").text("id");
    const auto host = machine.post("/v1/hosts", R"({"name":"h1","slots":1,"tenants":["ours"]})");
    host_id = host.text("id");
    lease = "00000000-0000-7000-8000-000000000000";
  }

  // The path with a thing of the tenant `ours` in each place.
  std::string path_of(const api::Route& route) const {
    std::string path(route.pattern);
    const auto put = [&path](const std::string& place, const std::string& value) {
      if (const auto at = path.find(place); at != std::string::npos) path.replace(at, place.size(), value);
    };
    const bool about_batch = path.find("/batch") != std::string::npos;
    const bool about_host = path.find("/hosts/") != std::string::npos;
    const bool about_token = path.find("/tokens/") != std::string::npos;
    put("{id}", about_batch ? batch : about_host ? host_id : about_token ? token : job);
    put("{batch}", batch);
    put("{tenant}", "ours");
    put("{name}", "hello");
    put("{sha256}", std::string(64, 'a'));
    put("{path...}", "x");
    put("{lease}", lease);
    return path;
  }

  static std::string body_of(const api::Route& route) {
    const std::string_view pattern = route.pattern;
    if (route.method == http::Method::get || route.method == http::Method::delete_) return "";
    if (pattern == "/v1/jobs") return R"({"type":"Work","tenant":"ours"})";
    if (changes_many(pattern)) return R"({"tenant":"ours"})";
    if (pattern == "/v1/batches") return R"({"name":"mine","tenant":"ours"})";
    if (pattern == "/v1/tokens") return R"({"name":"mine","roles":["viewer"],"tenants":["ours"]})";
    if (pattern == "/v1/webhooks") return R"({"url":"http://8.8.8.8/","tenant":"ours"})";
    if (pattern == "/v1/hosts") return R"({"name":"mine","slots":1,"tenants":["ours"]})";
    if (pattern.starts_with("/api/jobcontrol/jobs")) {
      const std::string one =
          R"({"JobName":"n","JobType":"Work","JobProcessorPackageName":"p","TenantName":"ours","Parameters":""})";
      return pattern.find("list") != std::string_view::npos ? "[" + one + "]" : one;
    }
    return "{}";
  }

  Reply call(const api::Route& route, const api::TestClient& who) const {
    return who.call(std::string(http::method_name(route.method)), path_of(route), body_of(route));
  }
};

class OpenToGuesses : public WalkTest {
 protected:
  OpenToGuesses() { options.serving.guesses_per_address = 0; }
};

TEST_F(OpenToGuesses, NobodyGetsAnywhere) {
  const auto before = everything();
  for (const auto& route : api::routes()) {
    if (route.needs == api::Needs::nothing) continue;
    EXPECT_EQ(call(route, admin.as("")).status, 401) << route.pattern;
    EXPECT_EQ(call(route, admin.as("geres_wrong")).status, 401) << route.pattern;
  }
  EXPECT_EQ(everything(), before);
}

TEST_F(WalkTest, ARoleThatMayNotIsTold) {
  const auto before = everything();
  for (const auto& route : api::routes()) {
    using enum api::Needs;
    if (route.needs == nothing || route.needs == caller || route.needs == api::Needs::token) continue;
    if (route.needs == registrar) continue;
    const auto reply = call(route, machine);
    EXPECT_EQ(reply.status, 403) << route.pattern << ": " << reply;
    EXPECT_NE(reply.text("detail").find("machine"), std::string::npos) << reply;
    if (route.needs == api::Needs::viewer || route.needs == download) continue;
    EXPECT_EQ(call(route, this->viewer).status, 403) << route.pattern;
  }
  EXPECT_EQ(everything(), before);
}

TEST_F(WalkTest, AnotherTenantsThingsAreAbsent) {
  const auto before = everything();
  // An admin, but of another tenant.
  for (const auto& route : api::routes()) {
    if (route.needs == api::Needs::nothing) continue;
    if (route.pattern == "/api/jobcontrol/batch" && route.method == http::Method::put) continue;  // names no tenant
    if (route.pattern == "/v1/hosts/invites" && route.method == http::Method::post) continue;     // likewise
    if (route.token_in_query) continue;                      // streams; see events_api_test.cpp
    if (route.pattern.starts_with("/v1/session")) continue;  // of whoever calls
    const auto reply = call(route, theirs);
    const bool above_tenants = route.pattern.starts_with("/v1/scaler");
    const bool shows_own_only =
        route.method == http::Method::get && !above_tenants && route.pattern.find('{') == std::string_view::npos;
    const bool counts = changes_many(route.pattern);
    const std::string where = std::string(http::method_name(route.method)) + " " + std::string(route.pattern);
    if (shows_own_only) {
      EXPECT_EQ(reply.status, 200) << where << ": " << reply;
    } else if (counts) {
      EXPECT_EQ(reply.json().at("count"), 0) << where;
    } else {
      EXPECT_TRUE(reply.status == 403 || reply.status == 404) << where << ": " << reply;
    }
    EXPECT_EQ(reply.body.find("night"), std::string::npos) << where << ": " << reply;
    EXPECT_EQ(reply.body.find(R"("tenant":"ours")"), std::string::npos) << where << ": " << reply;
    if (shows_own_only) {
      EXPECT_EQ(reply.body.find(job), std::string::npos) << where << ": " << reply;
    }
  }
  EXPECT_EQ(everything(), before);
}

// Whoever shows no valid token is braked, by address; whoever does is not.
TEST_F(RefusalsTest, GuessesAreBraked) {
  int unauthenticated = 0, braked = 0;
  const auto guesses = admin.as("guess");
  for (int i = 0; i < 200; ++i) {
    const auto answer = guesses.get("/v1/jobs");
    if (answer.status == 401) ++unauthenticated;
    if (answer.status == 429 && answer.headers.count("retry-after") == 1) ++braked;
  }
  EXPECT_EQ(unauthenticated + braked, 200);
  EXPECT_GE(unauthenticated, 50);
  EXPECT_GT(braked, 0);
  EXPECT_EQ(admin.get("/v1/jobs").status, 200);
}

class Braked : public HubTest {
 protected:
  Braked() { options.serving.calls_per_token = 5, options.serving.calls_per_tenant = 8; }
};

TEST_F(Braked, CallsOfATokenAndOfATenantAreLimitedWhereTheOperatorSays) {
  int own = 0;
  while (own < 50 && ours.get("/v1/jobs?limit=1").status == 200) ++own;
  EXPECT_GE(own, 10);
  EXPECT_LT(own, 50);
  const auto refused = ours.get("/v1/jobs?limit=1");
  EXPECT_EQ(refused.code(), "tooManyRequests") << refused;
  int viewed = 0;  // of the same tenant: what is left of its 16
  while (viewed < 50 && viewer.get("/v1/jobs?limit=1").status == 200) ++viewed;
  EXPECT_GE(viewed, 1);
  EXPECT_LT(viewed, 10);
  EXPECT_EQ(theirs.get("/v1/jobs?limit=1").status, 200);
  int admins = 0;  // an admin may register hosts, but is none
  while (admins < 50 && theirs.get("/v1/jobs?limit=1").status == 200) ++admins;
  EXPECT_LT(admins, 50);
  for (int i = 0; i < 30; ++i) EXPECT_NE(machine.post("/v1/hosts", "{}").status, 429);
}

}  // namespace
}  // namespace geres::hub
