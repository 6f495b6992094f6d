// SPDX-License-Identifier: Apache-2.0
// What the host does when something is lost, away, cancelled or killed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <limits>
#include <set>
#include <sstream>

#include "host/data_lock.h"
#include "host/link/claim_loop.h"
#include "host/link/membership.h"
#include "host/link/remembered.h"
#include "host/outcome.h"
#include "host/resting.h"
#include "host_fixture_test.h"
#include "wire/job_channel.h"

namespace geres::host {
namespace {

using model::Outcome;
using test::FakeHub;
using test::HostTest;

// As if somebody cleaned up /tmp every few days.
TEST_F(HostTest, DirectoriesThatSomebodyRemovesAreMadeAnew) {
  const auto remove = [](const std::filesystem::path& place) {
    std::error_code busy;  // the host removes files at the same time
    while (std::filesystem::exists(place)) std::filesystem::remove_all(place, busy);
  };
  EXPECT_EQ(run("echo before > $GERES_RESULT").result, "before\n");
  remove(options.data / "work");
  const auto after = run("echo after > $GERES_RESULT");
  EXPECT_EQ(after.outcome, Outcome::finished) << after.error;
  EXPECT_EQ(after.result, "after\n");
  for (const char* cache : {"packages", "inputs"}) remove(options.data / cache);
  EXPECT_EQ(run("true").outcome, Outcome::finished);
  std::filesystem::remove(options.data / "host.lock");
  remove(options.data / "work");
  const auto none = run("true");
  EXPECT_EQ(none.outcome, Outcome::released) << "the place may be another host's by now";
}

// An earlier life left a runner that was stopped, so it never saw the end of its agent.
TEST_F(HostTest, ARunnerThatOutlivesItsAgentIsKilledBeforeTheHostReturns) {
  ::mkdir(options.data.c_str(), 0700);
  const pid_t left = ::fork();
  if (left == 0) {
    ::prctl(PR_SET_NAME, "geres-runner");
    for (;;) ::pause();
  }
  const auto stat = read_file("/proc/" + std::to_string(left) + "/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 1));
  std::string started;
  for (int field = 3; field <= 22; ++field) fields >> started;
  replace_file(options.data / "host.lock", "1073741823 1\n" + std::to_string(left) + " " + started + "\n", 0600);
  options.lock_wait_ms = 100;
  start();
  int status = 0;
  ASSERT_EQ(::waitpid(left, &status, WNOHANG), left) << "it is dead when the host has its lock";
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_EQ(run("true").outcome, Outcome::finished);
}

TEST_F(HostTest, AHubOfALaterVersionSaysMoreThanIsUnderstood) {
  hub.locked([&] {
    hub.protocol = wire::kProtocol + 1;
    hub.news = R"(,"colour":"red")";
  });
  EXPECT_EQ(run("true").outcome, Outcome::finished);
  EXPECT_EQ(hub.locked([&] { return hub.protocols_said; }), std::vector{std::to_string(wire::kProtocol)});
}

TEST(Membership, AHubThatSaysNoProtocolIsOfTheFirst) {
  const auto told = [](const std::string& more) {
    HubAnswer answer;
    answer.status = 201;
    answer.body = R"({"id":"a","secret":"b","reportSeconds":0.5)" + more + "}";
    return membership(answer).value();
  };
  EXPECT_EQ(told("").report_ms, 500);
  EXPECT_FALSE(told("").takes_health());
  EXPECT_FALSE(told(R"(,"protocol":1)").takes_files_left_out());
  EXPECT_TRUE(told(R"(,"protocol":2)").takes_files_left_out());
  EXPECT_TRUE(told(R"(,"protocol":2)").takes_health());
  EXPECT_EQ(told(R"(,"protocol":3)").protocol, wire::kProtocol);
}

// ---- a copy of its data

TEST_F(HostTest, ACopyOfItsDataIsAnotherHost) {
  const auto copy = options.data.string() + "-copy";
  std::filesystem::create_directories(options.data);
  EXPECT_EQ(remembered_id(options.data), "");
  remember_id(options.data, "id-1");
  EXPECT_EQ(remembered_id(options.data), "id-1");
  std::filesystem::copy(options.data, copy, std::filesystem::copy_options::recursive);
  EXPECT_EQ(remembered_id(copy), "");
  const auto moved = options.data.string() + "-moved";
  std::filesystem::rename(options.data, moved);
  EXPECT_EQ(remembered_id(moved), "id-1") << "moved is not copied";
  replace_file(std::filesystem::path(copy) / "host.json", R"({"id":"id-2"})", 0600);
  EXPECT_EQ(remembered_id(copy), "id-2") << "0.1.0 wrote no more than this";
  for (const auto& each : {copy, moved}) std::filesystem::remove_all(each);
}

// In a copy of the data the lock names the agent and the runner of the original host.
TEST_F(HostTest, ACopysLockEndsNobodysRunner) {
  const auto copy = options.data.string() + "-copy";
  std::filesystem::create_directories(options.data);
  const pid_t left = ::fork();
  if (left == 0) {
    ::prctl(PR_SET_NAME, "geres-runner");
    for (;;) ::pause();
  }
  auto lock = lock_data(options.data, 100);
  ASSERT_TRUE(lock);
  note_runner(*lock, left);
  std::filesystem::copy(options.data, copy, std::filesystem::copy_options::recursive);
  EXPECT_TRUE(lock_data(copy, 100));
  EXPECT_EQ(::waitpid(left, nullptr, WNOHANG), 0) << "it lives";
  ::kill(left, SIGKILL);
  ::waitpid(left, nullptr, 0);
  std::filesystem::remove_all(copy);
}

TEST_F(HostTest, ALostFetchAnswerIsAskedForAgain) {
  hub.drop_fetch_answers = 1;
  const auto after = run("true");
  EXPECT_EQ(after.outcome, Outcome::finished) << after.error;
  const auto fetches = hub.locked([&] { return hub.fetches; });
  std::map<std::string, int> times;
  for (const auto& fetch : fetches) ++times[fetch.fetchId];
  EXPECT_EQ(std::count_if(times.begin(), times.end(), [](const auto& t) { return t.second == 2; }), 1);
}

// The fetch's connection has died without a sign. That a report got through shows that it is time to ask again.
TEST_F(HostTest, AFetchThatHangsIsSentAgainWhenTheHubIsBack) {
  hub.deaf_fetch = 2;
  hub.drop_report_answers = 1'000;
  EXPECT_EQ(run("sleep 1").outcome, Outcome::finished);
  ASSERT_TRUE(hub.await([&] { return !host->status().connected; }));
  hub.locked([&] { hub.drop_report_answers = 0; });
  const Millis before = SystemClock().monotonic();
  EXPECT_EQ(run("true").outcome, Outcome::finished);
  EXPECT_LT(SystemClock().monotonic() - before, 15'000) << "not only when the call's time is over, after 30 s";
}

// A claim loop alone, against a hub.
struct Claims : testing::Test {
  ~Claims() override { link.stop(); }
  void begin() {
    link.start([this] { loop.pump(slots); });
    wire::RegisterHost host;
    host.name = "claims";
    host.slots = 8;
    HubCall call;
    call.path = "/v1/hosts";
    call.token = "host-token";
    call.body = json::write_text(host);
    link.post(
        [this, call] { link.send(call, [this](const HubAnswer& answer) { loop.begin(membership(answer).value()); }); });
  }
  void name(int n) {
    link.post([this, n] { slots = n; });
  }
  bool await_fetches(std::size_t n) {
    return hub.await([&] { return hub.fetches.size() >= n; });
  }
  SystemClock clock;
  FakeHub hub;
  HubLink link{{hub.url()}, clock};
  std::atomic<int> leases{0};
  int slots = 8;  // owned by the loop's thread
  ClaimLoop loop{link,
                 clock,
                 {.fetched = [this](const wire::Fetched& answer, Millis) { leases += int(answer.leases.size()); },
                  .heard = [](bool) {},
                  .gone = [] {},
                  .trouble = [](const Trouble&) {}}};
};

// The number to name changes (the host rests or drains) while an older call hangs: newer calls do not wait for it.
TEST_F(Claims, BehindALostCallOthersGoOn) {
  hub.deaf_fetch = 1;
  begin();
  ASSERT_TRUE(await_fetches(1));
  const Millis before = clock.monotonic();
  for (std::size_t n = 2; n <= 6; ++n) {  // the last one names all slots
    name(n % 2 == 0 ? 0 : 8);
    ASSERT_TRUE(await_fetches(n)) << n;
  }
  name(8);
  hub.add_script("true");
  ASSERT_TRUE(hub.await([&] { return leases == 1; }));
  EXPECT_LT(clock.monotonic() - before, 5'000) << "not only when the newest call's time is over, after 20 s";
}

TEST_F(Claims, AReplacedCallThatIsNotAnsweredIsSentAgain) {
  hub.deaf_fetch = 1;
  begin();
  ASSERT_TRUE(await_fetches(1));
  const auto lost = hub.locked([&] { return hub.fetches[0].fetchId; });
  name(0);
  const Millis before = clock.monotonic();
  ASSERT_TRUE(hub.await([&] {
    return std::count_if(hub.fetches.begin(), hub.fetches.end(), [&](const auto& f) { return f.fetchId == lost; }) == 2;
  }));
  EXPECT_LT(clock.monotonic() - before, 5'000) << "not only when its own time is over, after 30 s";
}

TEST_F(HostTest, ALeaseWhoseAnswerWasLostCountsFromTheFirstTry) {
  hub.ttl_ms = 20'000;
  hub.drop_fetch_answers = 1;
  hub.down_after_drop = true;
  hub.report_seconds = 100;
  start();
  ASSERT_TRUE(hub.await([&] { return !hub.fetches.empty(); }));
  lease = hub.add_script("sleep 100");
  ASSERT_TRUE(hub.await([&] { return hub.current.contains(lease); }));
  const Millis granted = SystemClock().monotonic();
  hub.set_down(true);
  ::usleep(2'500'000);  // too long for the same call to be worth a new lease
  hub.set_down(false);
  ASSERT_TRUE(hub.await([&] { return hub.fetches.back().wait.ms == 0 || hub.told[lease].started; }));
  ASSERT_TRUE(hub.await([&] { return hub.told[lease].started; }));
  EXPECT_LT(SystemClock().monotonic() - granted, 20'000);
  const auto asked = hub.locked([&] { return hub.fetches; });
  EXPECT_TRUE(std::any_of(asked.begin(), asked.end(), [&](const auto& f) { return f.slots == 0 && f.wait.ms == 0; }));
}

TEST_F(HostTest, WhoIsStoppedWhileItRegistersSaysGoodbye) {
  hub.hold_registration = true;
  start();
  ASSERT_TRUE(hub.await([&] { return hub.registered.size() == 1; }));
  host->request_stop(0);
  hub.let_go();
  EXPECT_TRUE(host->wait());
  EXPECT_TRUE(hub.locked([&] { return hub.left; }));
}

TEST_F(HostTest, ALostReportAnswerIsToldAgain) {
  hub.drop_report_answers = 1;
  start();
  lease = hub.add_script("echo x");
  ASSERT_TRUE(hub.await([&] { return hub.told[lease].finished.size() == 2; }));  // the second one is refused as stale
  EXPECT_EQ(told(lease).log.at("stdout"), "x\n");
  const auto after = run("true");
  EXPECT_EQ(after.outcome, Outcome::finished) << after.error;
}

TEST_F(HostTest, ALostLeaseIsKilledAtOnceAndNotTold) {
  options.grace_ms = 10'000;
  hub.report_seconds = 0.2;
  const auto alive = directory.path() / "alive";
  start();
  lease = hub.add_script("trap '' TERM; echo > " + alive.string() + "; while sleep 0.05; do :; done");
  ASSERT_TRUE(hub.await([&] { return hub.told[lease].started; }));
  hub.locked([&] { hub.current.clear(); });
  ASSERT_TRUE(hub.await(
      [&] { return !hub.reports.empty() && hub.reports.back().running.empty() && host->status().slots_busy == 0; }));
  EXPECT_TRUE(told(lease).finished.empty());
}

TEST_F(HostTest, AHostWithoutLeasesSaysNothingButItsFetch) {
  hub.report_seconds = 0.1;
  start();
  ASSERT_TRUE(hub.await([&] { return hub.fetches.size() == 2; })) << "the first waited for 2 s";
  EXPECT_LE(hub.locked([&] { return hub.reports.size(); }), 1u);
}

TEST_F(HostTest, EveryFetchNamesAllSlotsAndOneAJobIsEnough) {
  start();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(run("true").outcome, Outcome::finished);
  const auto fetches = hub.locked([&] { return hub.fetches; });
  EXPECT_LE(fetches.size(), 6u);
  for (const auto& fetch : fetches) EXPECT_EQ(fetch.slots, 2);
}

// The hub gives the slot of a lost lease to another job at once.
TEST_F(HostTest, WhileALostLeasesProcessesEndTheirSlotIsNotOffered) {
  hub.report_seconds = 0.1;
  start();
  lease = hub.add_script("sleep 100");
  ASSERT_TRUE(hub.await([&] { return hub.told[lease].started; }));
  hub.locked([&] { hub.current.clear(); });
  ASSERT_TRUE(hub.await(
      [&] { return std::any_of(hub.fetches.begin(), hub.fetches.end(), [](const auto& f) { return f.slots == 1; }); }));
  ASSERT_TRUE(hub.await([&] { return hub.fetches.back().slots == 2; })) << "once they have ended";
}

TEST_F(HostTest, AHubAwayForLessThanTheLeaseChangesNothing) {
  hub.ttl_ms = 4'000;
  start();
  lease = hub.add_script("sleep 1.5; echo done");
  ASSERT_TRUE(hub.await([&] { return hub.told[lease].started; }));
  hub.set_down(true);
  ::usleep(800'000);  // the length of the outage is the test
  hub.set_down(false);
  ASSERT_TRUE(hub.await_finished(lease));
  EXPECT_EQ(hub.finished(lease).outcome, Outcome::finished);
}

// A job that began then would be told to stop as soon as it ran.
TEST_F(HostTest, ALeaseOfWhichOnlyTheLastQuarterIsLeftIsGivenBackUnstarted) {
  hub.ttl_ms = 8'000;
  hub.drop_fetch_answers = 1;
  hub.down_after_drop = true;
  start();
  lease = hub.add_script("echo began");
  ASSERT_TRUE(hub.await([&] { return hub.drop_fetch_answers == 0; }));
  ::usleep(6'050'000);  // the length of the outage is the test
  std::size_t asked = 0;
  hub.locked([&] { asked = hub.fetches.size(); });
  hub.set_down(false);
  ASSERT_TRUE(hub.await([&] {
    return hub.fetches.size() > asked && hub.fetches.back().fetchId != hub.fetches[asked].fetchId;
  })) << "the answer to the repeated call was taken in";
  const auto next = hub.add_script("echo other");
  ASSERT_TRUE(hub.await_finished(next));
  hub.locked([&] { EXPECT_FALSE(hub.told[lease].started); });
}

TEST_F(HostTest, AHubAwayForLongerEndsTheAttemptBeforeItsLease) {
  hub.ttl_ms = 2'000;
  options.isolation = Isolation::none;  // the job writes outside of its workspace
  options.allow_root = true;
  const auto pulse = directory.path() / "pulse";
  start();
  // By a rename, because the kill may come between opening a file and writing to it.
  lease = hub.add_script("while :; do date +%s%N > " + pulse.string() + ".new; mv " + pulse.string() + ".new " +
                         pulse.string() + "; sleep 0.02; done");
  ASSERT_TRUE(hub.await([&] { return hub.told[lease].started; }));
  hub.set_down(true);
  const Millis lease_over = SystemClock().wall() + 2'000;
  ::usleep(2'600'000);
  const Millis last_pulse = std::stoll(read_file(pulse)) / 1'000'000;
  EXPECT_LT(last_pulse, lease_over);
  hub.locked([&] { hub.current.clear(); });
  hub.set_down(false);
  ASSERT_TRUE(hub.await_finished(lease));
  EXPECT_EQ(hub.finished(lease).outcome, Outcome::released);
}

TEST_F(HostTest, ACancelStopsWhatRunsAndWhatIsBeingPrepared) {
  start();
  lease = hub.add_script("sleep 100");
  ASSERT_TRUE(hub.await([&] { return hub.told[lease].started; }));
  hub.cancel(lease);
  ASSERT_TRUE(hub.await_finished(lease));
  EXPECT_EQ(hub.finished(lease).outcome, Outcome::cancelled);

  hub.locked([&] { hub.hold_downloads = true; });
  const std::string early = hub.add_script("echo never");
  ASSERT_TRUE(hub.await([&] { return hub.current.contains(early); }));
  hub.cancel(early);
  ASSERT_TRUE(hub.await_finished(early));
  EXPECT_EQ(hub.finished(early).outcome, Outcome::cancelled);
  hub.let_go();
  EXPECT_FALSE(told(early).started);
}

TEST_F(HostTest, DrainingTakesNothingNewAndFinishesWhatRuns) {
  start();
  lease = hub.add_script("sleep 0.5");
  ASSERT_TRUE(hub.await([&] { return hub.told[lease].started; }));
  hub.set_mode(model::HostMode::drain);
  ASSERT_TRUE(hub.await([&] { return !hub.fetches.empty() && hub.fetches.back().slots == 0; }));
  ASSERT_TRUE(hub.await_finished(lease));
  EXPECT_EQ(hub.finished(lease).outcome, Outcome::finished);
  hub.set_mode(model::HostMode::run);
  const auto after = run("true");
  EXPECT_EQ(after.outcome, Outcome::finished) << after.error;
}

TEST_F(HostTest, AGracefulStopLetsShortJobsFinishAndGivesLongOnesBack) {
  start();
  const std::string brief = hub.add_script("sleep 0.3"), long_ = hub.add_script("sleep 100");
  ASSERT_TRUE(hub.await([&] { return hub.told[brief].started && hub.told[long_].started; }));
  host->stop(800);
  EXPECT_EQ(hub.finished(brief).outcome, Outcome::finished);
  EXPECT_EQ(hub.finished(long_).outcome, Outcome::released);
  EXPECT_TRUE(hub.locked([&] { return hub.left; }));
  EXPECT_TRUE(host->wait());
}

TEST_F(HostTest, ASecondStopHastens) {
  start();
  lease = hub.add_script("sleep 100");
  ASSERT_TRUE(hub.await([&] { return hub.told[lease].started; }));
  const Millis began = SystemClock().monotonic();
  host->request_stop(60'000);
  host->stop(0);
  EXPECT_LT(SystemClock().monotonic() - began, 5'000);
  EXPECT_EQ(hub.finished(lease).outcome, Outcome::released);
}

TEST_F(HostTest, AStopWithoutAHubEndsAnyway) {
  start();
  lease = hub.add_script("sleep 100");
  ASSERT_TRUE(hub.await([&] { return hub.told[lease].started; }));
  hub.set_down(true);
  const Millis began = SystemClock().monotonic();
  host->stop(60'000);
  EXPECT_LT(SystemClock().monotonic() - began, 8'000);
}

TEST_F(HostTest, WhileArtifactsGoUpTheLeaseIsKeptAndTheEndIsNotTold) {
  hub.report_seconds = 0.1;
  hub.hold_uploads = true;
  start();
  lease = hub.add_script("echo x > $GERES_OUTPUT_DIR/a");
  const auto renewals = [&] {
    return std::count_if(hub.reports.begin(), hub.reports.end(),
                         [&](const wire::Report& report) { return report.running == std::vector<std::string>{lease}; });
  };
  ASSERT_TRUE(hub.await([&] { return hub.told[lease].started && renewals() > 5; }));
  EXPECT_TRUE(told(lease).finished.empty());
  hub.let_go();
  ASSERT_TRUE(hub.await_finished(lease));
  EXPECT_EQ(told(lease).files_at_finish.at("a"), "x\n");
}

TEST_F(HostTest, ALongLogIsToldWholeAndBeforeTheEnd) {
  const auto item = run("seq 300000");
  EXPECT_EQ(item.outcome, Outcome::finished);
  std::string all;
  for (int i = 1; i <= 300000; ++i) all += std::to_string(i) + "\n";
  EXPECT_TRUE(told(lease).log.at("stdout") == all);
  const auto reports = hub.locked([&] { return hub.reports; });
  const auto end = std::find_if(reports.begin(), reports.end(), [](const auto& r) { return !r.finished.empty(); });
  for (auto after = end + 1; after < reports.end(); ++after) EXPECT_TRUE(after->log.empty());
}

TEST_F(HostTest, AnEndThatTheHubRefusesHoldsUpNoOther) {
  hub.poison = "bad";
  start();
  const std::string good = hub.add_script("echo good; sleep 0.1");
  lease = hub.add_script("printf bad > $GERES_RESULT; echo log; sleep 0.1");
  ASSERT_TRUE(hub.await_finished(good));
  ASSERT_TRUE(hub.await_finished(lease));
  EXPECT_EQ(hub.finished(good).outcome, Outcome::finished);
  EXPECT_EQ(hub.finished(lease).outcome, Outcome::failed);
  EXPECT_EQ(hub.finished(lease).error, "the hub refused the report of how it ended");
}

std::vector<pid_t> children() {
  std::vector<pid_t> pids;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    const std::string text = read_file_if(task.path() / "children").value_or("");
    for (std::size_t at = 0; at < text.size(); at = text.find(' ', at) + 1) {
      pids.push_back(std::atoi(text.c_str() + at));
      if (text.find(' ', at) == std::string::npos) break;
    }
  }
  return pids;
}

// The options ask for more than the machine allows, so the machine's own limits apply; the host runs all the same.
TEST_F(HostTest, LimitsThatTheMachineDoesNotAllowAreTheMachinesOwn) {
  rlimit own{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &own), 0);
  options.run_limits.openFiles = std::int64_t(own.rlim_max) + 1;
  options.run_limits.processes = std::int64_t(1) << 40;
  options.run_limits.fileBytes = std::numeric_limits<std::int64_t>::max();
  start();
  const auto item = run("ulimit -Hn");
  EXPECT_EQ(item.outcome, Outcome::finished) << item.error;
  EXPECT_EQ(item.result, std::to_string(own.rlim_max) + "\n");
}

TEST(Resting, IsLongerEachTimeUntilAJobStarts) {
  Resting resting;
  EXPECT_FALSE(resting.rests(0));
  EXPECT_EQ(resting.could_not_start("a", 10'000), 1'000);
  EXPECT_EQ(resting.could_not_start("b", 10'400), 600) << "one trouble that two attempts had";
  EXPECT_TRUE(resting.rests(10'999));
  EXPECT_FALSE(resting.rests(11'000));
  Millis now = 11'000;
  for (const Millis pause : {2'000, 4'000, 8'000, 16'000, 32'000, 60'000, 60'000}) {
    EXPECT_EQ(resting.could_not_start("a", now), pause);
    now += pause;
  }
  resting.started("b");
  EXPECT_EQ(resting.could_not_start("c", now), 1'000);
}

TEST(Resting, AJobThatNeverStartsIsALossAfterADay) {
  Resting resting;
  resting.could_not_start("a", 0);
  EXPECT_FALSE(resting.is_hopeless("a", Resting::kHopeless));
  EXPECT_TRUE(resting.is_hopeless("a", Resting::kHopeless + 1));
  EXPECT_FALSE(resting.is_hopeless("b", Resting::kHopeless + 1));
  resting.started("a");
  EXPECT_FALSE(resting.is_hopeless("a", Resting::kHopeless + 1));
}

TEST(Resting, AJobThatIsTooLargeMakesItRestOnlyWhereItsHubKnowsNoPause) {
  Resting resting;
  EXPECT_TRUE(resting.was_too_large("a", 0));
  EXPECT_TRUE(resting.was_too_large("b", 10));
  EXPECT_TRUE(resting.was_too_large("a", 1'000));
  EXPECT_TRUE(resting.was_too_large("a", 3'000));
  EXPECT_FALSE(resting.was_too_large("a", 3'100));
  resting.started("a");
  EXPECT_TRUE(resting.was_too_large("a", 3'200));
}

// The disk has room for usual jobs. One that needs more is given back, and the next is run at once.
TEST_F(HostTest, AJobTooLargeForItsDiskGoesBackAndOthersRun) {
  std::filesystem::create_directories(options.data);
  if (::mount("tmpfs", options.data.c_str(), "tmpfs", 0, "size=100m,mode=0755") != 0)
    GTEST_SKIP() << "cannot mount here";
  start();
  const auto large = hub.add_script("true", [&](wire::LeaseGrant& grant) {
    const auto digest = hub.blob(std::string(120 << 20, 'x'));
    grant.inputs = {{"large", digest, "/blobs/" + digest}};
  });
  ASSERT_TRUE(hub.await_finished(large));
  EXPECT_EQ(hub.finished(large).outcome, Outcome::released);
  EXPECT_TRUE(hub.finished(large).error.starts_with(wire::kNoRoom)) << hub.finished(large).error;
  EXPECT_EQ(run("true").outcome, Outcome::finished);
  const auto rested = hub.locked([&] {
    return std::any_of(hub.reports.begin(), hub.reports.end(), [](const auto& report) { return bool(report.health); });
  });
  EXPECT_FALSE(rested);
  host.reset();
  ::umount2(options.data.c_str(), MNT_DETACH);
}

TEST_F(HostTest, WhereNothingMayBeExecutedItDoesNotServe) {
  std::filesystem::create_directories(options.data);
  if (::mount("tmpfs", options.data.c_str(), "tmpfs", MS_NOEXEC, "size=4m") != 0) GTEST_SKIP() << "cannot mount here";
  const auto prepared = JobHost::prepare(options);
  ::umount2(options.data.c_str(), MNT_DETACH);
  ASSERT_FALSE(prepared);
  EXPECT_NE(prepared.error().message.find("noexec"), std::string::npos) << prepared.error().message;
  EXPECT_EQ(prepared.error().field, "data");
}

TEST_F(HostTest, FilesOfAnAttemptThatWasStoppedAreKept) {
  start();
  const std::string script =
      "echo half > $GERES_OUTPUT_DIR/checkpoint; trap 'echo told > $GERES_OUTPUT_DIR/last; exit 0' TERM; echo now > "
      "$GERES_PROGRESS; while :; do sleep 0.05; done";
  const auto slow = run(script, [](wire::LeaseGrant& grant) { grant.timeoutMs = 3'000; });
  EXPECT_EQ(slow.outcome, Outcome::timeout) << slow.error;
  EXPECT_GE(slow.files.size(), 1u);
  lease = hub.add_script(script);
  ASSERT_TRUE(hub.await([&] { return !hub.told[lease].progress.empty(); }));
  hub.cancel(lease);
  ASSERT_TRUE(hub.await_finished(lease));
  EXPECT_EQ(hub.finished(lease).outcome, Outcome::cancelled);
  EXPECT_EQ(hub.finished(lease).files.size(), 2u);
}

// What its host broke costs the job nothing, and the host takes no jobs for a while.
TEST_F(HostTest, AJobThatCouldNotStartIsGivenBackAndItsHostRests) {
  start();
  EXPECT_EQ(run("echo well").result, "well\n");
  const auto work = options.data / "work";
  const auto away = options.data / "away";
  std::filesystem::rename(work, away);
  std::ofstream(work) << "no directory";
  const auto broken = run("echo never");
  EXPECT_EQ(broken.outcome, Outcome::released) << broken.error;
  EXPECT_NE(broken.error.find("not started"), std::string::npos) << broken.error;
  std::filesystem::remove(work);
  std::filesystem::rename(away, work);
  EXPECT_EQ(run("echo well again").result, "well again\n");
}

TEST_F(HostTest, ADeadRunnersJobsAreGivenBackAndANewOneIsStarted) {
  start();
  lease = hub.add_script("sleep 100");
  ASSERT_TRUE(hub.await([&] { return hub.told[lease].started; }));
  const auto before = children();
  ASSERT_EQ(before.size(), 1u);
  ::kill(before[0], SIGKILL);
  ASSERT_TRUE(hub.await_finished(lease));
  EXPECT_EQ(hub.finished(lease).outcome, Outcome::lost);
  EXPECT_EQ(run("echo again").result, "again\n");
}

TEST_F(HostTest, ARunnerThatKeepsDyingEndsTheHost) {
  start();
  auto ended = std::async(std::launch::async, [&] { return host->wait(); });
  std::set<pid_t> killed;
  const Millis patience = SystemClock().monotonic() + 20'000;
  while (ended.wait_for(std::chrono::milliseconds(5)) != std::future_status::ready) {
    ASSERT_LT(SystemClock().monotonic(), patience);
    for (const pid_t pid : children())
      if (killed.insert(pid).second) ::kill(pid, SIGKILL);
  }
  const auto result = ended.get();
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("runner"), std::string::npos);
}

TEST_F(HostTest, ABrokenLibraryIsThePackagesFault) {
  start();
  lease = hub.add_job(hub.package({{"geres.json", R"({"jobs": {"T": {"library": "libx.so"}}})"}, {"libx.so", "none"}}));
  ASSERT_TRUE(hub.await_finished(lease));
  EXPECT_EQ(hub.finished(lease).outcome, Outcome::package);
}

TEST_F(HostTest, AttemptsLeaveNothingBehind) {
  EXPECT_EQ(
      run("echo out; mkdir -p x/y; touch x/y/z ../u ../../v; chmod 0 x .; touch $TMPDIR/t; echo r > $GERES_RESULT")
          .outcome,
      Outcome::finished);
  ASSERT_TRUE(hub.await([&] { return hub.current.empty(); }));
  host->stop(0);
  for (const auto& item : std::filesystem::recursive_directory_iterator(options.data / "work"))
    EXPECT_TRUE(item.is_directory() || (item.path().filename() == "job.json" && item.file_size() == 0)) << item.path();
}

TEST_F(HostTest, ADirectoryUsedAgainIsFreshAndEmpty) {
  options.slots = 1;
  for (int i = 0; i < 6; ++i) {
    const auto item =
        run("ls -A . $GERES_OUTPUT_DIR $TMPDIR .. | grep -v -e '^$' -e : -e work -e out -e tmp; test -e $GERES_RESULT "
            "&& exit 5; "
            "grep -c T $GERES_JOB_FILE; echo a > a; echo b > ../tmp/b; ln -s / ../out/c; chmod 500 .");
    EXPECT_EQ(item.outcome, Outcome::finished) << item.error;
    EXPECT_EQ(item.result, "1\n");
  }
  EXPECT_EQ(run("rmdir ../tmp; ln -s / ../tmp; echo x").result, "x\n");
  EXPECT_EQ(run("touch $TMPDIR/y; echo x").result, "x\n");
  EXPECT_FALSE(std::filesystem::exists("/y"));
}

TEST(Outcome, TheLoadersExitCodesMeanMoreThanACommands) {
  wire::RunResult run;
  const auto outcome = [&](int code, bool library) {
    run.exitCode = code;
    return judge("l", run, {library, 0}).outcome;
  };
  EXPECT_EQ(outcome(wire::kExitPackage, true), Outcome::package);
  EXPECT_EQ(outcome(wire::kExitType, true), Outcome::type);
  EXPECT_EQ(outcome(wire::kExitLoader, true), Outcome::lost);
  EXPECT_EQ(outcome(wire::kExitPackage, false), Outcome::failed);
  EXPECT_EQ(outcome(wire::kExitAborted, true), Outcome::aborted);
  run.end = wire::RunEnd::cancelled;
  EXPECT_EQ(outcome(0, false), Outcome::cancelled);
  run.end = wire::RunEnd::leaseExpired;
  EXPECT_EQ(outcome(0, false), Outcome::released);
}

}  // namespace
}  // namespace geres::host
