// SPDX-License-Identifier: Apache-2.0
// /v1/scaler over HTTP: pools as operators set them, and a scaler's life from the order of a machine to its removal.
#include "hub/hub_fixture.h"

namespace geres::hub {
namespace {

class ScalerApi : public HubTest {
 protected:
  static std::string pool_text(const std::string& more = "") {
    return R"({"provider":{"name":"local"},"policy":{"name":"messageCount"})" + more + "}";
  }
  api::Reply put_pool(const std::string& name = "cpu", const std::string& more = "",
                      const api::TestClient::Headers& headers = {}) {
    return admin.call("PUT", "/v1/scaler/pools/" + name, pool_text(more), headers);
  }
  std::int64_t take_lease() {
    const auto reply = admin.post("/v1/scaler/lease", R"({"holder":"test:1:a"})");
    EXPECT_EQ(reply.status, 200) << reply;
    return reply.json().at("epoch").to_number<std::int64_t>();
  }
  api::Reply record(const std::string& members) {
    return admin.post("/v1/scaler/pools/cpu/record", R"({"epoch":)" + std::to_string(epoch) + members + "}");
  }
  json::value book() {
    const auto reply = admin.get("/v1/scaler/pools/cpu/book");
    EXPECT_EQ(reply.status, 200) << reply;
    return reply.json();
  }
  json::value machine_of(const std::string& instance) {
    const auto all = book();
    for (const auto& one : all.at("machines").get_array())
      if (str(one.at("instance")) == instance) return one;
    return json::object{{"state", "absent"}};
  }
  static api::TestClient::Headers on(const std::string& instance, const std::string& pool = "cpu") {
    return {{"Geres-Pool", pool}, {"Geres-Instance", instance}};
  }
  std::string hosts_body(const FakeHost& host, const std::string& why = "idle for 6m") {
    return R"({"hosts":[")" + host.id + R"("],"by":"scaler","epoch":)" + std::to_string(epoch) + R"(,"decision":")" +
           why + R"("})";
  }
  api::Reply retire(const FakeHost& host) {
    return admin.post("/v1/hosts/" + host.id + "/retire", R"({"epoch":)" + std::to_string(epoch) + "}");
  }

  std::int64_t epoch = 0;
};

TEST_F(ScalerApi, APoolIsShownAsItWasSetWithWhatIsUsual) {
  const auto made = put_pool("cpu", R"(,"template":{"slots":4,"memory":"8g","labels":{"zone":"a"},"types":["Work"],
      "tenants":["ours"]},"limits":{"minimumRunning":1,"maximumJobHosts":7,"maximumIdleJobHosts":3,"idleTime":"never",
      "stepOut":4,"stepIn":"20%+1","interval":"30s","cost":0.5},"mode":"observe")");
  ASSERT_EQ(made.status, 201) << made;
  EXPECT_EQ(made.headers.at("etag"), "\"1\"");
  const auto pool = admin.get("/v1/scaler/pools/cpu").json();
  EXPECT_EQ(pool, made.json());
  EXPECT_EQ(str(pool.at("mode")), "observe");
  const auto& limits = pool.at("limits");
  EXPECT_EQ(limits.at("minimum"), 1);
  EXPECT_EQ(limits.at("maximum"), 7);
  EXPECT_EQ(limits.at("maximumIdle"), 3);
  EXPECT_EQ(str(limits.at("idleTime")), "never");
  EXPECT_EQ(str(limits.at("stepOut")), "4");
  EXPECT_EQ(str(limits.at("stepIn")), "20%+1");
  EXPECT_EQ(str(limits.at("scaleInWindow")), "5m");
  EXPECT_EQ(pool.at("template").at("memory"), 8LL << 30);
  // What is shown may be sent back.
  const auto again = admin.call("PUT", "/v1/scaler/pools/cpu", json::write_text(pool));
  EXPECT_EQ(again.status, 200) << again;
  EXPECT_EQ(again.json().at("version"), 2);
  EXPECT_EQ(again.json().at("limits"), limits);
  EXPECT_EQ(admin.get("/v1/scaler/pools").json().at("items").get_array().size(), 1u);
  const auto command = admin.call("PUT", "/v1/scaler/pools/hook", R"({"provider":{"name":"command",
      "command":["/etc/geres/scale.sh","x"],"env":{"A":"b"}},"policy":{"name":"messageWaitingTime","wait":"30s"}})");
  EXPECT_EQ(command.status, 201) << command;
  EXPECT_EQ(str(command.json().at("provider").at("env").at("A")), "b");
}

// What docs/scaling.md shows, which is what the scaler reads.
TEST_F(ScalerApi, AllSettingsOfADocumentedPoolAreTaken) {
  for (
      const char* policy :
      {R"({"name":"fixed","timeZone":"Europe/Berlin","otherwise":1,"windows":[{"cron":"0 8 * * *","for":"10h","hosts":2}]})",
       R"({"name":"library","library":"/etc/geres/growing_reserve.so","reserve":0.2,"policyTimeout":"1s"})",
       R"({"name":"command","command":["/etc/geres/policy.py"],"policyTimeout":"1s"})"}) {
    const auto reply = admin.call("PUT", "/v1/scaler/pools/cpu",
                                  R"({"provider":{"name":"command","command":["/etc/geres/containers.py","nspawn"],)"
                                  R"("env":{},"timeout":"60s","mostACall":10,"marks":false,"sleeps":true},"policy":)" +
                                      std::string(policy) + "}");
    EXPECT_LT(reply.status, 300u) << reply;
  }
}

TEST_F(ScalerApi, TwoPoolsWhoseMachinesNobodyCouldTellApartAreRefused) {
  const auto put = [&](const std::string& name, const std::string& more) {
    return admin.call(
        "PUT", "/v1/scaler/pools/" + name,
        R"({"provider":{"name":"command","command":["/x"])" + more + R"(},"policy":{"name":"messageCount"}})");
  };
  EXPECT_EQ(put("a", R"(,"marks":false)").status, 201);
  const auto refused = put("b", "");
  EXPECT_EQ(refused.status, 409) << refused;
  EXPECT_EQ(refused.field(), "/provider");
  EXPECT_FALSE(refused.text("hint").empty());
  EXPECT_EQ(put("b", R"(,"env":{"GROUP":"b"})").status, 201);
  EXPECT_EQ(put("a", R"(,"marks":false)").status, 200) << "itself is no other";
}

TEST_F(ScalerApi, ATemplateOnWhichNothingWouldRunIsAWarning) {
  submit();
  const auto none = put_pool("gpu", R"(,"template":{"types":["Other"]})").json();
  ASSERT_TRUE(none.as_object().contains("warnings")) << json::write_text(none);
  EXPECT_NE(str(none.at("warnings").at(0)).find("a host that runs type Work"), std::string::npos);
  EXPECT_FALSE(put_pool("cpu", R"(,"template":{"types":["Work"]})").json().as_object().contains("warnings"));
}

TEST_F(ScalerApi, BadSettingsAreRefusedWhereTheyStand) {
  const auto refused = [&](const std::string& body, const std::string& code, const std::string& field) {
    const auto reply = admin.call("PUT", "/v1/scaler/pools/cpu", body);
    EXPECT_EQ(reply.status, 400) << reply;
    EXPECT_EQ(reply.code(), code) << body;
    EXPECT_EQ(reply.field(), field) << body;
    EXPECT_FALSE(reply.text("hint").empty());
  };
  const auto limits = [&](const std::string& members, const std::string& field) {
    refused(pool_text(R"(,"limits":{)" + members + "}"), "badValue", "/limits/" + field);
  };
  limits(R"("minimum":3,"maximum":2)", "minimum");
  limits(R"("maximum":1000000000)", "maximum");
  limits(R"("maximumJobHosts":-1)", "maximumJobHosts");
  limits(R"("maximum":3,"maximumJobHosts":3)", "maximumJobHosts");
  limits(R"("minimumIdle":3,"maximumIdle":2)", "minimumIdle");
  limits(R"("idleTime":"soon")", "idleTime");
  limits(R"("interval":"0s")", "interval");
  limits(R"("bootTimeout":"2d")", "bootTimeout");
  limits(R"("stepOut":0)", "stepOut");
  limits(R"("stepIn":"5%%")", "stepIn");
  limits(R"("stepIn":true)", "stepIn");
  limits(R"("cost":-1)", "cost");
  refused(pool_text(R"(,"limits":{"minmum":3})"), "unknownField", "/limits/minmum");
  refused(pool_text(R"(,"template":{"slots":0})"), "badValue", "/template/slots");
  refused(pool_text(R"(,"template":{"tenants":["a b"]})"), "badValue", "/template/tenants/0");
  refused(pool_text(R"(,"name":"gpu")"), "badValue", "/name");
  refused(R"({"policy":{"name":"fixed"}})", "missingField", "/provider");
  const auto policy = [&](const std::string& text, const std::string& code, const std::string& field) {
    refused(R"({"provider":{"name":"local"},"policy":)" + text + "}", code, "/policy" + field);
  };
  policy(R"("fixed")", "wrongType", "");
  policy(R"({})", "missingField", "/name");
  policy(R"({"name":"clever"})", "badValue", "/name");
  policy(R"({"name":"messageCount","jobsPerHost":0})", "badValue", "/jobsPerHost");
  policy(R"({"name":"messageCount","jobsPerHst":2})", "unknownField", "/jobsPerHst");
  policy(R"({"name":"messageWaitingTime","wait":"0s"})", "badValue", "/wait");
  policy(R"({"name":"fixed"})", "missingField", "/windows");
  policy(R"({"name":"fixed","windows":[]})", "badValue", "/windows");
  policy(R"({"name":"fixed","windows":[{}],"otherwise":-1})", "badValue", "/otherwise");
  policy(R"({"name":"fixed","windows":[{}],"timeZone":1})", "wrongType", "/timeZone");
  policy(R"({"name":"library","library":"x.so"})", "badValue", "/library");
  policy(R"({"name":"library","library":"/x.so","policyTimeout":"0s"})", "badValue", "/policyTimeout");
  policy(R"({"name":"command","command":["x"]})", "badValue", "/command");
  const auto provider = [&](const std::string& text, const std::string& code, const std::string& field) {
    refused(R"({"policy":{"name":"messageCount"},"provider":)" + text + "}", code, "/provider" + field);
  };
  provider(R"({"name":"cloud"})", "badValue", "/name");
  provider(R"({"name":"command"})", "missingField", "/command");
  provider(R"({"name":"command","command":["/x"],"env":{"a":1}})", "badValue", "/env");
  provider(R"({"name":"command","command":["/x"],"timeout":"soon"})", "badValue", "/timeout");
  provider(R"({"name":"command","command":["/x"],"marks":1})", "wrongType", "/marks");
  EXPECT_EQ(put_pool("-x").status, 400);
  EXPECT_EQ(put_pool("cpu", "", {{"If-Match", "x"}}).status, 400);
}

TEST_F(ScalerApi, PoolsAreChangedByWhoKnowsHowTheyStand) {
  put_pool();
  EXPECT_EQ(put_pool("cpu", "", {{"If-Match", "\"1\""}}).json().at("version"), 2);
  EXPECT_EQ(put_pool("cpu", "", {{"If-Match", "\"1\""}}).code(), "conflict");
  EXPECT_EQ(put_pool("cpu", R"(,"version":1)").code(), "conflict");
  EXPECT_EQ(admin.post("/v1/scaler/pools/cpu/pause").json().at("paused"), true);
  EXPECT_EQ(admin.post("/v1/scaler/pools/cpu/resume").json().at("paused"), false);
  const auto scaled = admin.post("/v1/scaler/pools/cpu/scale", R"({"wanted":1,"for":"2h"})");
  EXPECT_EQ(scaled.json().at("scale").at("wanted"), 1) << scaled;
  const auto beyond = admin.post("/v1/scaler/pools/cpu/scale", R"({"wanted":99999})");
  EXPECT_EQ(beyond.field(), "/wanted") << beyond;
  EXPECT_EQ(admin.post("/v1/scaler/pools/cpu/scale", R"({"wanted":1,"for":"0s"})").field(), "/for");
  EXPECT_EQ(admin.get("/v1/scaler/pools/gpu").status, 404);
  EXPECT_EQ(admin.post("/v1/scaler/pools/gpu/pause").status, 404);
  EXPECT_EQ(admin.get("/v1/scaler/pools/gpu/book").status, 404);
  EXPECT_EQ(admin.call("DELETE", "/v1/scaler/pools/cpu").status, 204);
  EXPECT_EQ(admin.call("DELETE", "/v1/scaler/pools/cpu").status, 404);
}

TEST_F(ScalerApi, IsForOperatorsAboveTenants) {
  put_pool();
  const auto some = admin.as(make_token("some", R"(["operator"])", R"(["ours"])"));
  for (const auto& client : {ours, some, theirs, viewer, machine}) {
    EXPECT_EQ(client.get("/v1/scaler").status, 403);
    EXPECT_EQ(client.get("/v1/scaler/pools/cpu").status, 403);
    EXPECT_EQ(client.get("/v1/scaler/machines").status, 403);
    EXPECT_EQ(client.get("/v1/scaler/decisions").status, 403);
    EXPECT_EQ(client.call("PUT", "/v1/scaler/pools/cpu", pool_text()).status, 403);
    EXPECT_EQ(client.post("/v1/scaler/lease", R"({"holder":"me"})").status, 403);
    EXPECT_EQ(client.post("/v1/scaler/pools/cpu/record", R"({"epoch":1})").status, 403);
    EXPECT_EQ(client.post("/v1/hosts/drain", R"({"hosts":[],"by":"scaler","epoch":1})").status, 403);
  }
  const auto all = admin.as(make_token("all", R"(["operator"])", "null"));
  EXPECT_EQ(all.get("/v1/scaler").status, 200);
}

TEST_F(ScalerApi, AMachineComesWorksAndGoes) {
  put_pool("cpu", R"(,"template":{"tenants":["ours"]})");
  epoch = take_lease();
  EXPECT_EQ(admin.post("/v1/scaler/lease", R"({"holder":"other"})").code(), "scalerHeld");
  // Ordered.
  auto reply = record(R"(,"intents":[{"request":"r1","verb":"order","count":1,"state":"issued"}])");
  ASSERT_EQ(reply.status, 200) << reply;
  EXPECT_EQ(book().at("intents").get_array().size(), 1u);
  const auto token =
      admin.post("/v1/scaler/pools/cpu/joinToken", R"({"request":"r1","epoch":)" + std::to_string(epoch) + "}");
  ASSERT_EQ(token.status, 201) << token;
  const auto newer =
      admin.post("/v1/scaler/pools/cpu/joinToken", R"({"request":"r1","epoch":)" + std::to_string(epoch) + "}");
  ASSERT_EQ(newer.status, 201) << "its answer was lost: " << newer;
  EXPECT_EQ(admin.as(token.text("token")).post("/v1/hosts", R"({"name":"h","slots":1})").status, 401);
  reply = record(R"(,"intents":[{"request":"r1","verb":"order","state":"done"}],
      "machines":[{"instance":"m1","state":"booting","request":"r1","zone":"a"}],
      "decision":{"input":{"now":1},"policy":"messageCount","raw":1,"wanted":1,"actual":0,"changes":{"order":1},
                  "reason":"1 job waits","outcome":"ordered"})");
  ASSERT_EQ(reply.status, 200) << reply;
  EXPECT_EQ(reply.json().at("decision"), 1);
  EXPECT_EQ(str(machine_of("m1").at("state")), "booting");
  // It joins.
  FakeHost host(admin.as(newer.text("token")), "h1", R"(,"types":["Work"])", on("m1"));
  auto shown = machine_of("m1");
  EXPECT_EQ(str(shown.at("state")), "ready");
  EXPECT_EQ(str(shown.at("host").at("id")), host.id);
  EXPECT_TRUE(shown.at("host").get_object().contains("idleSince"));
  auto row = admin.get("/v1/hosts/h1").json();
  EXPECT_EQ(str(row.at("pool")), "cpu");
  EXPECT_EQ(str(row.at("instance")), "m1");
  EXPECT_FALSE(row.get_object().contains("by"));
  submit();
  const auto lease = host.one_lease();
  shown = machine_of("m1");
  EXPECT_EQ(shown.at("host").at("busy"), 1);
  EXPECT_GT(shown.at("host").at("restSeconds").to_number<double>(), 0);
  // It is wanted no more.
  const std::string remove = R"(,"intents":[{"request":"x1","verb":"remove","instances":["m1"],"state":"issued"}])";
  EXPECT_EQ(record(remove).code(), "hostBusy");
  EXPECT_EQ(retire(host).code(), "hostBusy");
  reply = admin.post("/v1/hosts/drain", hosts_body(host));
  ASSERT_EQ(reply.status, 200) << reply;
  EXPECT_EQ(str(reply.json().at("items").at(0).at("mode")), "drain");
  EXPECT_EQ(str(machine_of("m1").at("state")), "draining");
  row = admin.get("/v1/hosts/h1").json();
  EXPECT_EQ(str(row.at("by")), "scaler");
  EXPECT_EQ(str(row.at("why")), "idle for 6m");
  EXPECT_EQ(admin.post("/v1/hosts/resume", hosts_body(host)).status, 200);
  EXPECT_EQ(str(machine_of("m1").at("state")), "ready");
  admin.post("/v1/hosts/drain", hosts_body(host));
  EXPECT_EQ(retire(host).code(), "hostBusy");
  host.report(R"("running":[],"finished":[{"lease":")" + lease + R"(","outcome":"finished","exit":{"code":0}}])");
  reply = retire(host);
  ASSERT_EQ(reply.status, 200) << reply;
  EXPECT_EQ(str(host.fetch(1).at("mode")), "stop");
  EXPECT_EQ(str(machine_of("m1").at("state")), "retiring");
  EXPECT_EQ(admin.post("/v1/hosts/h1/resume").code(), "conflict");
  host.report(R"("running":[],"leaving":true)");
  EXPECT_EQ(record(remove).status, 200);
  reply = record(R"(,"intents":[{"request":"x1","verb":"remove","instances":["m1"],"state":"done"}],
      "machines":[{"instance":"m1","state":"gone"}],
      "decision":{"input":{},"policy":"messageCount","wanted":0})");
  ASSERT_EQ(reply.status, 200) << reply;
  EXPECT_EQ(str(machine_of("m1").at("state")), "absent");
  // And can be looked at.
  EXPECT_EQ(admin.get("/v1/scaler/machines?pool=cpu").json().at("items").get_array().size(), 0u);
  EXPECT_EQ(str(admin.get("/v1/scaler/machines?gone=true").json().at("items").at(0).at("state")), "gone");
  const auto decisions = admin.get("/v1/scaler/decisions?pool=cpu&limit=1").json();
  EXPECT_EQ(decisions.at("items").at(0).at("id"), 2);
  const auto rest = admin.get("/v1/scaler/decisions?cursor=" + str(decisions.at("next"))).json();
  EXPECT_EQ(rest.at("items").at(0).at("id"), 1);
  EXPECT_EQ(admin.get("/v1/scaler/decisions?changed=true").json().at("items").get_array().size(), 1u);
  const auto status = admin.get("/v1/scaler").json();
  EXPECT_EQ(status.at("scaler").at("epoch"), epoch);
  EXPECT_EQ(status.at("pools").at(0).at("lastDecision").at("id"), 2);
  EXPECT_EQ(book().at("decisions").at(1).at("id"), 2) << "newest last";
}

TEST_F(ScalerApi, DemandIsWhatTheSchedulerWouldPlace) {
  put_pool("cpu", R"(,"template":{"slots":2,"types":["Work"]},"limits":{"maximum":10})");
  for (int i = 0; i < 3; ++i) submit();
  const auto reply = admin.get("/v1/scaler/demand?pool=cpu");
  ASSERT_EQ(reply.status, 200) << reply;
  const auto runnable = reply.json().at("runnable");
  EXPECT_EQ(runnable.at("jobs"), 3);
  EXPECT_EQ(runnable.at("hostsNeeded"), 2);
  EXPECT_EQ(reply.json().at("hosts").at("ready"), 0);
  EXPECT_EQ(reply.json().at("dueSoon").at("300s"), 0);
  EXPECT_GT(reply.json().at("arrivalsPerSecond").at("1m").to_number<double>(), 0);
  EXPECT_EQ(reply.json().at("secondsPerJob").at("n"), 0);
  EXPECT_EQ(admin.get("/v1/scaler/metric?pool=cpu&name=runnableSlots").json().at("value"), 3);
  EXPECT_EQ(admin.get("/v1/scaler/metric?pool=cpu&name=oldestWaitSeconds").status, 200);
  EXPECT_EQ(admin.get("/v1/scaler/metric?pool=cpu&name=hostsWanted").status, 503) << "nothing was decided";
  epoch = take_lease();
  record(R"(,"decision":{"input":{},"policy":"messageCount","wanted":7})");
  EXPECT_EQ(admin.get("/v1/scaler/metric?pool=cpu&name=hostsWanted").json().at("value"), 7);
  EXPECT_EQ(admin.get("/v1/scaler/metric?pool=cpu&name=wanted").field(), "name");
  EXPECT_EQ(admin.get("/v1/scaler/demand").status, 400);
  EXPECT_EQ(admin.get("/v1/scaler/demand?pool=gpu").status, 404);
  EXPECT_EQ(ours.get("/v1/scaler/demand?pool=cpu").status, 403);
  EXPECT_EQ(ours.get("/v1/scaler/metric?pool=cpu&name=runnableSlots").status, 403);
}

TEST_F(ScalerApi, LoadIsSampled) {
  put_pool();
  const auto reply = admin.get("/v1/scaler/load?pool=cpu");
  ASSERT_EQ(reply.status, 200) << reply;
  EXPECT_EQ(admin.get("/v1/scaler/load").field(), "pool");
  EXPECT_EQ(admin.get("/v1/scaler/load?pool=cpu&from=soon").field(), "from");
  EXPECT_EQ(ours.get("/v1/scaler/load?pool=cpu").status, 403);
}

TEST_F(ScalerApi, APoolWithMachinesIsDrainedFirst) {
  put_pool();
  FakeHost host(machine, "h1", "", on("m1"));
  EXPECT_EQ(admin.call("DELETE", "/v1/scaler/pools/cpu").code(), "conflict");
  const auto leaving = admin.call("DELETE", "/v1/scaler/pools/cpu?drain=true");
  ASSERT_EQ(leaving.status, 202) << leaving;
  EXPECT_EQ(leaving.json().at("removing"), true);
  EXPECT_EQ(leaving.json().at("scale").at("wanted"), 0);
}

TEST_F(ScalerApi, BadWordsOfAScalerAreRefused) {
  put_pool();
  epoch = take_lease();
  const auto field = [&](const std::string& members) { return record(members).field(); };
  EXPECT_EQ(field(R"(,"intents":[{"request":"a b","verb":"order","state":"issued"}])"), "/intents/0/request");
  EXPECT_EQ(field(R"(,"intents":[{"request":"a","verb":"orde","state":"issued"}])"), "/intents/0/verb");
  EXPECT_EQ(field(R"(,"intents":[{"request":"a","verb":"remove","instances":[""],"state":"issued"}])"),
            "/intents/0/instances/0");
  EXPECT_EQ(field(R"(,"intents":[{"request":"a","verb":"order","count":-1,"state":"issued"}])"), "/intents/0/count");
  EXPECT_EQ(field(R"(,"machines":[{"instance":"","state":"gone"}])"), "/machines/0/instance");
  EXPECT_EQ(field(R"(,"machines":[{"instance":"m","state":"well"}])"), "/machines/0/state");
  EXPECT_EQ(field(R"(,"decision":{"input":3,"policy":"p","wanted":1})"), "/decision/input");
  epoch = 7;
  EXPECT_EQ(record("").code(), "staleScaler");
  EXPECT_EQ(admin.post("/v1/scaler/lease", R"({"holder":"test:1:a","epoch":7})").code(), "staleScaler");
  EXPECT_EQ(admin.post("/v1/hosts/drain", R"({"hosts":[],"by":"operator","epoch":1})").field(), "/by");
  EXPECT_EQ(admin.post("/v1/hosts/resume", R"({"hosts":["x"],"by":"scaler","epoch":1})").field(), "/hosts/0");
  EXPECT_EQ(admin.post("/v1/hosts/x/retire", R"({"epoch":1})").status, 400);
}

TEST_F(ScalerApi, AHostSaysWhichMachineItIsOn) {
  const auto half = machine.post("/v1/hosts", R"({"name":"h","slots":1})", {{"Geres-Pool", "cpu"}});
  EXPECT_EQ(half.status, 400) << half;
  EXPECT_EQ(machine.post("/v1/hosts", R"({"name":"h","slots":1})", on("a b")).status, 400);
  put_pool("cpu", R"(,"template":{"tenants":["theirs"]})");
  const auto bound = admin.as(make_token("bound", R"(["host"])", R"(["ours"])"));
  EXPECT_EQ(bound.post("/v1/hosts", R"({"name":"h","slots":1})", on("m")).code(), "forbidden");
  EXPECT_EQ(machine.post("/v1/hosts", R"({"name":"h","slots":1})", on("m", "unknown")).status, 201)
      << "it works, but is nobody's";
}

}  // namespace
}  // namespace geres::hub
