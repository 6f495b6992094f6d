// SPDX-License-Identifier: Apache-2.0
// The agent with a real runner and real processes against a scripted hub.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/json.h"
#include "host_fixture_test.h"

namespace geres::host {
namespace {

using model::Outcome;
using test::FakeHub;
using test::HostTest;

void with_parameters(wire::LeaseGrant& grant, json::value parameters) {
  grant.job.get_object()["parameters"] = std::move(parameters);
}

TEST_F(HostTest, RunsACommandAndTellsAllOfIt) {
  const auto item = run("echo hello; echo oops >&2; echo 40 half way > $GERES_PROGRESS; sleep 0.2");
  EXPECT_EQ(item.outcome, Outcome::finished) << item.error;
  EXPECT_EQ(item.exit->code, 0);
  EXPECT_EQ(item.result, "hello\n");
  EXPECT_FALSE(item.resultTruncated);
  EXPECT_GT(item.usage->maxRssBytes, 0);
  const auto all = told(lease);
  EXPECT_TRUE(all.started);
  EXPECT_EQ(all.log.at("stdout"), "hello\n");
  EXPECT_EQ(all.log.at("stderr"), "oops\n");
  ASSERT_FALSE(all.progress.empty());
  EXPECT_EQ(all.progress[0].percent, 40);
  EXPECT_EQ(all.progress[0].message, "half way");
  const auto first = hub.locked([&] { return hub.registered.at(0); });
  EXPECT_EQ(first.name, "h1");
  EXPECT_EQ(first.slots, 2);
  EXPECT_GT(first.memory.bytes, 0);
  EXPECT_FALSE(first.containment.empty());
  EXPECT_FALSE(first.replaces);
}

TEST_F(HostTest, EndsAreToldInTheHubsWords) {
  const auto failed = run("echo first >&2; echo cannot open display >&2; exit 3");
  EXPECT_EQ(failed.outcome, Outcome::failed);
  EXPECT_EQ(failed.exit->code, 3);
  EXPECT_EQ(failed.error, "exit 3: cannot open display");
  const auto aborted = run("exit 60");
  EXPECT_EQ(aborted.outcome, Outcome::aborted);
  const auto killed = run("kill -9 $$");
  EXPECT_EQ(killed.outcome, Outcome::failed);
  EXPECT_EQ(killed.exit->signal, 9);
  EXPECT_EQ(killed.error, "killed by signal 9 (SIGKILL)");
  const auto slow = run("sleep 100", [](wire::LeaseGrant& grant) { grant.timeoutMs = 300; });
  EXPECT_EQ(slow.outcome, Outcome::timeout);
  EXPECT_EQ(slow.error, "killed after 300ms (timeout)");
}

TEST_F(HostTest, TheEnvironmentIsWhatTheContractSays) {
  ::setenv("SECRET_OF_THE_HOST", "1", 1);
  const auto item = run("env; pwd; ls -A; cat $GERES_JOB_FILE", [](wire::LeaseGrant& grant) {
    grant.attempt = 3;
    with_parameters(grant, {{"picture", "a b.jpg"}, {"n", 7}, {"on", true}, {"deep", {1}}, {"no-name", 1}});
  });
  ::unsetenv("SECRET_OF_THE_HOST");
  const std::string text = item.result.value_or("");
  const auto has = [&](const std::string& line) { return ("\n" + text).find("\n" + line + "\n") != std::string::npos; };
  EXPECT_TRUE(has("GERES_JOB_ID=0192f0c4-7d3a-7001-8f2e-0123456789ab")) << text;
  EXPECT_TRUE(has("GERES_TENANT=acme"));
  EXPECT_TRUE(has("GERES_ATTEMPT=3"));
  EXPECT_TRUE(has("GERES_JOB_TYPE=T"));
  EXPECT_TRUE(has("GERES_PARAM_picture=a b.jpg"));
  EXPECT_TRUE(has("GERES_PARAM_n=7"));
  EXPECT_TRUE(has("GERES_PARAM_on=true"));
  EXPECT_EQ(text.find("GERES_PARAM_deep"), std::string::npos);
  EXPECT_EQ(text.find("no-name="), std::string::npos);
  EXPECT_EQ(text.find("SECRET_OF_THE_HOST"), std::string::npos);
  EXPECT_NE(text.find("TRACEPARENT=00-0192f0c47d3a70018f2e0123456789ab-"), std::string::npos);
  for (const char* name : {"GERES_PACKAGE_DIR=/", "GERES_WORK_DIR=/", "GERES_OUTPUT_DIR=/", "GERES_PROGRESS=/",
                           "GERES_RESULT=/", "GERES_JOB_FILE=/", "GERES_PARAMETERS={", "PATH=", "HOME=/", "TMPDIR=/"})
    EXPECT_NE(text.find(name), std::string::npos) << name;
  EXPECT_NE(text.find("\"picture\":\"a b.jpg\""), std::string::npos);
}

TEST_F(HostTest, TheResultFileBeatsTheOutputAndIsCut) {
  EXPECT_EQ(run("echo noise; printf answer > $GERES_RESULT").result, "answer");
  const auto large = run("head -c 100000 /dev/zero | tr '\\0' x > $GERES_RESULT");
  EXPECT_TRUE(large.resultTruncated);
  EXPECT_LE(large.result->size(), 64u << 10);
  const auto tail = run("head -c 100000 /dev/zero | tr '\\0' x; echo end");
  EXPECT_TRUE(tail.resultTruncated);
  EXPECT_TRUE(tail.result->ends_with("xend\n"));
  EXPECT_EQ(told(lease).log.at("stdout").size(), 100'004u);
  EXPECT_EQ(run("printf 'a\\377b'").result,
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_FALSE(run("true").result);
}

std::string left_out(const wire::FinishedItem& item) {
  std::string text;
  if (!item.filesLeftOut) return text;
  EXPECT_EQ(item.filesLeftOut->count, std::int64_t(item.filesLeftOut->named.size()));
  auto named = item.filesLeftOut->named;
  std::sort(named.begin(), named.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  for (const auto& file : named) text += file.path + ": " + file.why + "\n";
  return text;
}

TEST_F(HostTest, ALinkAsResultLeaksNothing) {
  const auto secret = directory.path() / "secret";
  replace_file(secret, "do not tell");
  const auto linked = run("ln -s " + secret.string() + " $GERES_RESULT");
  EXPECT_FALSE(linked.result);
  EXPECT_EQ(left_out(linked), "GERES_RESULT: a link, and a result is written into the file itself\n");
  EXPECT_EQ(left_out(run("mkfifo $GERES_RESULT")), "GERES_RESULT: a pipe (FIFO)\n");
  const auto item =
      run("ln -s " + secret.string() + " $GERES_OUTPUT_DIR/a; mkdir $GERES_OUTPUT_DIR/d; ln -s / $GERES_OUTPUT_DIR/r");
  EXPECT_EQ(item.outcome, Outcome::finished);
  EXPECT_TRUE(item.files.empty());
  EXPECT_EQ(left_out(item),
            "a: a link to outside of GERES_OUTPUT_DIR\n"
            "d: an empty directory, and files alone are kept\nr: a link to outside of GERES_OUTPUT_DIR\n");
  const auto moved = run("mv $GERES_OUTPUT_DIR x; ln -s " + directory.path().string() + " $GERES_OUTPUT_DIR");
  EXPECT_TRUE(moved.files.empty());
  EXPECT_EQ(left_out(moved), ".: GERES_OUTPUT_DIR itself: it cannot be read: Not a directory\n");
}

TEST_F(HostTest, ArtifactsAreThereBeforeTheEndNamesThem) {
  const auto item =
      run("mkdir -p $GERES_OUTPUT_DIR/sub; printf one > $GERES_OUTPUT_DIR/a.txt; printf two > "
          "\"$GERES_OUTPUT_DIR/sub/b c.txt\"");
  EXPECT_EQ(item.outcome, Outcome::finished) << item.error;
  ASSERT_EQ(item.files.size(), 2u);
  EXPECT_EQ(item.files[0].path, "a.txt");
  EXPECT_EQ(item.files[0].size, 3);
  EXPECT_EQ(item.files[0].sha256, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed");
  EXPECT_EQ(item.files[1].path, "sub/b c.txt");
  const auto there = told(lease).files_at_finish;
  EXPECT_EQ(there.at("a.txt"), "one");
  EXPECT_EQ(there.at("sub/b%20c.txt"), "two");
}

TEST_F(HostTest, MissingArtifactsAreSentAgain) {
  hub.files_missing = 1;
  start();
  lease = hub.add_script("printf one > $GERES_OUTPUT_DIR/a.txt");
  ASSERT_TRUE(hub.await([&] { return hub.told[lease].finished.size() == 2; }));
  EXPECT_TRUE(hub.await([&] { return hub.current.empty(); }));
}

TEST_F(HostTest, ArtifactsBeyondTheLimitsAreLeftOut) {
  options.artifacts_max = 3;
  const auto many = run("for i in 1 2 3 4; do touch $GERES_OUTPUT_DIR/$i; done");
  EXPECT_EQ(many.outcome, Outcome::finished);
  EXPECT_EQ(many.files.size(), 3u);
  EXPECT_EQ(left_out(many), "4: no more than 3 files are kept\n");
  options.artifact_bytes_max = 1 << 20;
  start();
  const auto large = run("cd $GERES_OUTPUT_DIR; truncate -s 2M b; printf a > a; printf c > c");
  EXPECT_EQ(large.outcome, Outcome::finished);
  EXPECT_EQ(large.files.size(), 2u);
  EXPECT_EQ(left_out(large), "b: too large: no more than 1 MiB are kept in all\n");
}

TEST_F(HostTest, AFileThatTheHubRefusesCostsNoOther) {
  hub.refused_file = "a%5Cb";
  const auto item = run("cd $GERES_OUTPUT_DIR; printf bad > 'a\\b'; printf good > good");
  EXPECT_EQ(item.outcome, Outcome::finished) << item.error;
  ASSERT_EQ(item.files.size(), 1u);
  EXPECT_EQ(item.files[0].path, "good");
  EXPECT_EQ(left_out(item), "a\\b: the hub refused it: the path has backslashes\n");
}

TEST_F(HostTest, AnOldHubIsToldOfTheFilesAlone) {
  hub.old = true;
  const auto item = run("cd $GERES_OUTPUT_DIR; mkfifo pipe; printf good > good; echo printed");
  EXPECT_EQ(item.outcome, Outcome::finished) << item.error;
  EXPECT_EQ(item.files.size(), 1u);
  EXPECT_FALSE(item.filesLeftOut);
  EXPECT_EQ(told(lease).log.at("stdout"), "printed\n");
}

TEST_F(HostTest, InputsLieInTheWorkingDirectoryAndMayBeChanged) {
  const std::string digest = hub.blob("picture");
  const auto change = [&](wire::LeaseGrant& grant) {
    grant.inputs = {{"in/a.jpg", digest, "/blobs/" + digest}, {"b.jpg", digest, "/blobs/" + digest}};
  };
  EXPECT_EQ(run("cat in/a.jpg b.jpg; echo spoilt > b.jpg", change).result, "picturepicture");
  EXPECT_EQ(run("cat b.jpg", change).result, "picture");
  EXPECT_EQ(hub.locked([&] { return hub.downloads[digest]; }), 1);
  const auto outside = run("true", [&](wire::LeaseGrant& grant) {
    grant.inputs = {{"../x", digest, "/blobs/" + digest}};
  });
  EXPECT_EQ(outside.outcome, Outcome::aborted);
  const auto absent = run("true", [](wire::LeaseGrant& grant) {
    grant.inputs = {{"x", std::string(64, 'a'), "/blobs/" + std::string(64, 'a')}};
  });
  EXPECT_EQ(absent.outcome, Outcome::failed);
}

TEST_F(HostTest, PackagesThatCannotRun) {
  start();
  const auto end_of = [&](const std::string& digest) {
    lease = hub.add_job(digest);
    EXPECT_TRUE(hub.await_finished(lease));
    return hub.finished(lease);
  };
  EXPECT_EQ(end_of(std::string(64, 'b')).outcome, Outcome::package);  // the hub does not have it
  EXPECT_EQ(end_of(hub.blob("no zip")).outcome, Outcome::package);
  EXPECT_EQ(end_of(hub.package({{"geres.json", R"({"jobs": {"Other": {"command": ["true"]}}})"}})).outcome,
            Outcome::type);
  const auto without = end_of(hub.package({{"geres.json", R"({"jobs": {"T": {"command": ["./x.sh"]}}})"}}));
  EXPECT_EQ(without.outcome, Outcome::package);
  EXPECT_NE(without.error.find("x.sh"), std::string::npos) << without.error;
  const std::string other = hub.blob("true bytes");
  hub.locked([&] { hub.blobs[other] = "other bytes"; });
  EXPECT_EQ(end_of(other).outcome, Outcome::package);
  EXPECT_EQ(hub.locked([&] { return hub.downloads[other]; }), 3);
}

TEST_F(HostTest, ManyJobsOfOnePackageDownloadItOnce) {
  hub.hold_downloads = true;
  start();
  const std::string digest = hub.package({{"geres.json", R"({"jobs": {"T": {"command": ["true"]}}})"}});
  const std::string a = hub.add_job(digest), b = hub.add_job(digest);
  ASSERT_TRUE(hub.await([&] { return hub.current.size() == 2 && hub.downloads[digest] > 0; }));
  hub.let_go();
  EXPECT_TRUE(hub.await_finished(a));
  EXPECT_TRUE(hub.await_finished(b));
  EXPECT_EQ(hub.locked([&] { return hub.downloads[digest]; }), 1);
}

TEST_F(HostTest, ARestartReplacesItsEarlierLife) {
  const auto after = run("true");
  EXPECT_EQ(after.outcome, Outcome::finished) << after.error;
  start();
  ASSERT_TRUE(hub.await([&] { return hub.registered.size() == 2; }));
  EXPECT_EQ(hub.locked([&] { return hub.registered[1].replaces; }), "host-1");
}

TEST_F(HostTest, TheCacheSurvivesARestartAndDamageIsFound) {
  start();
  const std::string digest = hub.package(
      {{"geres.json", R"({"jobs": {"T": {"command": ["cat", "{GERES_PACKAGE_DIR}/data"]}}})"}, {"data", "good"}});
  const auto run_it = [&] {
    lease = hub.add_job(digest);
    EXPECT_TRUE(hub.await_finished(lease));
    return hub.finished(lease).result.value_or("");
  };
  EXPECT_EQ(run_it(), "good");
  start();
  EXPECT_EQ(run_it(), "good");
  EXPECT_EQ(hub.locked([&] { return hub.downloads[digest]; }), 1);
  const auto file = options.data / "packages/acme" / digest / "data";
  std::filesystem::permissions(file, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
  {
    host.reset();
    const Fd fd(::open(file.c_str(), O_WRONLY));
    write_all(fd.get(), "evil");
  }
  start();
  EXPECT_EQ(run_it(), "good");
  EXPECT_EQ(hub.locked([&] { return hub.downloads[digest]; }), 2);
}

// Where nothing prevents it, a job can change its own package and those of later jobs.
TEST_F(HostTest, WhatAJobChangedOfItsPackageIsFetchedAgain) {
  options.isolation = Isolation::none;
  options.allow_root = true;
  options.fence = false;
  start();
  const std::string digest = hub.package(
      {{"geres.json",
        R"({"jobs": {"T": {"command": ["sh", "-c", "cat $GERES_PACKAGE_DIR/data; chmod u+w $GERES_PACKAGE_DIR/data; printf evil > $GERES_PACKAGE_DIR/data"]}}})"},
       {"data", "good"}});
  for (int downloads = 1; downloads <= 3; ++downloads) {
    lease = hub.add_job(digest);
    ASSERT_TRUE(hub.await_finished(lease));
    EXPECT_EQ(hub.finished(lease).result.value_or(""), "good");
    EXPECT_EQ(hub.locked([&] { return hub.downloads[digest]; }), downloads);
  }
}

TEST_F(HostTest, AHubThatForgotTheHostIsRegisteredAtAgain) {
  hub.report_seconds = 0.2;
  start();
  lease = hub.add_script("sleep 100");
  ASSERT_TRUE(hub.await([&] { return hub.told[lease].started; }));
  hub.locked([&] { hub.forget_host = true; });
  ASSERT_TRUE(hub.await([&] { return hub.registered.size() == 2; }));
  EXPECT_EQ(hub.locked([&] { return hub.registered[1].replaces; }), "host-1");
  const auto after = run("true");
  EXPECT_EQ(after.outcome, Outcome::finished) << after.error;
}

TEST_F(HostTest, TwoHostsOnOneDataDirectoryAreRefused) {
  start();
  const auto second = JobHost::prepare(options);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("another host uses"), std::string::npos);
}

TEST_F(HostTest, ABadTokenEndsTheHostWithAReason) {
  options.token = "wrong";
  start();
  const auto ended = host->wait();
  ASSERT_FALSE(ended);
  EXPECT_NE(ended.error().message.find("the token is not known"), std::string::npos);
}

// Once for each time that it registers.
TEST_F(HostTest, ARefusedTokenIsAskedForAnew) {
  const auto asked = (directory.path() / "asked").string();
  const SystemClock clock;
  hub.report_seconds = 0.2;
  hub.locked([&] { hub.token = "2"; });
  options.tokens = std::make_shared<transport::TokenSource>(
      transport::TokenSource::From{.command = "echo >>" + asked + "; wc -l <" + asked}, clock);
  start();
  ASSERT_TRUE(hub.await([&] { return hub.registered.size() == 1; }));
  hub.locked([&] { hub.token = "3", hub.forget_host = true; });
  ASSERT_TRUE(hub.await([&] { return hub.registered.size() == 2; }));
  hub.locked([&] { hub.token = "none", hub.forget_host = true; });
  const auto ended = host->wait();
  ASSERT_FALSE(ended);
  EXPECT_NE(ended.error().message.find("the token is not known"), std::string::npos);
  EXPECT_EQ(read_file(asked).size(), 4u);
}

TEST_F(HostTest, ATokenFileMayBeReplacedWhileTheHostRuns) {
  const SystemClock clock;
  hub.report_seconds = 0.2;
  replace_file(directory.path() / "token", "host-token\n");
  options.tokens =
      std::make_shared<transport::TokenSource>(transport::TokenSource::From{.file = directory.path() / "token"}, clock);
  start();
  ASSERT_TRUE(hub.await([&] { return hub.registered.size() == 1; }));
  replace_file(directory.path() / "token", "another\n");
  hub.locked([&] { hub.token = "another", hub.forget_host = true; });
  ASSERT_TRUE(hub.await([&] { return hub.registered.size() == 2; }));
  const auto after = run("true");
  EXPECT_EQ(after.outcome, Outcome::finished) << after.error;
}

TEST_F(HostTest, WhatIsNotSupportedIsRefused) {
  options.isolation = Isolation::sandbox;
  EXPECT_EQ(JobHost::prepare(options).error().code, Code::notSupported);
}

}  // namespace
}  // namespace geres::host
