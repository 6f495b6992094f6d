// SPDX-License-Identifier: Apache-2.0
// Jobs from submit to end through the calls a host makes: leases, logs, artifacts, results.
#include <gtest/gtest.h>

#include <future>
#include <set>
#include <thread>

#include "hub/hub_fixture.h"
#include "wire/host/host_protocol.h"

namespace geres::hub {
namespace {

using api::Reply;
using HostFlowTest = HubTest;

std::set<std::string> members(const json::value& of) {
  std::set<std::string> names;
  for (const auto& member : of.as_object()) names.emplace(member.key());
  return names;
}

// The very bodies that hosts of 0.1.0 send. They end on an answer with a member that they do not know.
TEST_F(HostFlowTest, AHostOfTheFirstVersionFindsNothingNewInItsAnswers) {
  using Names = std::set<std::string>;
  upload_package();
  const auto file = ours.call("PUT", "/v1/files/ours", "in", {{"Content-Type", "application/octet-stream"}});
  ASSERT_EQ(file.status, 201) << file;
  const auto made = ours.post(
      "/v1/jobs", R"({"type":"Hello","package":"hello","inputs":[{"path":"a","sha256":")" + sha_of("in") + "\"}]}");
  ASSERT_EQ(made.status, 201) << made;
  const auto joined = machine.post(
      "/v1/hosts",
      R"({"name":"old","slots":4,"labels":{},"memory":8589934592,"packages":true,"containment":"cgroup2"})");
  ASSERT_EQ(joined.status, 201) << joined;
  EXPECT_EQ(members(joined.json()), (Names{"id", "secret", "reportSeconds"}));
  const auto own = machine.as(joined.text("secret"));
  const auto path = "/v1/hosts/" + joined.text("id");

  const auto fetched = own.post(path + "/fetch", R"({"fetchId":"6f","slots":4,"wait":"20s"})").json();
  EXPECT_EQ(members(fetched), (Names{"heldMs", "leases", "cancel", "mode"}));
  const auto& grant = fetched.at("leases").at(0);
  EXPECT_EQ(members(grant), (Names{"lease", "ttlMs", "attempt", "job", "package", "inputs", "timeoutMs"}));
  EXPECT_EQ(members(grant.at("package")), (Names{"name", "sha256", "url"}));
  EXPECT_EQ(members(grant.at("inputs").at(0)), (Names{"path", "sha256", "url"}));
  const std::string lease = str(grant.at("lease"));
  const auto report = [&](int seq, const std::string& held, const std::string& ended) {
    return own.post(path + "/report", R"({"seq":)" + std::to_string(seq) + R"(,"fetched":"6f","fetchedOnly":true,)" +
                                          R"("running":[)" + held + R"(],"started":[)" + held +
                                          R"(],"progress":[],"log":[],"finished":[)" + ended + R"(],"leaving":false})");
  };
  const auto running = report(1, '"' + lease + "\",\"0192f0c4-7d3a-7001-8f2e-0123456789ab\"", "");
  EXPECT_EQ(members(running.json()), (Names{"accepted", "refused", "lost", "cancel", "mode"})) << running;
  EXPECT_EQ(running.json().at("lost").get_array().size(), 1u);
  ours.post("/v1/jobs/" + str(grant.at("job").at("id")) + "/cancel");
  const auto told = own.post(path + "/fetch", R"({"fetchId":"70","slots":3,"wait":"20s"})").json();
  EXPECT_EQ(members(told.at("cancel").at(0)), (Names{"lease", "graceMs"}));
  const auto ended =
      report(2, "",
             R"({"lease":")" + lease + R"(","outcome":"cancelled","resultTruncated":false,"exit":{"signal":15},)" +
                 R"("usage":{"cpuSeconds":0.1,"maxRssBytes":1000},"error":"killed","files":[]})");
  EXPECT_EQ(str(ended.json().at("accepted").at(0)), lease) << ended;
  const auto again = report(
      3, "", R"({"lease":")" + lease + R"(","outcome":"finished","resultTruncated":false,"error":"","files":[]})");
  EXPECT_EQ(members(again.json().at("refused").at(0)), (Names{"lease", "code"})) << again;
}

TEST_F(HostFlowTest, AHostThatSaysItsProtocolIsAnsweredTheOneOfBoth) {
  const auto join = [&](const std::string& name, const std::string& said) {
    return machine.post("/v1/hosts", R"({"name":")" + name + R"(","slots":1})", {{"Geres-Protocol", said}});
  };
  EXPECT_EQ(join("a", "1").json().at("protocol"), 1);
  EXPECT_EQ(join("b", std::to_string(wire::kProtocol)).json().at("protocol"), wire::kProtocol);
  EXPECT_EQ(join("c", "1000").json().at("protocol"), wire::kProtocol);
  for (const char* wrong : {"0", "-1", "2.0", "two", "99999999999"}) {
    const auto refused = join("d", wrong);
    EXPECT_EQ(refused.status, 400) << refused;
    EXPECT_EQ(refused.code(), "badValue") << refused;
  }
}

TEST_F(HostFlowTest, AHostSaysHowItsLimitsAreHeld) {
  const auto join = [&](const std::string& name, const std::string& said) {
    return machine.post("/v1/hosts", R"({"name":")" + name + R"(","slots":1})", {{"Geres-Limits", said}});
  };
  const auto shown = [&](const std::string& name) {
    const auto all = admin.get("/v1/hosts").json();
    for (const auto& host : all.at("items").get_array())
      if (str(host.at("name")) == name) return host.get_object();
    return json::object();
  };
  EXPECT_EQ(join("a", "memory=cgroup1, processes=watched").status, 201);
  EXPECT_EQ(shown("a").at("limits"), (json::object{{"memory", "cgroup1"}, {"processes", "watched"}}));
  EXPECT_EQ(join("b", "memory=cgroup2,disk=sometimes").status, 201);  // a newer host says more
  EXPECT_EQ(shown("b").at("limits"), (json::object{{"memory", "cgroup2"}}));
  EXPECT_EQ(machine.post("/v1/hosts", R"({"name":"c","slots":1})").status, 201);  // an older one nothing
  EXPECT_FALSE(shown("c").contains("limits"));
  for (const char* wrong : {"memory=often", "memory", "memory=", "processes=Cgroup2"}) {
    const auto refused = join("d", wrong);
    EXPECT_EQ(refused.status, 400) << refused;
    EXPECT_EQ(refused.code(), "badValue") << refused;
  }
}

TEST_F(HostFlowTest, AReportNamesOneFetchAndNoEarlierOnes) {
  FakeHost host(machine, "h");
  EXPECT_EQ(host.report(R"("running":[],"fetchedOnly":true)").status, 200);
  EXPECT_EQ(host.report(R"("running":[])").status, 200);
  const auto refused = host.report(R"("running":[],"fetchedOnly":false)");
  EXPECT_EQ(refused.status, 400) << refused;
  EXPECT_EQ(refused.text("field"), "/fetchedOnly") << refused;
}

TEST_F(HostFlowTest, WhatANewerHostSaysBesidesIsPassedOver) {
  submit();
  const auto joined = machine.post("/v1/hosts", R"({"name":"new","slots":1,"types":["Work"],"colour":{"x":1}})");
  ASSERT_EQ(joined.status, 201) << joined;
  const auto own = machine.as(joined.text("secret"));
  const auto path = "/v1/hosts/" + joined.text("id");
  const auto fetched = own.post(path + "/fetch", R"({"fetchId":"f","slots":1,"wait":"20s","mood":"well"})");
  ASSERT_EQ(fetched.status, 200) << fetched;
  const std::string lease = str(fetched.json().at("leases").at(0).at("lease"));
  const auto ended =
      own.post(path + "/report", R"({"seq":1,"running":[],"mood":[],"finished":[{"lease":")" + lease +
                                     R"(","outcome":"finished","mood":"fine","exit":{"code":0,"why":""}}]})");
  EXPECT_EQ(str(ended.json().at("accepted").at(0)), lease) << ended;
}

TEST_F(HostFlowTest, RunsAJobThroughAHostsCalls) {
  const auto package = upload_package();
  ASSERT_EQ(package.status, 201) << package;
  const std::string bytes = "input bytes";
  const auto file = ours.call("PUT", "/v1/files/ours", bytes, {{"Content-Type", "application/octet-stream"}});
  ASSERT_EQ(file.status, 201) << file;
  EXPECT_EQ(file.text("sha256"), sha_of(bytes));
  const auto made =
      ours.post("/v1/jobs", R"({"type":"Hello","package":"hello","inputs":[{"path":"in/a.txt","sha256":")" +
                                sha_of(bytes) + R"("}]})");
  ASSERT_EQ(made.status, 201) << made;
  EXPECT_EQ(made.text("packageSha256"), package.text("sha256"));
  const auto id = made.text("id");

  FakeHost host(machine, "h1", R"(,"labels":{"zone":"a"},"containment":"pidns")");
  const auto fetched = host.fetch(1);
  ASSERT_EQ(fetched.at("leases").get_array().size(), 1u);
  const auto& grant = fetched.at("leases").at(0);
  const std::string lease(grant.at("lease").get_string());
  EXPECT_EQ(str(grant.at("job").at("id")), id);
  EXPECT_EQ(host.client().get(std::string(grant.at("package").at("url").get_string())).body, small_package());
  EXPECT_EQ(host.client().get(std::string(grant.at("inputs").at(0).at("url").get_string())).body, bytes);
  // Only with the lease, and only of its tenant.
  EXPECT_EQ(host.client().get("/v1/packages/ours/hello").status, 404);
  EXPECT_EQ(host.client().get("/v1/files/theirs/" + sha_of(bytes) + "?lease=" + lease).status, 404);
  EXPECT_EQ(host.client().get("/v1/jobs").status, 403);

  const auto hosts = ours.get("/v1/hosts").json();
  EXPECT_EQ(str(hosts.at("items").at(0).at("running").at(0)), id);
  EXPECT_EQ(hosts.at("items").at(0).at("containment"), "pidns");

  const std::string q = "\"" + lease + "\"";
  EXPECT_EQ(host.report(R"("running":[)" + q + R"(],"started":[)" + q + R"(],"progress":[{"lease":)" + q +
                        R"(,"percent":40,"message":"half"}],"log":[{"lease":)" + q +
                        R"(,"stream":"stdout","offset":0,"data":")" + to_base64("hello\nworld\n") + R"("}])")
                .status,
            200);
  const auto running = ours.get("/v1/jobs/" + id);
  EXPECT_EQ(running.text("state"), "running");
  EXPECT_EQ(running.json().at("progress").at("percent"), 40);
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/log").body, "hello\nworld\n");
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/log?tail=1").body, "world\n");
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/log?stream=stderr").body, "");
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/log?offset=2&limit=5").body, "llo\nw");
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/log?tail=1&limit=3").body, "wor");
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/log?offset=6&limit=100").body, "world\n");
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/log?limit=0").field(), "limit");
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/log?limit=1&follow=true").field(), "limit");

  // An artifact that was not uploaded is missed; then it is there.
  const std::string art = "<b>result</b>";
  const std::string done =
      R"("running":[],"finished":[{"lease":)" + q +
      R"(,"outcome":"finished","result":"42","exit":{"code":0},"usage":{"cpuSeconds":0.5,"maxRssBytes":1000},"files":[{"path":"out/a.html","size":13,"sha256":")" +
      sha_of(art) + R"("}]}])";
  const auto missed = host.report(R"("log":[],)" + done);
  EXPECT_EQ(missed.json().at("refused").at(0).at("code"), "filesMissing") << missed;
  EXPECT_EQ(host.client().call("PUT", "/v1/hosts/" + host.id + "/leases/" + lease + "/files/out/a.html", art).status,
            201);
  std::promise<Reply> waited;
  std::thread waiter([&] { waited.set_value(ours.get("/v1/jobs/" + id + "?wait=30s")); });
  const auto accepted = host.report(done);
  EXPECT_EQ(str(accepted.json().at("accepted").at(0)), lease) << accepted;
  const auto ended = waited.get_future().get();
  waiter.join();
  EXPECT_EQ(ended.text("state"), "finished") << ended;
  EXPECT_EQ(ended.text("result"), "42");
  EXPECT_EQ(ended.json().at("exit").at("code"), 0);

  EXPECT_EQ(str(host.report(done).json().at("accepted").at(0)), lease) << "the same end again is accepted again";
  const auto files = ours.get("/v1/jobs/" + id + "/files").json();
  EXPECT_EQ(files.at("items").at(0).at("path"), "out/a.html");
  const auto got = ours.get("/v1/jobs/" + id + "/files/out/a.html");
  EXPECT_EQ(got.body, art);
  EXPECT_EQ(got.headers.at("content-type"), "application/octet-stream");
  EXPECT_EQ(got.headers.at("x-content-type-options"), "nosniff");
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/files/out/b.html").code(), "unknownFile");
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/attempts").json().at("items").at(0).at("outcome"), "finished");
  // A late upload under the ended lease changes nothing.
  EXPECT_EQ(host.client().call("PUT", "/v1/hosts/" + host.id + "/leases/" + lease + "/files/x", "x").code(), "stale");
  // Its artifact can be the next job's input.
  const auto next =
      ours.post("/v1/jobs", spec(R"(,"inputs":[{"path":"x","job":")" + id + R"(","file":"out/a.html"}])"));
  EXPECT_EQ(next.status, 201) << next;
  const auto absent = ours.post("/v1/jobs", spec(R"(,"inputs":[{"path":"x","job":")" + id + R"(","file":"no"}])"));
  EXPECT_EQ(absent.field(), "/inputs/0/file") << absent;
}

TEST_F(HostFlowTest, FollowsALogToTheJobsEnd) {
  const auto id = submit();
  FakeHost host(machine, "h1");
  const auto lease = host.one_lease();
  const std::string q = "\"" + lease + "\"";
  std::promise<Reply> followed;
  std::thread follower([&] { followed.set_value(ours.get("/v1/jobs/" + id + "/log?follow=true")); });
  host.report(R"("running":[)" + q + R"(],"started":[)" + q + R"(],"log":[{"lease":)" + q +
              R"(,"stream":"stdout","offset":0,"data":")" + to_base64("one\n") + R"("}])");
  host.report(R"("running":[)" + q + R"(],"log":[{"lease":)" + q + R"(,"stream":"stdout","offset":4,"data":")" +
              to_base64("two\n") + R"("}])");
  host.report(R"("running":[],"log":[{"lease":)" + q + R"(,"stream":"stdout","offset":8,"data":")" +
              to_base64("three\n") + R"("}],"finished":[{"lease":)" + q + R"(,"outcome":"finished"}])");
  const auto reply = followed.get_future().get();
  follower.join();
  EXPECT_EQ(reply.body, "one\ntwo\nthree\n");
}

TEST_F(HostFlowTest, KeepsWhatWasLeftOutWithinBounds) {
  const auto id = submit();
  FakeHost host(machine, "h1");
  const auto lease = host.one_lease();
  std::string named;
  for (int i = 0; i < 150; ++i)
    named += std::string(i > 0 ? "," : "") + R"({"path":")" + std::string(3'000, 'p') + R"(","why":"a socket"})";
  const auto accepted =
      host.report(R"("running":[],"finished":[{"lease":")" + lease +
                  R"(","outcome":"finished","filesLeftOut":{"count":5000,"named":[)" + named + "]}}]");
  EXPECT_EQ(str(accepted.json().at("accepted").at(0)), lease) << accepted;
  const auto job = ours.get("/v1/jobs/" + id).json();
  EXPECT_EQ(job.at("filesLeftOutCount"), 5'000);
  EXPECT_EQ(job.at("filesLeftOut").get_array().size(), 100u);
  EXPECT_EQ(job.at("filesLeftOut").at(0).at("path").get_string().size(), 1'024u);
  const auto files = ours.get("/v1/jobs/" + id + "/files").json();
  EXPECT_EQ(files.at("items").get_array().size(), 0u);
  EXPECT_EQ(files.at("filesLeftOut"), job.at("filesLeftOut"));
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "?fields=filesLeftOutCount").json(),
            json::value({{"filesLeftOutCount", 5'000}}));
}

TEST_F(HostFlowTest, FollowsALogIntoTheNextAttempt) {
  const auto id = submit(R"(,"backoff":{"initial":"1ms","max":"1ms"})");
  FakeHost host(machine, "h1");
  const auto first = "\"" + host.one_lease() + "\"";
  // Named, so that it begins there even if it is the second that runs by the time it is heard.
  auto follower =
      std::async(std::launch::async, [&] { return ours.get("/v1/jobs/" + id + "/log?follow=true&attempt=1"); });
  host.report(R"("running":[],"log":[{"lease":)" + first + R"(,"stream":"stdout","offset":0,"data":")" +
              to_base64("a\n") + R"("}],"finished":[{"lease":)" + first +
              R"(,"outcome":"failed","exit":{"code":3},"error":"exit 3"}])");
  const auto second = "\"" + host.one_lease() + "\"";
  ASSERT_NE(second, first);
  // Under the lease that ended nothing is written any more.
  host.report(R"("running":[)" + second + R"(],"log":[{"lease":)" + first +
              R"(,"stream":"stdout","offset":2,"data":")" + to_base64("late\n") + R"("},{"lease":)" + second +
              R"(,"stream":"stdout","offset":0,"data":")" + to_base64("b\n") + R"("}])");
  host.report(R"("running":[],"finished":[{"lease":)" + second + R"(,"outcome":"finished"}])");
  EXPECT_EQ(follower.get().body, "a\nb\n");
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/log?attempt=1").body, "a\n");
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/log").headers.at("geres-attempt"), "2");
  EXPECT_EQ(ours.get("/v1/jobs/" + id).json().at("failures"), 1);
}

TEST_F(HostFlowTest, CutsAResultThatIsTooLong) {
  const auto id = submit();
  FakeHost host(machine, "h1");
  const auto lease = "\"" + host.one_lease() + "\"";
  host.report(R"("running":[],"finished":[{"lease":)" + lease + R"(,"outcome":"finished","result":")" +
              std::string(70'000, 'x') + R"("}])");
  const auto job = ours.get("/v1/jobs/" + id);
  EXPECT_EQ(job.text("result").size(), 65'536u);
  EXPECT_EQ(job.json().at("resultTruncated"), true);
}

TEST_F(HostFlowTest, RefusesASecondHostOfTheSameName) {
  FakeHost host(machine, "h1");
  host.fetch(0, "0s");
  const auto second = machine.post("/v1/hosts", R"({"name":"h1","slots":1})");
  EXPECT_EQ(second.status, 409);
  EXPECT_EQ(second.code(), "hostAlive");
  EXPECT_EQ(admin.post("/v1/hosts/h1/drain").text("mode"), "drain");
  EXPECT_EQ(host.fetch(1, "1s").at("mode"), "drain");
  EXPECT_EQ(admin.post("/v1/hosts/h1/resume").text("mode"), "run");
  const auto again = machine.post("/v1/hosts", R"({"name":"h1","slots":1,"replaces":")" + host.id + "\"}");
  EXPECT_EQ(again.status, 201) << again;
  EXPECT_EQ(host.report(R"("running":[])").status, 401) << "the earlier life's secret is void";
  EXPECT_EQ(admin.get("/v1/hosts/h1").text("id"), again.text("id"));
}

TEST_F(HostFlowTest, AHostThatIsAwayIsResumedByItsName) {
  FakeHost host(machine, "h1");
  EXPECT_EQ(admin.post("/v1/hosts/h1/drain").text("mode"), "drain");
  host.report(R"("running":[],"leaving":true)");
  EXPECT_EQ(admin.get("/v1/hosts/h1").status, 404);
  EXPECT_EQ(admin.post("/v1/hosts/h1/drain").status, 404);
  const auto resumed = admin.post("/v1/hosts/h1/resume");
  EXPECT_EQ(resumed.status, 202) << resumed;
  EXPECT_EQ(resumed.text("state"), "away");
  EXPECT_EQ(admin.post("/v1/hosts/h1/resume").status, 404);
}

TEST_F(HostFlowTest, AJobThatRanOutOfMemoryAsksItsNextHostForMore) {
  const auto id = submit(R"(,"requires":{"memory":"100MiB"},"backoff":{"initial":"1ms"})");
  FakeHost host(machine, "h1");
  const auto lease = "\"" + host.one_lease() + "\"";
  host.report(R"("running":[],"finished":[{"lease":)" + lease +
              R"(,"outcome":"failed","cause":"outOfMemory","memoryLimit":104857600,"error":"killed"}])");
  const auto job = ours.get("/v1/jobs/" + id).json();
  EXPECT_EQ(job.at("memory"), 200 << 20);
  EXPECT_EQ(job.at("requires").at("memory"), 100 << 20);
  const auto leases = host.fetch(1, "20s").at("leases").as_array();
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_EQ(leases.at(0).at("job").at("requires").at("memory"), 200 << 20);
  const auto attempts = ours.get("/v1/jobs/" + id + "/attempts").json().at("items").as_array();
  EXPECT_EQ(attempts.at(0).at("memory"), 100 << 20);
  EXPECT_EQ(attempts.at(1).at("memory"), 200 << 20);
}

// A name that another tenant's host has tells nothing of that host, and takes nothing from it.
TEST_F(HostFlowTest, HostsOfDifferentTenantsMayHaveOneName) {
  const auto made = admin.post("/v1/tokens", R"({"name":"their-machines","roles":["host"],"tenants":["theirs"]})");
  const auto our_made = admin.post("/v1/tokens", R"({"name":"our-machines","roles":["host"],"tenants":["ours"]})");
  FakeHost host(admin.as(made.text("token")), "h1");
  host.fetch(0, "0s");
  FakeHost mine(admin.as(our_made.text("token")), "h1");
  mine.fetch(0, "0s");
  EXPECT_EQ(host.report(R"("running":[])").status, 200) << "it is there as before";
  const auto again = admin.as(our_made.text("token")).post("/v1/hosts", R"({"name":"h1","slots":1})");
  EXPECT_EQ(again.code(), "hostAlive");
  EXPECT_EQ(again.body.find(host.id), std::string::npos);
  EXPECT_EQ(ours.get("/v1/hosts/h1").text("id"), mine.id) << "the only one that this tenant sees";
  const auto two = admin.post("/v1/hosts/h1/drain");
  EXPECT_EQ(two.status, 409);
  EXPECT_NE(two.text("detail").find(host.id), std::string::npos);
  EXPECT_EQ(admin.post("/v1/hosts/" + host.id + "/drain").text("mode"), "drain");
}

}  // namespace
}  // namespace geres::hub
