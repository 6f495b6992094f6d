// SPDX-License-Identifier: Apache-2.0
// What the runner promises of an attempt, with real processes, for each containment that this machine and user allow.
#include <sys/wait.h>

#include <algorithm>

#include "host/runner_client/test_host.h"

namespace geres::host {
namespace {

using wire::Containment;
using wire::RunEnd;
using wire::StopReason;

class Contained : public testing::TestWithParam<Containment> {
 protected:
  void SetUp() override {
    RunnerClient::Options options;
    options.containment = GetParam();
    if (!host.launch(options)) GTEST_SKIP() << "refused by this machine: " << host.refused;
    ASSERT_EQ(host.client->containment(), GetParam());
  }
  TestHost host;
};

INSTANTIATE_TEST_SUITE_P(Each, Contained,
                         testing::Values(Containment::cgroup2, Containment::freezer, Containment::pidns,
                                         Containment::bestEffort),
                         [](const auto& kind) { return boost::describe::enum_to_string(kind.param, "?"); });

TEST_P(Contained, TellsExitCodeAndOutput) {
  const auto result = host.run(host.shell("a", "echo hello; echo one >&2; printf 'last \\377 word\\n\\n' >&2; exit 7"));
  EXPECT_EQ(result.end, RunEnd::exited);
  EXPECT_EQ(result.exitCode, 7);
  EXPECT_FALSE(result.signal);
  EXPECT_FALSE(result.stopped);
  EXPECT_EQ(host.output("a"), "hello\n");
  EXPECT_EQ(result.stdout_.printedBytes, 6);
  EXPECT_EQ(result.stdout_.keptBytes, 6);
  EXPECT_EQ(result.lastErrorLine, "last \xEF\xBF\xBD word");
  EXPECT_GT(result.maxRssBytes, 100'000);
  EXPECT_TRUE(host.started.contains("a"));
  EXPECT_EQ(host.logs["a"].stdoutBytes, 6);
}

TEST_P(Contained, TellsTheSignal) {
  const auto result = host.run(host.shell("a", "kill -SEGV $$"));
  EXPECT_EQ(result.end, RunEnd::signalled);
  EXPECT_EQ(result.signal, SIGSEGV);
  EXPECT_FALSE(result.exitCode);
}

TEST_P(Contained, CountsProcessorTimeOfTheTree) {
  const auto result = host.run(host.shell("a", "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'"));
  EXPECT_EQ(result.exitCode, 0);
  EXPECT_GT(result.cpuSeconds, 0.02);
  EXPECT_LT(result.cpuSeconds, 30);
}

TEST_P(Contained, GivesExactlyTheEnvironmentAndDirectory) {
  auto spec = host.spec("a", {"/usr/bin/env"});
  spec.env = {"B=2", "A=with space\nand line", "C=\xff"};
  host.run(spec);
  EXPECT_EQ(host.output("a"), "B=2\nA=with space\nand line\nC=\xff\n");
  host.run(host.spec("b", {"pwd"}));
  EXPECT_EQ(host.output("b"), std::filesystem::canonical(host.directory.path()).string() + "\n");
}

TEST_P(Contained, LeavesNothingOpenAndNothingBlocked) {
  host.run(host.shell("a",
                      "ls /proc/self/fd; grep -E 'SigBlk|SigIgn|NoNewPrivs|CapEff' /proc/self/status; umask; "
                      "ulimit -c; cat /proc/self/oom_score_adj; readlink /proc/self/fd/0"));
  const std::string text = host.output("a");
  EXPECT_TRUE(text.starts_with("0\n1\n2\n3\n")) << text;  // 3: the directory that ls reads
  EXPECT_NE(text.find("SigBlk:\t0000000000000000"), std::string::npos) << text;
  EXPECT_NE(text.find("SigIgn:\t0000000000000000"), std::string::npos) << text;
  EXPECT_NE(text.find("NoNewPrivs:\t1"), std::string::npos) << text;
  EXPECT_NE(text.find("0022\n0\n500\n/dev/null\n"), std::string::npos) << text;
  if (geteuid() != 0) {
    EXPECT_NE(text.find("CapEff:\t0000000000000000"), std::string::npos) << text;
  }
}

// Runs `spec`, which prints "up" first, with a timeout long enough for a busy machine to get there.
wire::RunResult run_into_timeout(TestHost& host, wire::RunSpec spec) {
  const std::string name = spec.key;
  for (;; spec.timeoutMs *= 2) {
    spec.key = name + std::to_string(spec.timeoutMs);
    spec.stdoutPath = host.directory.path() / (spec.key + ".out");
    auto result = host.run(spec);
    EXPECT_EQ(result.end, RunEnd::timeout);
    if (host.output(spec.key) == "up\n" || testing::Test::HasFailure() || spec.timeoutMs > 5'000) return result;
  }
}

TEST_P(Contained, TimeoutSendsTermThenKill) {
  auto polite = host.shell("a", "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done");
  polite.timeoutMs = 150;
  auto result = run_into_timeout(host, polite);
  EXPECT_EQ(result.exitCode, 3);
  EXPECT_EQ(result.stopped, StopReason::timeout);
  EXPECT_FALSE(result.killed);

  auto deaf = host.shell("b", "trap '' TERM; echo up; while :; do sleep 0.05; done");
  deaf.timeoutMs = 100;
  deaf.graceMs = 200;
  result = run_into_timeout(host, deaf);
  EXPECT_EQ(result.signal, SIGKILL);
  EXPECT_TRUE(result.killed);
  EXPECT_GE(result.ranMs, 300);
}

TEST_P(Contained, CancelReachesWhoHides) {
  const std::string mark = token();
  // They ignore TERM, are in sessions of their own, and were orphaned by a double fork.
  host.client->start(host.shell("a", "trap '' TERM; setsid sh -c '(setsid sleep " + mark + " &) ; (sleep " + mark +
                                         " & ) ; exec sleep " + mark + "' & sleep " + mark));
  ASSERT_TRUE(eventually([&] { return processes_with(mark).size() >= 4; })) << processes_with(mark).size();
  const Millis asked = now();
  host.client->stop("a", 200, StopReason::cancel);
  const auto result = host.result("a");
  EXPECT_LT(now() - asked, 2200);
  EXPECT_EQ(result.end, RunEnd::cancelled);
  EXPECT_TRUE(result.killed);
  EXPECT_EQ(processes_with(mark).size(), 0u);
}

TEST_P(Contained, TermReachesTheWholeTree) {
  const std::string mark = token();
  host.client->start(
      host.shell("a", "setsid sh -c 'trap \"echo child; exit\" TERM; echo up; while :; do sleep 0.02; done' " + mark +
                          " & trap 'wait; exit 9' TERM; wait"));
  ASSERT_TRUE(eventually([&] { return host.output("a") == "up\n"; }));
  host.client->stop("a", 5000, StopReason::cancel);
  const auto result = host.result("a");
  EXPECT_EQ(result.end, RunEnd::cancelled);
  EXPECT_EQ(result.exitCode, 9);
  EXPECT_EQ(host.output("a"), "up\nchild\n");
}

// A job that runs as root may make cgroups below the attempt's own.
TEST_P(Contained, ReachesIntoCgroupsBelow) {
  const std::string own = host.client->hello().cgroup;
  if (own.empty()) GTEST_SKIP() << "no cgroup here";
  const std::string mark = token();
  const std::string below = own + "/slot-0/below";
  host.client->start(host.shell("a", "mkdir " + below + " && echo $$ > " + below +
                                         "/cgroup.procs && trap '' TERM && (sleep " + mark + " & ) && echo up; sleep " +
                                         mark));
  ASSERT_TRUE(eventually([&] { return host.output("a") == "up\n"; })) << host.output("a", ".err");
  host.client->stop("a", 300, StopReason::cancel);
  EXPECT_EQ(host.result("a").end, RunEnd::cancelled);
  EXPECT_EQ(processes_with(mark).size(), 0u);
  EXPECT_EQ(host.run(host.shell("b", "exit 5")).exitCode, 5);
}

TEST_P(Contained, NothingOutlivesTheMainProcess) {
  const std::string mark = token();
  const Millis begun = now();
  const auto result = host.run(host.shell("a", "setsid sleep " + mark + " & sleep " + mark + " & echo bye"));
  EXPECT_EQ(result.end, RunEnd::exited);
  EXPECT_EQ(result.exitCode, 0);
  EXPECT_LT(now() - begun, 5000);
  EXPECT_EQ(host.output("a"), "bye\n");
  EXPECT_EQ(processes_with(mark).size(), 0u);
}

TEST_P(Contained, EndsAForkBomb) {
  // The main process must not need a fork, because the bomb leaves none.
  auto spec = host.shell("a", "bomb() { bomb | bomb & }; bomb; exec sleep 60");
  spec.limits.processes = 60;
  if (geteuid() == 0) {
    if (!host.client->hello().canSwitchUser) GTEST_SKIP() << "needs another user, for the limit to hold";
    spec.uid = spec.gid = 54'321;
    std::filesystem::permissions(host.directory.path(), std::filesystem::perms::all);
  } else {
    spec.limits.processes = 200;  // includes this user's other processes
  }
  host.client->start(spec);
  ASSERT_TRUE(host.wait_for([&] { return host.started.contains("a"); }));
  usleep(300'000);  // let it grow
  const Millis asked = now();
  host.client->stop("a", 100, StopReason::cancel);
  EXPECT_EQ(host.result("a").end, RunEnd::cancelled);
  EXPECT_LT(now() - asked, 6000);
  EXPECT_EQ(host.run(host.shell("b", "exit 0")).exitCode, 0);
}

TEST_P(Contained, KillsATreeBeyondItsLimits) {
  auto many = host.shell("a", "i=0; while [ $i -lt 30 ]; do sleep 100 & i=$((i+1)); done; wait");
  many.limits.treeProcesses = 10;
  auto result = host.run(many);
  EXPECT_EQ(result.end, RunEnd::overLimit);
  EXPECT_EQ(result.reason, "it had more than 10 processes (--process-limit)");
  EXPECT_EQ(result.stopped, StopReason::limit);

  const std::string holds = "x=0123456789abcdef; while [ ${#x} -lt 30000000 ]; do x=$x$x; done; ";
  auto large = host.shell("b", holds + "(setsid sleep 100 &); sleep 100");
  large.limits.treeMemoryBytes = 16 << 20;
  result = host.run(large);
  EXPECT_EQ(result.end, RunEnd::outOfMemory);
  EXPECT_TRUE(result.reason.starts_with("out of memory, limit 16 MiB, peak ")) << result.reason;

  // Memory that forked processes share is counted once.
  auto within = host.shell("c", holds + "i=0; while [ $i -lt 8 ]; do (sleep 1; :) & i=$((i+1)); done; wait; exit 4");
  within.limits.treeMemoryBytes = 200 << 20;
  within.limits.treeProcesses = 30;
  result = host.run(within);
  EXPECT_EQ(result.end, RunEnd::exited) << result.reason;
  EXPECT_EQ(result.exitCode, 4);
}

TEST_P(Contained, EndsWithItsLease) {
  auto spec = host.shell("a", "trap 'echo term; trap \"\" TERM' TERM; echo up; while :; do sleep 0.02; done");
  spec.deadline = {now() + 60'000, 2'000};
  host.client->start(spec);
  ASSERT_TRUE(eventually([&] { return host.output("a") == "up\n"; }));
  const Millis deadline = now() + 2'300;  // which leaves two seconds between TERM and KILL
  host.client->renew("a", {deadline, 2'000});
  const auto result = host.result("a");
  EXPECT_EQ(result.end, RunEnd::leaseExpired);
  EXPECT_TRUE(result.killed);
  EXPECT_GE(now(), deadline);
  EXPECT_LT(now(), deadline + 2000);
  EXPECT_EQ(host.output("a"), "up\nterm\n");

  auto renewed = host.shell("b", "sleep 1.2; echo whole");
  renewed.deadline = {now() + 1'000, 100};
  host.client->start(renewed);
  host.client->renew("b", {now() + 20'000, 100});
  EXPECT_EQ(host.result("b").end, RunEnd::exited);
  EXPECT_EQ(host.output("b"), "whole\n");

  auto late = host.shell("c", "echo ran");
  late.deadline = {now() - 1, 0};
  EXPECT_EQ(host.run(late).end, RunEnd::leaseExpired);
  EXPECT_EQ(host.output("c"), "");
}

TEST_P(Contained, PassesProgressOn) {
  auto spec = host.shell("a",
                         "echo '42 resizing' > \"$GERES_PROGRESS\"; sleep 0.2; echo 250 >> \"$GERES_PROGRESS\"; "
                         "sleep 0.2; printf 'na\\377me\\n' > \"$GERES_PROGRESS\"");
  spec.progressPath = host.directory.path() / "progress";
  spec.env.push_back("GERES_PROGRESS=" + spec.progressPath);
  for (const char* key : {"a", "b"}) {  // the second uses the FIFO of the first
    spec.key = key;
    spec.stdoutPath.clear();
    spec.stderrPath.clear();
    EXPECT_EQ(host.run(spec).exitCode, 0);
    const auto& told = host.progress[key];
    ASSERT_EQ(told.size(), 3u);
    EXPECT_EQ(told[0].percent, 42);
    EXPECT_EQ(told[0].message, "resizing");
    EXPECT_EQ(told[1].percent, 100);
    EXPECT_EQ(told[1].message, "");
    EXPECT_FALSE(told[2].percent);
    EXPECT_EQ(told[2].message, "na\xEF\xBF\xBDme");
  }
}

TEST_P(Contained, CoalescesAFloodOfProgress) {
  auto spec = host.shell("a", "i=0; while [ $i -lt 20000 ]; do echo $((i/200)) step $i; i=$((i+1)); done > $P");
  spec.progressPath = host.directory.path() / "progress";
  spec.env.push_back("P=" + spec.progressPath);
  const auto result = host.run(spec);
  EXPECT_EQ(result.exitCode, 0);
  const auto& told = host.progress["a"];
  ASSERT_FALSE(told.empty());
  EXPECT_LE(told.size(), std::size_t(result.ranMs / 50 + 3));
  EXPECT_EQ(told.back().percent, 99);
  EXPECT_EQ(told.back().message, "step 19999");
}

TEST_P(Contained, CutsTheLog) {
  auto spec = host.shell("a", "i=0; while [ $i -lt 500 ]; do echo 123456789; i=$((i+1)); done; echo end >&2");
  spec.logBytesMax = 1000;
  const auto result = host.run(spec);
  EXPECT_TRUE(result.stdout_.cut);
  EXPECT_EQ(result.stdout_.printedBytes, 5000);
  EXPECT_FALSE(result.stderr_.cut);
  EXPECT_EQ(result.lastErrorLine, "end");
  const std::string log = host.output("a");
  EXPECT_EQ(std::int64_t(log.size()), result.stdout_.keptBytes);
  EXPECT_EQ(log.substr(0, 10), "123456789\n");
  EXPECT_NE(log.find("[geres: 4000 bytes are left out here]\n"), std::string::npos);
  EXPECT_TRUE(log.ends_with("123456789\n")) << log;
  EXPECT_LT(log.size(), 1200u);
}

TEST_P(Contained, AGigabyteCostsNeitherDiskNorTheOthers) {
  auto flood = host.shell("a", "head -c 1073741824 /dev/zero");
  flood.logBytesMax = 1 << 20;
  host.client->start(flood);
  auto other = host.shell("b", "exec >&- 2>&-; sleep 0.1; exit 4");  // closes its streams
  other.slot = 1;
  EXPECT_EQ(host.run(other).exitCode, 4);
  const auto result = host.result("a", 60'000);
  EXPECT_EQ(result.exitCode, 0);
  EXPECT_EQ(result.stdout_.printedBytes, 1 << 30);
  EXPECT_LT(std::filesystem::file_size(host.directory.path() / "a.out"), (1u << 20) + 200u);
}

TEST_P(Contained, BecomesAnotherUser) {
  if (!host.client->hello().canSwitchUser) GTEST_SKIP() << "the runner cannot switch users here";
  auto spec = host.shell("a", "id -u; id -g; id -G; grep CapEff /proc/self/status; kill -9 1; echo x > $P");
  std::filesystem::permissions(host.directory.path(), std::filesystem::perms::all);
  spec.progressPath = host.directory.path() / "progress";
  spec.env.push_back("P=" + spec.progressPath);
  spec.uid = 54'321;
  spec.gid = 54'322;
  const auto result = host.run(spec);
  EXPECT_EQ(result.exitCode, 0) << host.output("a", ".err");
  EXPECT_EQ(host.output("a"), "54321\n54322\n54322\nCapEff:\t0000000000000000\n");
  EXPECT_EQ(host.progress["a"].size(), 1u);
}

TEST_P(Contained, SaysWhyAStartFailed) {
  const auto directory = host.directory.path();
  int n = 0;
  const auto reason = [&](const std::string& program) {
    const auto result = host.run(host.spec("fail" + std::to_string(n++), {program}));
    EXPECT_EQ(result.end, RunEnd::startFailed);
    EXPECT_FALSE(result.hostTrouble);
    EXPECT_FALSE(result.exitCode);
    EXPECT_FALSE(host.started.contains(result.key));
    return result.reason;
  };
  EXPECT_EQ(reason("./thumbnail.sh"), "./thumbnail.sh: not found in the package");
  EXPECT_EQ(reason("no-such-tool"), "no-such-tool: not found in PATH");
  EXPECT_EQ(reason("/no/such/tool"), "/no/such/tool: not found");
  std::ofstream(directory / "plain.sh") << "#!/bin/sh\n";
  EXPECT_EQ(reason("./plain.sh"), "./plain.sh: is not executable (chmod +x it before packing)");
  std::ofstream(directory / "odd.sh") << "#!/opt/no/perl -w\n";
  std::filesystem::permissions(directory / "odd.sh", std::filesystem::perms::owner_all);
  EXPECT_EQ(reason("./odd.sh"), "./odd.sh: its interpreter /opt/no/perl is not on this machine");
  std::ofstream(directory / "text") << "hello\n";
  std::filesystem::permissions(directory / "text", std::filesystem::perms::owner_all);
  EXPECT_EQ(reason("./text"), "./text: is not a program for this machine and has no #! line");
  EXPECT_EQ(reason(directory), directory.string() + ": is a directory");
  std::ofstream(directory / "windows.sh") << "#!/bin/sh\r\necho\r\n";
  std::filesystem::permissions(directory / "windows.sh", std::filesystem::perms::owner_all);
  EXPECT_EQ(reason("./windows.sh"),
            "./windows.sh: its interpreter /bin/sh is not on this machine (the script has Windows line ends)");
  std::ofstream(directory / "windows.sh") << "#!/usr/bin/env sh\r\necho\r\n";
  const auto windows = host.run(host.spec("windows", {"./windows.sh"}));
  EXPECT_EQ(windows.exitCode, 127) << "env was found";
  EXPECT_EQ(windows.reason, "the script has Windows line ends");
  std::ofstream(directory / "sh\r") << "text\n";  // as if a directory of PATH were closed to the job
  auto closed = host.spec("closed", {"./windows.sh"});
  closed.env = {"PATH=" + directory.string()};
  const auto refused = host.run(closed);
  EXPECT_EQ(refused.exitCode, 126);
  EXPECT_EQ(refused.reason, "the script has Windows line ends");

  auto spec = host.shell("nowhere", "true");
  spec.workDirectory = directory / "absent";
  EXPECT_NE(host.run(spec).reason.find("absent: No such file"), std::string::npos);
  spec = host.shell("taken", "true");
  spec.slot = 99;
  EXPECT_TRUE(host.run(spec).hostTrouble);
}

// What runs long yields to what starts: the attempt itself, and each session that it makes.
TEST_P(Contained, YieldsAfterAWhile) {
  if (read_of_process("/proc/self/autogroup").empty()) GTEST_SKIP() << "a kernel without autogroup";
  const std::string look = "read group word nice < /proc/self/autogroup; set -- $(cat /proc/self/stat); shift 18";
  const std::string wait = look + "; while [ $nice != 7 ] || [ $1 != 7 ]; do sleep 0.05; " + look + "; done";
  const auto result =
      host.run(host.shell("a", look + "; echo starts with $nice $1; " + wait + "; echo yields; setsid sh -c '" + wait +
                                   "; echo yields too' & wait"));
  EXPECT_EQ(result.exitCode, 0);
  EXPECT_EQ(host.output("a"), "starts with 0 0\nyields\nyields too\n");
}

TEST_P(Contained, ManyAttemptsLeaveNothingBehind) {
  const auto runners = children_of(getpid(), "geres-runner");
  ASSERT_EQ(runners.size(), 1u);
  const auto open_files = [&] {
    const std::filesystem::path fds = "/proc/" + std::to_string(runners[0]) + "/fd";
    std::error_code refused;
    return std::distance(std::filesystem::directory_iterator(fds, refused), std::filesystem::directory_iterator());
  };
  host.run(host.shell("first", "exit 0"));
  const auto before = open_files();
  for (int i = 0; i < 200; ++i) {
    auto spec = host.shell("n" + std::to_string(i), "echo $PPID; (sleep 0 &)");
    spec.slot = std::uint32_t(i % 4);
    ASSERT_EQ(host.run(spec).exitCode, 0);
  }
  // A cgroup is empty a moment before its last process can be reaped.
  EXPECT_TRUE(eventually([&] { return open_files() <= before; })) << open_files() << " files, " << before << " before";
  EXPECT_TRUE(eventually([&] { return children_of(runners[0], "sh").empty(); }));
  EXPECT_TRUE(eventually([&] { return children_of(runners[0], "sleep").empty(); }));
  const std::string cgroup = host.client->hello().cgroup;
  host.client->close();
  EXPECT_TRUE(children_of(getpid(), "geres-runner").empty());
  if (!cgroup.empty()) {
    EXPECT_FALSE(std::filesystem::exists(cgroup));
  }
}

TEST_P(Contained, ClosingKillsAll) {
  const std::string mark = token();
  host.client->start(host.shell("a", "trap '' TERM; setsid sleep " + mark + " & sleep " + mark));
  ASSERT_TRUE(eventually([&] { return processes_with(mark).size() >= 2; }));
  host.client->close();
  EXPECT_EQ(processes_with(mark).size(), 0u);
  EXPECT_FALSE(host.client->start(host.shell("b", "true")));
  EXPECT_FALSE(host.lost);
}

// Everything again as a user without rights, in a user namespace; in parts that can run in parallel.
constexpr int kNobodyParts = 4;
class Nobody : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Part, Nobody, testing::Range(0, kNobodyParts));

TEST_P(Nobody, DoesAllOfIt) {
  if (geteuid() != 0) GTEST_SKIP() << "already somebody without rights";
  const pid_t pid = fork();
  if (pid == 0) {
    if (setgid(65'534) != 0 || setuid(65'534) != 0) _exit(99);
    const std::string filter = "--gtest_filter=" + std::string(std::getenv("GERES_NOBODY_FILTER") != nullptr
                                                                   ? std::getenv("GERES_NOBODY_FILTER")
                                                                   : "Each/*:Death.*:Default.*:Fences.*:Deleted.*");
    unsetenv("XML_OUTPUT_FILE");
    unsetenv("GTEST_OUTPUT");
    setenv("GTEST_TOTAL_SHARDS", std::to_string(kNobodyParts).c_str(), 1);
    setenv("GTEST_SHARD_INDEX", std::to_string(GetParam()).c_str(), 1);
    execl("/proc/self/exe", "runner_client_test", filter.c_str(), "--gtest_brief=1", nullptr);
    _exit(98);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

// Without insisting: as root a cgroup, as nobody at least a PID namespace. Only a kernel that refuses these excuses
// less.
TEST(Default, IsTheBestThereIs) {
  TestHost host;
  ASSERT_TRUE(host.launch({})) << host.refused;
  const auto& hello = host.client->hello();
  std::printf("containment %s, own PID namespace %d; %s\n", boost::describe::enum_to_string(hello.containment, "?"),
              hello.pidNamespace, hello.detail.c_str());
  if (!hello.pidNamespace) GTEST_SKIP() << "refused by this machine: " << hello.detail;
  EXPECT_NE(hello.containment, Containment::bestEffort);
  EXPECT_EQ(host.run(host.shell("a", "exit 0")).exitCode, 0);
}

}  // namespace
}  // namespace geres::host
