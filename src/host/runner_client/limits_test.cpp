// SPDX-License-Identifier: Apache-2.0
// How much memory, how many processes and descriptors an attempt may have, and how one that exceeds them ends.
#include <sys/resource.h>
#include <sys/wait.h>

#include "host/runner_client/own_group.h"
#include "host/runner_client/test_host.h"

namespace geres::host {
namespace {

using wire::Containment;
using wire::RunEnd;

constexpr std::int64_t kMiB = 1 << 20;

// With limits by the kernel. Skipped where it has none; Default.* tests that case.
struct Limits : testing::Test {
  void SetUp() override {
    ASSERT_TRUE(host.launch({})) << host.refused;
    if (host.client->hello().memoryHeld == wire::LimitHeld::watched) GTEST_SKIP() << host.client->hello().limitsDetail;
  }
  wire::RunSpec python(const std::string& key, const std::string& program, std::int64_t memory) {
    auto spec = host.spec(key, {"/usr/bin/python3", "-c", program});
    spec.limits.treeMemoryBytes = memory;
    return spec;
  }
  TestHost host;
};

constexpr char kHoldsInMemoryFile[] =
    "import os\n"
    "f = os.memfd_create('a')\n"
    "for i in range(300): os.write(f, b'x' * (1 << 20))\n"
    "print('held')";

TEST_F(Limits, MemoryFilesCount) {
  const auto result = host.run(python("a", kHoldsInMemoryFile, 64 * kMiB));
  EXPECT_EQ(result.end, RunEnd::outOfMemory);
  EXPECT_EQ(result.reason, "out of memory, limit 64 MiB, peak 64 MiB");
  EXPECT_EQ(host.output("a"), "");
  EXPECT_EQ(host.run(python("b", kHoldsInMemoryFile, 500 * kMiB)).end, RunEnd::exited);
}

constexpr char kChildHoldsTooMuch[] =
    "import subprocess, sys, time\n"
    "print(subprocess.run([sys.executable, '-c', \"a = b'x' * (300 << 20)\"]).returncode, flush=True)\n"
    "time.sleep(float(sys.argv[1]))";

TEST_F(Limits, OneKilledChildEndsTheAttempt) {
  auto goes_on = python("a", kChildHoldsTooMuch, 64 * kMiB);
  goes_on.argv.emplace_back("100");
  auto result = host.run(goes_on);
  EXPECT_EQ(result.end, RunEnd::outOfMemory);
  EXPECT_EQ(result.reason, "out of memory, limit 64 MiB, peak 64 MiB");
  // Holds also if the main process has ended by then.
  auto ends = python("b", kChildHoldsTooMuch, 64 * kMiB);
  ends.argv.emplace_back("0");
  EXPECT_EQ(host.run(ends).end, RunEnd::outOfMemory);
}

TEST_F(Limits, TheJobMayBearItself) {
  auto bears = python("a", kChildHoldsTooMuch, 64 * kMiB);
  bears.argv.emplace_back("0");
  bears.limits.outOfMemoryEnds = false;
  const auto result = host.run(bears);
  EXPECT_EQ(result.end, RunEnd::exited) << result.reason;
  EXPECT_EQ(result.exitCode, 0);
  EXPECT_EQ(host.output("a"), "-9\n");
  bears.limits.outOfMemoryEnds = true;  // and the slot's next attempt does not inherit that
  bears.key = "b";
  EXPECT_EQ(host.run(bears).end, RunEnd::outOfMemory);
}

TEST_F(Limits, WhatIsReadAndWrittenIsNoMemory) {
  const auto result = host.run(python("a",
                                      "f = open('big', 'wb')\n"
                                      "for i in range(100): f.write(b'x' * (1 << 20))",
                                      48 * kMiB));
  EXPECT_EQ(result.end, RunEnd::exited) << result.reason;
  EXPECT_EQ(result.exitCode, 0);
}

// A file in /dev/shm stays charged to the group of the slot in which it was made.
TEST_F(Limits, WhatOneLeavesInMemoryIsNotTheNextOnes) {
  const std::string left = "/dev/shm/geres-limits-" + std::to_string(getpid());
  auto leaves = python("a", "open('" + left + "', 'wb').write(b'x' * (40 << 20))", 200 * kMiB);
  EXPECT_EQ(host.run(leaves).exitCode, 0);
  EXPECT_TRUE(std::filesystem::exists(left));
  const auto result = host.run(python("b", "x = b'x' * (30 << 20)", 64 * kMiB));
  std::filesystem::remove(left);
  EXPECT_EQ(result.end, RunEnd::exited) << result.reason;
}

TEST_F(Limits, ALimitIsTheAttemptsAndNotTheSlots) {
  EXPECT_EQ(host.run(python("a", "x = b'x' * (100 << 20)", 32 * kMiB)).end, RunEnd::outOfMemory);
  EXPECT_EQ(host.run(python("b", "x = b'x' * (100 << 20)", 200 * kMiB)).end, RunEnd::exited);
  auto any = python("c", "x = b'x' * (100 << 20)", 0);
  any.limits.treeMemoryBytes.reset();
  EXPECT_EQ(host.run(any).end, RunEnd::exited);
}

TEST_F(Limits, ForkFailsBeyondTheNumberOfTasks) {
  auto spec = python("a",
                     "import threading, time\n"
                     "n = 1\n"
                     "try:\n"
                     "  while n < 100:\n"
                     "    threading.Thread(target=time.sleep, args=(1,), daemon=True).start(); n += 1\n"
                     "except RuntimeError: pass\n"
                     "print(n)",
                     500 * kMiB);
  spec.limits.treeTasks = 20;
  EXPECT_EQ(host.run(spec).exitCode, 0);
  EXPECT_EQ(host.output("a"), "20\n");
}

// A unit that protects the host (OOMScoreAdjust=-1000) must not protect its jobs too, or they would have no limit.
TEST(Oom, JobsAreTheFirstToGo) {
  const auto put = [](const char* text) { std::ofstream("/proc/self/oom_score_adj") << text << std::flush; };
  put("-1000");
  TestHost host;
  ASSERT_TRUE(host.launch({})) << host.refused;
  put("0");
  host.run(host.shell("a", "cat /proc/self/oom_score_adj"));
  EXPECT_EQ(host.output("a"), "500\n");
}

// A lack of descriptors is no reason for a weaker containment.
TEST(Descriptors, TooFewAreRefused) {
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const pid_t child = fork();
  if (child == 0) {
    const rlimit few{40, 40};
    setrlimit(RLIMIT_NOFILE, &few);
    TestHost host;
    RunnerClient::Options options;
    options.slots = 40;
    if (host.launch(options)) _exit(host.client->containment() == Containment::pidns ? 77 : 1);
    _exit(host.refused.starts_with("40 slots need more open files than the 40 that this host may have") ? 0 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "needs no descriptors here";
  EXPECT_EQ(status, 0);
}

TEST(Descriptors, JobsHaveWhatTheHostHad) {
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit soft = before;
  soft.rlim_cur = 300;
  setrlimit(RLIMIT_NOFILE, &soft);
  TestHost host;
  const bool launched = host.launch({});
  setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(launched) << host.refused;
  host.run(host.shell("a", "ulimit -Sn"));
  EXPECT_EQ(host.output("a"), "300\n");
}

// A cgroup v2 that could be divided, imitated by a directory.
TEST(OwnGroup, IsLeftToTheJobsWhereItIsOurs) {
  TemporaryDirectory parent;
  const auto group = parent.path() / "group";
  const auto processes = group / wire::kHostGroup / "cgroup.procs";
  std::filesystem::create_directories(processes.parent_path());
  const auto put = [&](const std::filesystem::path& file, const std::string& text) { std::ofstream(file) << text; };
  const auto moved = [&] {
    put(processes, "");
    stand_aside(group);
    return read_file_if(processes).value_or("") == "0";
  };
  put(group / "cgroup.type", "domain\n");
  put(group / "cgroup.controllers", "cpu memory pids\n");
  put(group / "cgroup.procs", std::to_string(getpid()) + "\n");
  EXPECT_TRUE(moved());
  put(group / "cgroup.procs", std::to_string(getpid()) + "\n1\n");
  EXPECT_FALSE(moved());  // there are other processes in it
  put(group / "cgroup.procs", std::to_string(getpid()) + "\n");
  put(group / "cgroup.controllers", "cpu\n");
  EXPECT_FALSE(moved());  // it would gain nothing
  put(group / "cgroup.controllers", "memory\n");
  EXPECT_TRUE(moved());
  put(processes, "");
  const auto unit = parent.path() / "geres.service";  // made by systemd, and not delegated
  std::filesystem::rename(group, unit);
  stand_aside(unit);
  EXPECT_EQ(read_file_if(unit / wire::kHostGroup / "cgroup.procs").value_or(""), "");
}

TEST(Deleted, FilesThatAreHeldOpenAreTold) {
  TestHost host;
  ASSERT_TRUE(host.launch({})) << host.refused;
  auto spec = host.shell("a",
                         "exec 3>gone; rm gone; head -c 8388608 /dev/zero >&3; exec 4>&3; (exec sleep 100) & "
                         "echo up; wait");
  spec.limits.treeProcesses = 100;
  host.client->start(spec);
  ASSERT_TRUE(host.wait_for([&] { return host.held["a"] >= 8 * kMiB; }));
  EXPECT_LT(host.held["a"], 9 * kMiB);  // counted once, however many processes hold it
  host.client->stop("a", 0, wire::StopReason::cancel);
  host.result("a");
}

}  // namespace
}  // namespace geres::host
