// SPDX-License-Identifier: Apache-2.0
// Agent and runner guard each other: whichever dies or stops, nothing of an attempt outlives its lease.
#include <sys/socket.h>
#include <sys/wait.h>

#include "host/runner_client/runner_process.h"
#include "host/runner_client/test_host.h"

namespace geres::host {
namespace {

// An agent in a process of its own, running one attempt that ignores TERM and hides from its session.
struct OtherAgent {
  std::string mark = token();
  pid_t pid = -1;

  explicit OtherAgent(const std::filesystem::path& lock, Millis lease_ms = 0) {
    pid = fork();
    if (pid != 0) return;
    {
      Fd held = try_lock_file(lock);
      TestHost host;
      RunnerClient::Options options;
      options.lock_fd = held.get();
      if (!held || !host.launch(options)) _exit(1);
      auto spec = host.shell("a", "trap '' TERM; setsid sleep " + mark + " & sleep " + mark);
      if (lease_ms > 0) spec.deadline = {now() + lease_ms, 0};
      host.client->start(spec);
      for (;;) pause();
    }
  }
  ~OtherAgent() { end(); }
  void end() {
    if (pid <= 0) return;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    pid = -1;
  }
  bool up() const {
    return eventually([&] { return processes_with(mark).size() >= 2; }, 20'000);
  }
};

TEST(Death, OfTheAgentEndsAll) {
  TemporaryDirectory directory;
  OtherAgent agent(directory.path() / "lock");
  ASSERT_TRUE(agent.up());
  agent.end();
  // The lock is released only when nothing runs any more.
  EXPECT_TRUE(eventually([&] { return bool(try_lock_file(directory.path() / "lock")); }, 5000));
  EXPECT_EQ(processes_with(agent.mark).size(), 0u);
}

// The runner's first message finds the agent gone. That is how it learns of it, and it must not wait for anything after
// that.
TEST(Death, OfTheAgentBeforeTheRunnersFirstWordEndsIt) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const Fd theirs(ends[1]);
  close(ends[0]);
  auto runner = start_runner_process(GERES_RUNNER, {"--slots", "1"}, theirs.get(), -1, true);
  ASSERT_TRUE(runner) << runner.error().message;
  const bool ended = runner->wait_dead(20'000);
  EXPECT_TRUE(ended);
  if (ended) return;
  runner->kill();
  runner->wait_dead(-1);
}

TEST(Death, OfTheRunnerEndsAll) {
  TestHost host;
  ASSERT_TRUE(host.launch({})) << host.refused;
  const std::string mark = token();
  host.client->start(host.shell("a", "setsid sleep " + mark + " & sleep " + mark));
  ASSERT_TRUE(eventually([&] { return processes_with(mark).size() >= 2; }));
  const auto runners = children_of(getpid(), "geres-runner");
  ASSERT_EQ(runners.size(), 1u);
  kill(runners[0], SIGKILL);
  ASSERT_TRUE(host.wait_for([&] { return host.lost.has_value(); }));
  EXPECT_EQ(processes_with(mark).size(), 0u);
  EXPECT_EQ(*host.lost, std::vector<std::string>{"a"});
  EXPECT_FALSE(host.client->start(host.shell("b", "true")));
  const std::string cgroup = host.client->hello().cgroup;
  if (!cgroup.empty()) {
    EXPECT_FALSE(std::filesystem::exists(cgroup));
  }
}

TEST(Death, OfTheRunnerWithoutNamespaceEndsAll) {
  TestHost host;
  RunnerClient::Options options;
  options.own_pid_namespace = false;
  options.containment = wire::Containment::cgroup2;
  if (!host.launch(options)) GTEST_SKIP() << "refused by this machine: " << host.refused;
  EXPECT_FALSE(host.client->hello().pidNamespace);
  const std::string mark = token();
  host.client->start(host.shell("a", "setsid sleep " + mark + " & sleep " + mark));
  auto leaderless = host.spec("b", {GERES_HIDEAWAY, "leader", "hide-death"});
  leaderless.slot = 1;
  host.client->start(leaderless);
  ASSERT_TRUE(eventually([&] { return processes_with(mark).size() >= 2 && host.output("b") == "up\n"; }));
  const std::string cgroup = host.client->hello().cgroup;
  const auto runners = children_of(getpid(), "geres-runner");
  ASSERT_EQ(runners.size(), 1u);
  kill(runners[0], SIGKILL);
  ASSERT_TRUE(host.wait_for([&] { return host.lost.has_value(); }));
  EXPECT_TRUE(eventually([&] { return processes_with(mark).empty(); }, 2000));
  EXPECT_FALSE(std::filesystem::exists(cgroup)) << "a cgroup goes only when nothing is in it";
}

TEST(Death, OfAPlainRunnersAgentEndsAll) {
  TestHost host;
  RunnerClient::Options options;
  options.own_pid_namespace = false;
  options.containment = wire::Containment::bestEffort;
  ASSERT_TRUE(host.launch(options)) << host.refused;
  const std::string mark = token();
  host.client->start(host.shell("a", "(setsid sleep " + mark + " &); sleep " + mark));
  ASSERT_TRUE(eventually([&] { return processes_with(mark).size() >= 2; }));
  host.client->stop("a", 0, wire::StopReason::cancel);
  EXPECT_EQ(host.result("a").end, wire::RunEnd::cancelled);
  EXPECT_EQ(processes_with(mark).size(), 0u);
}

TEST(Death, OfAStandingRunnerIsByItsClient) {
  TestHost host;
  ASSERT_TRUE(host.launch({})) << host.refused;
  const std::string mark = token();
  host.client->start(host.shell("a", "sleep " + mark));
  ASSERT_TRUE(eventually([&] { return !processes_with(mark).empty(); }));
  const auto runners = children_of(getpid(), "geres-runner");
  ASSERT_EQ(runners.size(), 1u);
  const Millis begun = now();
  kill(runners[0], SIGSTOP);
  ASSERT_TRUE(host.wait_for([&] { return host.lost.has_value(); }));
  EXPECT_GE(now() - begun, 900);
  EXPECT_LT(now() - begun, 6000);
  EXPECT_EQ(processes_with(mark).size(), 0u);
}

TEST(Death, ComesWithTheLeaseWhileTheAgentStandsStill) {
  TemporaryDirectory directory;
  OtherAgent agent(directory.path() / "lock", 3000);
  ASSERT_TRUE(agent.up());
  kill(agent.pid, SIGSTOP);
  EXPECT_TRUE(eventually([&] { return processes_with(agent.mark).empty(); }, 8000));
}

TEST(Death, DoesNotComeToARunnerWhoseAgentStoodStill) {
  TemporaryDirectory directory;
  OtherAgent agent(directory.path() / "lock");
  ASSERT_TRUE(agent.up());
  kill(agent.pid, SIGSTOP);
  usleep(2'500'000);  // far longer than a runner may be silent
  kill(agent.pid, SIGCONT);
  usleep(1'500'000);
  EXPECT_GE(processes_with(agent.mark).size(), 2u);
}

}  // namespace
}  // namespace geres::host
