// SPDX-License-Identifier: Apache-2.0
// The real geres-job with real libraries.
#include <gtest/gtest.h>

#include "base/file.h"
#include "sdk/job_process.h"
#include "wire/job_channel.h"

namespace geres {
namespace {

using testing::JobProcess;

const std::string kLoader = GERES_JOB_PROGRAM;
std::string library(const std::string& name) {
  return std::string(TEST_JOBS_DIR) + "/" + name + ".so";
}

std::string last_line(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

struct Ended {
  std::string type;
  int code;
  std::string error;
  std::string result;
};

TEST(Loader, GivesTheJobAllItIsPromised) {
  JobProcess job("/the/package", R"({"name": "Ada Ü", "list": [1]})");
  job.run({kLoader, library("good"), "Everything"});
  EXPECT_EQ(job.exit_code, 0) << job.err;
  EXPECT_EQ(
      job.result,
      R"(0192f0c4-7d3a-7001-8f2e-0123456789ab|Everything|acme|1|{"name": "Ada Ü", "list": [1]}|Ada Ü|-|/the/package|cwd|job)");
  ASSERT_EQ(job.progress.size(), 4u);
  EXPECT_EQ(job.progress[0], "0 first line");
  EXPECT_EQ(job.progress[1], "100");
  EXPECT_EQ(job.progress[2], "only words");
  EXPECT_EQ(job.progress[3].size(), wire::kProgressLineMax - 1);
  EXPECT_EQ(read_file(job.output() / "made.txt"), "made");
}

TEST(Loader, EveryWayToEnd) {
  const Ended cases[] = {
      {"Fails", 1, "try again", "try\nagain"},
      {"Aborts", 60, "never again", "never again"},
      {"Throws", 1, "out of luck", "out of luck"},
      {"ThrowsAbort", 60, "the parameter 'must' is missing", "the parameter 'must' is missing"},
      {"ThrowsNumber", 1, "an exception that is not a std::exception left the job",
       "an exception that is not a std::exception left the job"},
  };
  for (const auto& expected : cases) {
    JobProcess job("/p", "{}");
    job.run({kLoader, library("good"), expected.type});
    EXPECT_EQ(job.exit_code, expected.code) << expected.type;
    EXPECT_EQ(last_line(job.err), expected.error) << expected.type;
    EXPECT_EQ(job.result, expected.result) << expected.type;
  }
}

TEST(Loader, ACrashIsASignal) {
  JobProcess job("/p", "{}");
  job.run({kLoader, library("good"), "Crashes"});
  EXPECT_EQ(job.signal, SIGABRT);
}

TEST(Loader, WithoutResultWhatIsPrintedStands) {
  JobProcess job("/p", "{}");
  job.run({kLoader, library("good"), "Prints"});
  EXPECT_EQ(job.exit_code, 0);
  EXPECT_EQ(job.out, "printed");
  EXPECT_FALSE(job.result);
}

TEST(Loader, TermReachesTheStopTokenAndTheProgramsOfTheJob) {
  for (const Ended& expected :
       {Ended{"Waits", 1, "stopped", ""}, Ended{"StartsAProgram", 1, "the program was signalled", ""}}) {
    JobProcess job("/p", "{}");
    job.start({kLoader, library("good"), expected.type});
    ASSERT_TRUE(job.wait_for_progress("1 waiting"));
    if (expected.type == "StartsAProgram") {
      // The shell becomes sleep; only then is there somebody to hear it. Until that is so the signal is sent again.
      while (!job.ended_within_ms(50)) job.terminate();
    } else {
      job.terminate();
    }
    job.wait();
    EXPECT_EQ(job.exit_code, expected.code) << job.err;
    EXPECT_EQ(last_line(job.err), expected.error);
  }
}

TEST(Loader, TellsWhatIsWrongWithAPackage) {
  const Ended cases[] = {
      {"absent", 62, "' does not exist", ""},
      {"foreign", 62, "' is not a job library: it has no geres_job_api_v1 (include <geres/job.h> and use GERES_JOB)",
       ""},
      {"later", 62, "' is made for version 2 of the job interface; this host speaks version 1", ""},
      {"undefined", 62, "undefined symbol: _Z15nobody_has_thisv", ""},
  };
  for (const auto& expected : cases) {
    JobProcess job("/p", "{}");
    job.run({kLoader, library(expected.type), "Undefined"});
    EXPECT_EQ(job.exit_code, expected.code) << expected.type;
    EXPECT_NE(job.err.find(expected.error), std::string::npos) << job.err;
    EXPECT_EQ(std::count(job.err.begin(), job.err.end(), '\n'), 1) << job.err;
  }
}

TEST(Loader, AMissingTypeIsAnsweredWithThoseThereAre) {
  JobProcess job("/p", "{}");
  job.run({kLoader, library("second"), "Thumbnial"});
  EXPECT_EQ(job.exit_code, 63);
  EXPECT_EQ(job.err, "no library of the package registers the job type 'Thumbnial'; there is Second\n");
}

TEST(Loader, OfSeveralLibrariesTheFirstThatHasTheType) {
  JobProcess job("/p", "{}");
  job.run({kLoader, library("foreign"), library("good"), library("second"), "Second"});
  EXPECT_EQ(job.exit_code, 0) << job.err;
  EXPECT_EQ(job.result, "second");
}

TEST(Loader, ElseTheProgram) {
  JobProcess job("/p", "{}");
  job.run({kLoader, "--else", "/bin/pwd", library("foreign"), library("second"), "pwd"});
  EXPECT_EQ(job.exit_code, 0) << job.err;
  EXPECT_EQ(std::filesystem::path(last_line(job.out)), std::filesystem::canonical(job.work()));
}

TEST(Loader, ListsTypes) {
  JobProcess job("/p", "{}");
  job.environment = {};
  job.run({kLoader, "--list", library("second"), library("good")});
  EXPECT_EQ(job.exit_code, 0) << job.err;
  EXPECT_TRUE(job.out.starts_with("Second\nEverything\nFails\n")) << job.out;
  JobProcess broken("/p", "{}");
  broken.run({kLoader, "--list", library("foreign")});
  EXPECT_EQ(broken.exit_code, 62);
}

TEST(Loader, RefusesWrongUse) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{}, {"x.so"}, {"--list"}, {"--help", "x"}}) {
    JobProcess job("/p", "{}");
    auto command = words;
    command.insert(command.begin(), kLoader);
    job.run(command);
    EXPECT_EQ(job.exit_code, 64);
  }
  JobProcess outside("/p", "{}");
  outside.environment = {};
  outside.run({kLoader, library("good"), "Prints"});
  EXPECT_EQ(outside.exit_code, 64);
  EXPECT_NE(outside.err.find("GERES_JOB_ID"), std::string::npos);
}

}  // namespace
}  // namespace geres
