// SPDX-License-Identifier: Apache-2.0
// Jobs from submit to end through the calls a host makes: leases, logs, artifacts, results.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "hub/hub_fixture.h"

namespace geres::hub {
namespace {

using api::Reply;
using HostFlowTest = HubTest;

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

}  // namespace
}  // namespace geres::hub
