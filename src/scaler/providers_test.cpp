// SPDX-License-Identifier: Apache-2.0
// Hooks that behave and hooks that do not, and hosts on this machine, which here are small scripts.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "scaler/command_provider.h"
#include "scaler/local_provider.h"

namespace geres::scaler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Until it is so, or a deadline, which only a broken thing reaches.
template <class F>
bool comes_true(const F& fact) {
  for (int i = 0; i < 2'000; ++i) {
    if (fact()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

class Providers : public ::testing::Test {
 protected:
  TemporaryDirectory temporary_;
  Pool pool_;
  Join join_{"http://hub:8080", {}, temporary_.path() / "data", ""};

  Providers() { pool_.name = "cpu"; }

  std::string script(const std::string& name, const std::string& text) {
    const auto path = temporary_.path() / name;
    std::ofstream(path) << "#!/bin/sh\n" << text;
    ::chmod(path.c_str(), 0755);
    return path.string();
  }
  std::string file(const std::string& name) { return (temporary_.path() / name).string(); }
  std::string content(const std::string& name) { return read_file_if(file(name)).value_or(""); }
};

// ---- command --------------------------------------------------------------------------------------------------------

class CommandTest : public Providers {
 protected:
  std::unique_ptr<Provider> hook(const std::string& text, const std::string& settings = "{}") {
    pool_.provider = "command";
    pool_.provider_settings = json::parse(settings).value().as_object();
    pool_.provider_settings["command"] = json::array{json::value(script("hook", text))};
    return std::move(make_provider(pool_, join_).value());
  }
};

TEST_F(CommandTest, PassesOnWhatItIsAskedAndTold) {
  ::setenv("GERES_SECRET_OF_THE_SCALER", "x", 1);
  pool_.what = {3, 1 << 20, {{"zone", "a"}}, {"thumbnail"}, {"acme"}};
  const auto provider = hook("cat > " + file("in") + R"(
env > )" + file("env") + R"(
echo "$1" > )" + file("verb") + R"(
case $1 in
list) echo '{"machines": [{"instance": "i1", "state": "running", "request": "r1", "createdAt": "2026-11-30T10:00:00Z", "zone": "a", "more": 1},
                          {"instance": "i2", "state": "failed", "reason": "no disk"}]}';;
order) echo '{"instances": ["i3", "i4"], "accepted": 3, "refusal": {"why": "quota", "retryAfter": "5m", "text": "no more"}}';;
*) echo '{"instances": [{"instance": "i1"}, {"instance": "i2", "outcome": "notFound"}, {"instance": "i3", "outcome": "failed", "text": "stuck"}]}';;
esac)",
                             R"({"env": {"REGION": "north"}})");
  const auto machines = provider->list().value();
  ASSERT_THAT(machines, SizeIs(2));
  EXPECT_EQ(machines[0].request, "r1");
  EXPECT_EQ(format_time(machines[0].created_at), "2026-11-30T10:00:00.000Z");
  EXPECT_EQ(machines[1].state, MachineState::failed);
  EXPECT_EQ(machines[1].reason, "no disk");
  EXPECT_EQ(content("verb"), "list\n");
  EXPECT_THAT(content("env"),
              ::testing::AllOf(HasSubstr("REGION=north"), HasSubstr("GERES_POOL=cpu"), Not(HasSubstr("GERES_SECRET"))));

  const auto ordered = provider->order({"r2", 4, "secret"}).value();
  EXPECT_THAT(ordered.instances, ElementsAre("i3", "i4"));
  EXPECT_EQ(ordered.accepted, 3);
  EXPECT_EQ(ordered.refusal->why, Why::quota);
  EXPECT_EQ(ordered.refusal->retry_after, 300'000);
  EXPECT_THAT(content("env"), ::testing::AllOf(HasSubstr("GERES_REQUEST=r2"), Not(HasSubstr("secret"))));
  const auto in = json::parse(content("in")).value().as_object();
  EXPECT_EQ(in.at("joinToken").as_string(), "secret");
  EXPECT_EQ(in.at("request").as_string(), "r2");
  EXPECT_EQ(in.at("count").as_int64(), 4);
  EXPECT_EQ(boost::json::serialize(in.at("template")),
            R"({"slots":3,"memory":1048576,"labels":{"zone":"a"},"types":["thumbnail"],"tenants":["acme"]})");

  const std::vector<std::string> names{"i1", "i2", "i3"};
  const auto removed = provider->remove(names, "r3").value();
  ASSERT_THAT(removed, SizeIs(3));
  EXPECT_EQ(removed[0].outcome, Removed::Outcome::removed);
  EXPECT_EQ(removed[1].outcome, Removed::Outcome::not_found);
  EXPECT_EQ(removed[2].text, "stuck");
}

TEST_F(CommandTest, TakesExitCodesAsWhatTheyMean) {
  for (const auto& [code, why] : std::initializer_list<std::pair<int, Why>>{{75, Why::throttled},
                                                                            {69, Why::capacity},
                                                                            {77, Why::unauthorized},
                                                                            {1, Why::unknown},
                                                                            {127, Why::unknown}}) {
    const auto provider =
        hook("echo 'first' >&2; printf '\\033[31mthe cloud is full\\033[0m\\n\\n' >&2; exit " + std::to_string(code));
    const auto told = provider->order({"r", 1, "t"});
    ASSERT_FALSE(told) << code;
    EXPECT_EQ(told.error().why, why) << code;
    EXPECT_EQ(told.error().text, "the cloud is full") << code;
    EXPECT_FALSE(told.error().maybe_done);
  }
}

TEST_F(CommandTest, CannotBeRun) {
  pool_.provider = "command";
  pool_.provider_settings["command"] = json::array{json::value(file("absent"))};
  const auto provider = std::move(make_provider(pool_, join_).value());
  EXPECT_EQ(provider->list().error().why, Why::invalid);
  pool_.provider_settings = {};
  EXPECT_EQ(make_provider(pool_, join_).error().field, "/command");
}

TEST_F(CommandTest, MistrustsNonsense) {
  for (const char* nonsense :
       {"true", "echo no", "echo '{}'", "echo '{\"instances\": 5}'", "echo '{\"instances\": [1]}'", "echo '[]'",
        "echo '{\"instances\": []}'; echo '{\"instances\": []}'", "printf '\\377\\376\\000'", "kill -9 $$",
        "kill -SEGV $$", "echo '{\"instances\": [\"a\"], \"refusal\": {\"why\": \"because\"}}'"}) {
    const auto told = hook(nonsense)->order({"r", 1, "t"});
    ASSERT_FALSE(told) << nonsense;
    EXPECT_EQ(told.error().why, Why::unknown) << nonsense;
    EXPECT_TRUE(told.error().maybe_done) << nonsense << ": the next list tells";
  }
}

TEST_F(CommandTest, EndsOneThatSleepsWithAllThatItStarted) {
  const auto provider = hook("(trap '' TERM; echo $$ > " + file("child") + "; setsid sh -c 'echo $$ > " +
                                 file("grandchild") + "; exec sleep 1000'; sleep 1000) & sleep 1000",
                             R"({"timeout": "1s"})");
  const auto told = provider->list();
  ASSERT_FALSE(told);
  EXPECT_TRUE(told.error().maybe_done);
  EXPECT_THAT(told.error().text, HasSubstr("did not end within 1s"));
  const auto grandchild = pid_t(std::stol(content("grandchild")));
  EXPECT_TRUE(comes_true([&] { return !process_named(grandchild); }));
}

TEST_F(CommandTest, EndsOneThatPrintsTooMuch) {
  const auto told = hook("head -c 2097152 /dev/zero | tr '\\0' x; sleep 1000")->list();
  ASSERT_FALSE(told);
  EXPECT_THAT(told.error().text, HasSubstr("printed more than 1 MiB"));
  EXPECT_TRUE(hook("head -c 2097152 /dev/zero | tr '\\0' x >&2; echo '{\"machines\": []}'")->list())
      << "what it says to people is no answer";
}

TEST_F(CommandTest, DoesNotWaitForAChildThatLivesOn) {
  const auto provider = hook("sleep 1000 & echo $! > " + file("child") + "; echo '{\"instances\": [\"i1\"]}'");
  EXPECT_THAT(provider->order({"r", 1, "t"}).value().instances, ElementsAre("i1"));
  const auto child = pid_t(std::stol(content("child")));
  EXPECT_TRUE(process_named(child)) << "it may be the machine";
  ::kill(child, SIGKILL);
}

TEST_F(CommandTest, EndsAtOnceWhenTheScalerStops) {
  const auto provider = hook("touch " + file("begun") + "; sleep 1000");
  std::thread other([&] {
    comes_true([&] { return ::access(file("begun").c_str(), F_OK) == 0; });
    provider->stop();
  });
  const auto told = provider->order({"r", 1, "t"});
  other.join();
  ASSERT_FALSE(told);
  EXPECT_TRUE(told.error().maybe_done);
}

// ---- local ----------------------------------------------------------------------------------------------------------

class LocalTest : public Providers {
 protected:
  LocalTest() {
    pool_.provider = "local";
    pool_.provider_settings["atMost"] = 4;
    join_.program = script("geres", "env > \"$5/env\"; echo \"$@\" > \"$5/arguments\"; echo begun; exec sleep 1000");
  }
  ~LocalTest() override {
    for (const auto& [name, pid] : pids()) ::kill(pid, SIGKILL);
  }

  std::unique_ptr<Provider> provider() { return std::move(make_provider(pool_, join_).value()); }

  std::map<std::string, pid_t> pids() {
    std::map<std::string, pid_t> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(join_.data / "machines", error)) {
      const auto facts = json::parse(read_file_if(entry.path() / "machine.json").value_or("{}"));
      if (!facts) continue;
      if (const auto* pid = facts->as_object().if_contains("pid"); pid != nullptr && pid->as_int64() > 0)
        found[entry.path().filename()] = pid_t(pid->as_int64());
    }
    return found;
  }
};

TEST_F(LocalTest, StartsHostsThatJoinByTheirEnvironment) {
  pool_.what = {2, 1 << 30, {{"zone", "a"}}, {}, {"acme"}};
  const auto local = provider();
  EXPECT_THAT(local->list().value(), SizeIs(0));
  const auto ordered = local->order({"r1", 2, "top-secret"}).value();
  ASSERT_THAT(ordered.instances, SizeIs(2));
  EXPECT_FALSE(ordered.refusal);
  const auto& name = ordered.instances[0];
  const auto directory = join_.data / "machines" / name;
  ASSERT_TRUE(comes_true([&] { return read_file_if(directory / "host.log").value_or("") == "begun\n"; }));
  EXPECT_THAT(read_file(directory / "env"),
              ::testing::AllOf(HasSubstr("GERES_TOKEN=top-secret\n"), HasSubstr("GERES_POOL=cpu\n"),
                               HasSubstr("GERES_INSTANCE=" + name + "\n")));
  EXPECT_EQ(read_file(directory / "arguments"), "host --hub http://hub:8080 --data " + directory.string() + " --name " +
                                                    name +
                                                    " --slots 2 --memory 1073741824 --label zone=a --tenant acme\n");
  struct stat facts {};
  ASSERT_EQ(::stat(directory.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0700u);
  EXPECT_THAT(read_file(directory / "machine.json"), Not(HasSubstr("top-secret")));
  const auto machines = local->list().value();
  ASSERT_THAT(machines, SizeIs(2));
  EXPECT_EQ(machines[0].state, MachineState::running);
  EXPECT_EQ(machines[0].request, "r1");

  EXPECT_EQ(local->order({"r1", 2, "top-secret"}).value().instances.size(), 2u) << "a repeat";
  EXPECT_THAT(local->list().value(), SizeIs(2));
  auto more = local->order({"r2", 5, "top-secret"}).value();
  EXPECT_EQ(more.accepted, 2);
  EXPECT_EQ(more.refusal->why, Why::capacity);

  const std::vector<std::string> names{name, "cpu-unknown", "../.."};
  const auto removed = local->remove(names, "r3").value();
  EXPECT_EQ(removed[0].outcome, Removed::Outcome::removed);
  EXPECT_EQ(removed[1].outcome, Removed::Outcome::not_found);
  EXPECT_EQ(removed[2].outcome, Removed::Outcome::not_found);
  EXPECT_FALSE(std::filesystem::exists(directory));
  EXPECT_THAT(local->list().value(), SizeIs(3));
}

TEST_F(LocalTest, SeesHostsThatEnd) {
  const auto local = provider();
  const auto name = local->order({"r1", 1, "t"}).value().instances.at(0);
  ::kill(pids().at(name), SIGKILL);
  ASSERT_TRUE(comes_true([&] { return local->list().value().at(0).state == MachineState::failed; }));
  EXPECT_EQ(local->list().value().at(0).reason, "its host was killed by signal 9");
  EXPECT_NE(::waitpid(pids().at(name), nullptr, WNOHANG), pids().at(name)) << "it is reaped";
  EXPECT_EQ(local->order({"r3", 9, "t"}).value().accepted, 4) << "a dead one takes no room";
  EXPECT_EQ(local->remove(std::vector{name}, "r2").value().at(0).outcome, Removed::Outcome::removed);
}

TEST_F(LocalTest, NamesAllThatRunsToWhoeverEndsEverything) {
  const auto local = provider();
  const auto ordered = local->order({"r1", 2, "t"}).value().instances;
  ASSERT_EQ(local_hosts(join_.data).size(), 2u);
  ::kill(pids().at(ordered[0]), SIGKILL);
  ASSERT_TRUE(comes_true([&] { return local_hosts(join_.data).size() == 1; }));
  EXPECT_EQ(local_hosts(join_.data)[0].pid, pids().at(ordered[1]));
  EXPECT_EQ(local_hosts(join_.data / "nowhere").size(), 0u);
}

TEST_F(LocalTest, FindsItsHostsAgain) {
  const auto name = provider()->order({"r1", 1, "t"}).value().instances.at(0);  // and that scaler is gone
  const auto local = provider();
  EXPECT_EQ(local->list().value().at(0).state, MachineState::running);
  EXPECT_EQ(local->list().value().at(0).request, "r1");
  Pool other = pool_;
  other.name = "other";
  EXPECT_THAT(make_provider(other, join_).value()->list().value(), SizeIs(0)) << "they are this pool's";

  // The scaler died before it wrote the process down: the host's lock names it.
  const auto directory = join_.data / "machines" / name;
  const auto pid = pids().at(name);
  std::filesystem::create_directory(directory / "host");
  std::ofstream(directory / "host" / "host.lock") << pid << " " << process_named(pid)->started << "\n";
  auto facts = json::parse(read_file(directory / "machine.json")).value().as_object();
  facts["pid"] = 0;
  facts["createdAt"] = "2020-01-01T00:00:00Z";
  replace_file(directory / "machine.json", boost::json::serialize(facts));
  EXPECT_EQ(local->list().value().at(0).state, MachineState::running);
  EXPECT_EQ(local->remove(std::vector{name}, "r2").value().at(0).outcome, Removed::Outcome::removed);
  EXPECT_FALSE(process_named(pid));
}

TEST_F(LocalTest, DoesNotTakeALaterProcessForItsHost) {
  const auto local = provider();
  const auto name = local->order({"r1", 1, "t"}).value().instances.at(0);
  const auto directory = join_.data / "machines" / name;
  const auto pid = pids().at(name);
  // What still writes there would keep the directory from being removed.
  ASSERT_TRUE(comes_true([&] { return read_file_if(directory / "host.log").value_or("") == "begun\n"; }));
  auto facts = json::parse(read_file(directory / "machine.json")).value().as_object();
  facts["started"] = 1;
  replace_file(directory / "machine.json", boost::json::serialize(facts));
  EXPECT_EQ(local->list().value().at(0).state, MachineState::failed);
  EXPECT_EQ(local->remove(std::vector{name}, "r2").value().at(0).outcome, Removed::Outcome::removed);
  EXPECT_TRUE(process_named(pid)) << "it is somebody else's";
  ::kill(pid, SIGKILL);
}

TEST_F(LocalTest, SurvivesDirectoriesThatAreNotIts) {
  const auto local = provider();
  std::filesystem::create_directory(join_.data / "machines" / "empty");
  std::filesystem::create_directory(join_.data / "machines" / "torn");
  std::ofstream(join_.data / "machines" / "torn" / "machine.json") << "{\"pool\"";
  EXPECT_THAT(local->list().value(), SizeIs(0));
}

}  // namespace
}  // namespace geres::scaler
