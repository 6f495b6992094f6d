// SPDX-License-Identifier: Apache-2.0
// Users' policies that work, and each way in which one can fail to.
#include "scaler/policy_helper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/process.h"

namespace geres::scaler {
namespace {

using ::testing::HasSubstr;

class PolicyHelperTest : public ::testing::Test {
 protected:
  // Nobody, as whom policies run under root, must be able to reach it.
  PolicyHelperTest() { ::chmod(temporary_.path().c_str(), 0755); }

  TemporaryDirectory temporary_;
  SystemClock clock_;
  std::unique_ptr<Decider> helper_;

  void make(const std::string& policy, json::object settings) {
    Pool pool;
    pool.name = "cpu", pool.policy = policy;
    pool.policy_settings = std::move(settings);
    helper_ = std::move(make_decider(pool, GERES_POLICY_PROGRAM, clock_).value());
  }
  void library(const std::string& name, const std::string& how, const char* time = "10s") {
    make("library", {{"library", TEST_POLICIES_DIR "/" + name + ".so"}, {"how", how}, {"policyTimeout", time}});
  }
  void command(const std::string& text, const char* time = "10s") {
    const auto path = temporary_.path() / "policy";
    std::ofstream(path) << "#!/bin/sh\n" << text;
    ::chmod(path.c_str(), 0755);
    make("command", {{"command", json::array{json::value(path.string())}}, {"policyTimeout", time}});
  }

  Result<policy::Wanted> decide(std::int64_t jobs = 3) {
    policy::Load load;
    load.now = 1'800'000'000'000;
    load.demand.runnable.jobs = jobs;
    return helper_->decide(load);
  }
  std::string why(std::int64_t jobs = 3) {
    const auto wanted = decide(jobs);
    return wanted ? "hosts " + std::to_string(wanted->hosts) : wanted.error().message;
  }
  pid_t pid() const { return static_cast<PolicyHelper&>(*helper_).pid(); }
};

TEST_F(PolicyHelperTest, AsksALibraryInAProcessOfItsOwn) {
  library("misbehaving", "");
  EXPECT_EQ(decide(3)->hosts, 3);
  EXPECT_EQ(decide(3)->reason, "one each");
  const auto first = pid();
  EXPECT_EQ(decide(5)->hosts, 5);
  EXPECT_EQ(pid(), first) << "the same one for all";
  const auto status = read_file("/proc/" + std::to_string(first) + "/status");
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
  if (::geteuid() == 0) {
    EXPECT_THAT(status, HasSubstr("Uid:\t65534\t65534"));
  }
  EXPECT_EQ(read_file("/proc/" + std::to_string(first) + "/environ"), "");
  helper_.reset();
  EXPECT_FALSE(process_named(first));
}

TEST_F(PolicyHelperTest, AsksTheExample) {
  make("library", {{"library", EXAMPLES_LIB_DIR "/growing_reserve.so"}, {"reserve", 0.5}});
  policy::Load load;
  load.pool.slots = 4;
  load.demand.runnable.slots = 40;
  EXPECT_EQ(helper_->decide(load)->hosts, 15);
  load.demand.arrivals_per_second_1m = 1;
  EXPECT_EQ(helper_->decide(load)->hosts, 20);
  EXPECT_EQ(helper_->decide(load)->reason, "10 hosts of work, 10 in reserve");
}

TEST_F(PolicyHelperTest, PassesOnWholeNumbersWhateverTheyAre) {
  library("misbehaving", "minus");
  EXPECT_EQ(decide()->hosts, -5);
  library("misbehaving", "billion");
  EXPECT_EQ(decide()->hosts, 1'000'000'000);
  library("misbehaving", "chatter");
  EXPECT_EQ(decide()->hosts, 3) << "what it prints is no answer";
}

TEST_F(PolicyHelperTest, SurvivesLibrariesThatMisbehave) {
  const std::pair<const char*, const char*> cases[] = {{"crash", "killed by signal 11"},
                                                       {"exit", "ended with exit code 0"},
                                                       {"throw", "no idea"},
                                                       {"throw 5", "an exception of an unknown kind"},
                                                       {"refuse", "I do not like these settings"},
                                                       {"long", "the reason is too long"}};
  for (const auto& [how, text] : cases) {
    library("misbehaving", how);
    EXPECT_THAT(why(), HasSubstr(text)) << how;
    EXPECT_THAT(why(), HasSubstr("started again soon")) << how;
    EXPECT_EQ(pid(), 0);
  }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  library("misbehaving", "memory");
  EXPECT_THAT(why(), HasSubstr("bad_alloc"));
#endif
}

TEST_F(PolicyHelperTest, EndsWhatTakesTooLong) {
  for (const char* how : {"hang", "spin"}) {
    library("misbehaving", how, "200ms");
    EXPECT_THAT(why(), HasSubstr("it took longer than 200ms")) << how;
    EXPECT_EQ(pid(), 0);
  }
}

TEST_F(PolicyHelperTest, SaysWhatIsNoPolicy) {
  library("absent", "");
  EXPECT_THAT(why(), HasSubstr("cannot open shared object file"));
  library("later", "");
  EXPECT_THAT(why(), HasSubstr("built for policy interface 2, this is 1"));
  make("library", {{"library", "libm.so.6"}});
  EXPECT_THAT(why(), HasSubstr("this is no policy library"));
  Pool pool;
  pool.policy = "library";
  EXPECT_EQ(make_decider(pool, GERES_POLICY_PROGRAM, clock_).error().field, "/library");
  pool.policy = "command";
  EXPECT_EQ(make_decider(pool, GERES_POLICY_PROGRAM, clock_).error().field, "/command");
}

TEST_F(PolicyHelperTest, AsksAProgramThatSpeaksJsonLines) {
  command(
      "while read -r line; do echo \"$line\" | grep -q '\"jobs\":7' && echo '{\"hosts\": 8, \"reason\": \"seven and "
      "one\"}' || echo '{\"hosts\": 0}'; done");
  EXPECT_EQ(decide(7)->hosts, 8);
  EXPECT_EQ(decide(7)->reason, "seven and one");
  EXPECT_EQ(decide(6)->hosts, 0);
}

TEST_F(PolicyHelperTest, SurvivesProgramsThatMisbehave) {
  const std::pair<const char*, const char*> cases[] = {
      {"read line; echo NaN", "this is no answer: NaN"},
      {"read line; echo '{\"hosts\": \"NaN\"}'", "this is no answer"},
      {"read line; echo '{\"hosts\": 2.5}'", "this is no answer"},
      {"read line; echo '{\"hosts\": 1e99}'", "this is no answer"},
      {"read line; echo '{\"hosts\": null}'", "this is no answer"},
      {"read line; echo '[]'", "this is no answer"},
      {"read line; printf '\\377\\376\\n'", "this is no answer"},
      {"read line; echo", "this is no answer"},
      {"exit 0", "ended with exit code 0"},
      {"exit 3", "ended with exit code 3"},
      {"read line; kill -SEGV $$", "killed by signal 11"},
      {"yes | tr -d '\\n'", "its answer is too long"},
      {"read line; echo '{\"error\": \"not today\"}'; sleep 1000", "not today"}};
  for (const auto& [text, expected] : cases) {
    command(text);
    EXPECT_THAT(why(), HasSubstr(expected)) << text;
  }
  command("sleep 1000", "200ms");
  EXPECT_THAT(why(), HasSubstr("longer than 200ms"));
  command("read line; echo '{\"hosts\": 1}'; echo '{\"hosts\": 2}'; cat");
  EXPECT_EQ(why(), "hosts 1");
  make("command", {{"command", json::array{"/absent/policy"}}});
  EXPECT_THAT(why(), HasSubstr("No such file"));
}

TEST_F(PolicyHelperTest, IsStartedAgainAfterAPause) {
  ManualClock clock;
  Pool pool;
  pool.name = "cpu", pool.policy = "command";
  const auto path = temporary_.path() / "policy";
  const auto write = [&](const char* text) {
    std::ofstream(path) << "#!/bin/sh\n" << text;
    ::chmod(path.c_str(), 0755);
  };
  write("exit 1");
  pool.policy_settings = {{"command", json::array{json::value(path.string())}}};
  helper_ = std::move(make_decider(pool, GERES_POLICY_PROGRAM, clock).value());
  EXPECT_FALSE(decide());
  write("read line; echo '{\"hosts\": 4}'; cat");
  EXPECT_THAT(why(), HasSubstr("started again soon"));
  clock.advance(1'000);
  EXPECT_EQ(decide()->hosts, 4);
}

}  // namespace
}  // namespace geres::scaler
