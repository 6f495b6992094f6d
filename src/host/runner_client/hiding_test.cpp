// SPDX-License-Identifier: Apache-2.0
// Every way to hide that we know of, against each containment that this machine and user allow: a cancel reaches all
// processes, and nothing is left. The time it took is printed and recorded; the bound that is tested leaves room for a
// busy machine.
#include <algorithm>

#include "host/runner_client/test_host.h"

namespace geres::host {
namespace {

using wire::Containment;
using wire::RunEnd;

constexpr Millis kGraceMs = 50;
constexpr Millis kBoundMs = 15'000;  // the promise is 2 s and the grace

// Living processes of that name, including those whose first thread has ended while others go on.
std::vector<pid_t> processes_named(const std::string& name) {
  std::vector<pid_t> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    const std::string stat = read_of_process(entry.path() / "stat");
    const auto end = stat.rfind(')');
    if (end == std::string::npos || stat.find("(" + name + ")") == std::string::npos) continue;
    const bool dead = stat[end + 2] == 'Z' || stat[end + 2] == 'X';
    const std::string status = dead ? read_of_process(entry.path() / "status") : "";
    if (!dead || (status.find("Threads:\t1\n") == std::string::npos && !status.empty())) found.push_back(pid);
  }
  return found;
}

class Hiding : public testing::TestWithParam<std::tuple<Containment, const char*>> {};

INSTANTIATE_TEST_SUITE_P(Each, Hiding,
                         testing::Combine(testing::Values(Containment::cgroup2, Containment::freezer,
                                                          Containment::pidns, Containment::bestEffort),
                                          testing::Values("orphans", "group", "session", "stopped", "traced", "threads",
                                                          "leader", "vfork", "namespace", "chain")),
                         [](const auto& which) {
                           return std::string(boost::describe::enum_to_string(std::get<0>(which.param), "?")) + "_" +
                                  std::get<1>(which.param);
                         });

TEST_P(Hiding, IsOfNoUse) {
  const auto [kind, way] = GetParam();
  TestHost host;
  RunnerClient::Options options;
  options.containment = kind;
  if (!host.launch(options)) GTEST_SKIP() << "refused by this machine: " << host.refused;
  const std::string name = "hide-" + random_hex(4);
  host.client->start(host.spec("a", {GERES_HIDEAWAY, way, name}));
  ASSERT_TRUE(eventually([&] { return host.output("a") == "up\n" || host.results.contains("a"); }));
  if (host.output("a") != "up\n") GTEST_SKIP() << way << " is not possible here";
  EXPECT_FALSE(processes_named(name).empty());

  const Millis asked = now();
  host.client->stop("a", kGraceMs, wire::StopReason::cancel);
  const auto result = host.result("a", kBoundMs);
  const Millis took = now() - asked;
  EXPECT_EQ(result.end, RunEnd::cancelled);
  EXPECT_TRUE(result.killed);
  EXPECT_EQ(processes_named(name).size(), 0u);
  EXPECT_EQ(host.output("a"), "up\n");
  RecordProperty("ms", int(took - kGraceMs));
  std::printf("gone %lld ms after the grace\n", static_cast<long long>(took - kGraceMs));
  EXPECT_EQ(host.run(host.shell("b", "exit 5")).exitCode, 5) << "the slot can be used again";
}

// The same when the job ends by itself and leaves processes behind.
TEST_P(Hiding, AfterItsEndIsOfNoUseEither) {
  const auto [kind, way] = GetParam();
  TestHost host;
  RunnerClient::Options options;
  options.containment = kind;
  if (!host.launch(options)) GTEST_SKIP() << "refused by this machine: " << host.refused;
  const std::string name = "hide-" + random_hex(4);
  const std::string program = GERES_HIDEAWAY;
  host.client->start(host.shell("a", program + " " + way + " " + name +
                                         " > up & while ! [ -s up ] && kill -0 $! 2>/dev/null; do sleep 0.02; done"));
  const auto result = host.result("a", kBoundMs);
  EXPECT_EQ(result.end, RunEnd::exited);
  EXPECT_EQ(processes_named(name).size(), 0u);
  EXPECT_EQ(host.run(host.shell("b", "exit 5")).exitCode, 5);
}

}  // namespace
}  // namespace geres::host
