// SPDX-License-Identifier: Apache-2.0
// An attempt confined to its own files by Landlock, beside a host's data on disk: what it may not touch, and that real
// programs run inside as they do outside.
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "host/runner_client/test_host.h"

namespace geres::host {
namespace {

namespace fs = std::filesystem;
using wire::RunEnd;

struct Fences : testing::Test {
  void SetUp() override {
    for (const char* name :
         {"host/packages/demo/one", "host/work/1/job/work", "host/work/1/job/tmp", "host/work/2/job/work", "beside"})
      fs::create_directories(data / name);
    for (const char* name : {"admin.token", "geres.db", "host/packages/demo/one/run.sh", "host/work/1/job.json",
                             "host/work/1/job/work/own", "host/work/2/job/work/secret", "host/host.json"})
      std::ofstream(data / name) << "of " << name << "\n";
    std::ofstream(data.parent_path() / "beside.txt") << "beside\n";
    RunnerClient::Options options;
    options.hidden = {data.string()};
    ASSERT_TRUE(host.launch(options)) << host.refused;
    if (host.client->hello().landlock == 0) GTEST_SKIP() << "this kernel has no Landlock, or an old one";
  }
  wire::RunSpec fenced(const std::string& key, std::vector<std::string> argv) {
    auto spec = host.spec(key, std::move(argv));
    const auto job = data / "host/work/1";
    spec.workDirectory = job / "job/work";
    spec.env = {"PATH=/usr/local/bin:/usr/bin:/bin", "DATA=" + data.string(), "HOME=" + spec.workDirectory,
                "TMPDIR=" + (job / "job/tmp").string()};
    spec.fences.emplace();
    spec.fences->writable = {job / "job"};
    spec.fences->readable = {data / "host/packages/demo/one", job / "job.json"};
    return spec;
  }
  // True if the script succeeded.
  bool can(const std::string& script) {
    const std::string key = "n" + std::to_string(++count);
    const auto result = host.run(fenced(key, {"/bin/sh", "-c", script}), 60'000);
    if (result.exitCode != 0) said = host.output(key) + host.output(key, ".err") + result.reason;
    return result.end == RunEnd::exited && result.exitCode == 0;
  }
  TestHost host;
  fs::path data = host.directory.path() / "data";
  int count = 0;
  std::string said;
};

TEST_F(Fences, TheHostsDataAndOtherAttemptsAreOutOfReach) {
  for (const char* script : {"cat $DATA/admin.token", "cat $DATA/geres.db", "ls $DATA", "ls $DATA/host/work",
                             "cat $DATA/host/work/2/job/work/secret", "echo x > $DATA/host/work/2/job/work/secret",
                             "echo x > $DATA/host/packages/demo/one/run.sh", "rm $DATA/host/packages/demo/one/run.sh",
                             "echo x > $DATA/host/packages/demo/one/new", "echo x > $DATA/host/work/1/job.json",
                             "echo x > $DATA/new", "mv own $DATA/own", "ln $DATA/admin.token token",
                             "cat /proc/self/root$DATA/admin.token", "ln -s $DATA/admin.token link && cat link",
                             "echo x > /etc/geres-test", "echo x > /usr/geres-test", "mkdir /opt/geres-test"})
    EXPECT_FALSE(can(script)) << script;
  EXPECT_EQ(read_file_if(data / "host/work/2/job/work/secret"), "of host/work/2/job/work/secret\n");
  EXPECT_TRUE(fs::exists(data / "host/packages/demo/one/run.sh"));
}

TEST_F(Fences, ItsOwnFilesAreItsOwn) {
  for (const char* script :
       {"cat $DATA/host/packages/demo/one/run.sh $DATA/host/work/1/job.json own",
        "mkdir -p a/b && echo x > a/b/c && mv a/b/c ../result && rm -r a && ln -s x y && mkfifo f && cat ../result",
        "echo x > $TMPDIR/x && mv $TMPDIR/x ./x", "cat $DATA/../beside.txt", "echo x > /dev/null", "ls /usr/bin /etc",
        "head -c 8 /dev/urandom", "cat /proc/self/status", "echo 600 > /proc/self/oom_score_adj"})
    EXPECT_TRUE(can(script)) << script << ": " << said;
}

// The directories around what is hidden are listed again when they have changed.
TEST_F(Fences, WhatComesLaterCanBeRead) {
  EXPECT_FALSE(can("cat $DATA/../later/file"));
  fs::create_directories(data.parent_path() / "later");
  std::ofstream(data.parent_path() / "later/file") << "later\n";
  EXPECT_TRUE(can("cat $DATA/../later/file")) << said;
}

// Each name beside what is hidden takes an open file. With more names than the host may open it starts all the same,
// and the system's own files can be read.
TEST(FewDescriptors, AreLeftForAttempts) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  TestHost host;
  const auto data = host.directory.path() / "data";
  fs::create_directories(data / "own");
  for (int i = 0; i < 500; ++i) std::ofstream(host.directory.path() / ("beside-" + std::to_string(i)));
  RunnerClient::Options options;
  options.hidden = {data.string()};
  const pid_t child = fork();
  if (child == 0) {
    const rlimit few{300, 300};
    setrlimit(RLIMIT_NOFILE, &few);
    if (!host.launch(options)) _exit(1);
    if (host.client->hello().landlock == 0) _exit(77);
    auto spec = host.spec("a", {"/bin/sh", "-c", "ls /usr/bin > /dev/null && echo x > own && cat own"});
    spec.workDirectory = data / "own";
    spec.fences.emplace();
    spec.fences->writable = {data / "own"};
    const auto result = host.run(spec, 60'000);
    _exit(result.end == RunEnd::exited && result.exitCode == 0 ? 0 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "this kernel has no Landlock, or an old one";
  EXPECT_EQ(status, 0);
}

TEST_F(Fences, WhatIsNotThereIsTold) {
  auto spec = fenced("a", {"/bin/true"});
  spec.fences->readable.push_back(data / "nowhere");
  const auto result = host.run(spec);
  EXPECT_EQ(result.end, RunEnd::startFailed);
  EXPECT_EQ(result.reason, "cannot be kept to its own files: No such file or directory");
  EXPECT_TRUE(result.hostTrouble);
}

TEST_F(Fences, SignalsStayInside) {
  if (host.client->hello().landlock < 6) GTEST_SKIP() << "needs Linux 6.12";
  if (!host.client->hello().pidNamespace) GTEST_SKIP() << "the job cannot see others anyway where this is tested";
  auto outside = host.spec("outside", {"/bin/sleep", "100"});
  outside.slot = 1;
  host.client->start(outside);
  ASSERT_TRUE(host.wait_for([&] { return host.started.contains("outside"); }));
  const auto pid = std::to_string(host.started["outside"].pid);
  EXPECT_FALSE(can("kill -9 " + pid));
  EXPECT_TRUE(can("sleep 100 & kill $!")) << said;
  EXPECT_FALSE(host.results.contains("outside"));
  host.client->stop("outside", 0, wire::StopReason::cancel);
  host.result("outside");
}

TEST_F(Fences, RealProgramsRun) {
  const std::pair<const char*, const char*> kPrograms[] = {
      {"python3",
       "python3 -c \"import multiprocessing as m, ssl, sqlite3, tempfile, subprocess\n"
       "if __name__ == '__main__':\n"
       "  q = m.Queue(); p = m.Process(target=q.put, args=(1,)); p.start(); assert q.get() == 1; p.join()\n"
       "  s = m.shared_memory if hasattr(m, 'shared_memory') else None\n"
       "  sqlite3.connect('a.db').execute('create table t(x)')\n"
       "  tempfile.NamedTemporaryFile().write(b'x'); subprocess.run(['true'], check=True)\""},
      {"bash", "bash -c 'cat <(echo a) > x && [[ $(< x) == a ]]'"},
      {"perl", "perl -MFile::Temp -e 'my $f = File::Temp->new; print $f 1; system(\"true\") == 0 or die'"},
      {"git",
       "git init -q r && cd r && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m a && git log -1"},
      {"tar", "mkdir -p t && echo a > t/a && tar czf t.tgz t && rm -r t && tar xzf t.tgz && cat t/a"},
      {"gcc", "echo 'int main(){return 0;}' > m.c && gcc m.c -o m && ./m"},
      {"node",
       "node -e \"const f=require('fs');f.writeFileSync('n','x');new (require('worker_threads').Worker)('1',"
       "{eval:true});require('child_process').execSync('true')\""},
      {"sqlite3", "sqlite3 b.db 'pragma journal_mode=wal; create table t(x); insert into t values(1)'"},
      {"java", "java -version"}};
  for (const auto& [name, script] : kPrograms) {
    if (std::system(("command -v " + std::string(name) + " > /dev/null").c_str()) != 0) continue;
    EXPECT_TRUE(can(script)) << name << ": " << said;
  }
}

}  // namespace
}  // namespace geres::host
